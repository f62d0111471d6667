"""The files that the drawn world writes are read by the readers of the published ones."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from vitan.engine.job import open_dataset
from vitan.engine.plan import DatasetPlan
from vitan.registry.plugins import installed
from vitan.testing import check_dataset
from vitan_datasets.shapes.films import ShapesVideo, ShapesVideoOptions
from vitan_datasets.shapes.layouts.files import polygons, run_lengths
from vitan_datasets.shapes.pictures import Shapes, ShapesOptions
from vitan_datasets.shapes.world.categories import CATEGORIES, points

OPTIONS = {"per_class": 8, "classes": 6, "size": 96}


@pytest.fixture(scope="module")
def world() -> Any:
    dataset = Shapes(ShapesOptions(**OPTIONS))
    return dataset, [dataset[i] for i in range(len(dataset))]


@pytest.fixture(scope="module")
def written(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each layout, written when it is first asked for."""
    dataset, _ = world
    made: dict[str, Path] = {}

    def write(layout: str) -> Path:
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp(layout)
            dataset.layouts()[layout](made[layout])
        return made[layout]

    return write


def test_polygons_and_run_lengths_by_hand() -> None:
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:4, 2:5] = True
    assert run_lengths(mask) == {"counts": [11, 3, 2, 3, 2, 3, 6], "size": [5, 6]}
    assert run_lengths(~mask)["counts"][0] == 0
    ((*outline,),) = polygons(mask)
    x, y = outline[::2], outline[1::2]
    assert (min(x), max(x)) == pytest.approx((2, 5), abs=0.2)
    assert (min(y), max(y)) == pytest.approx((1, 4), abs=0.2)


def test_holes_stay_holes() -> None:
    y, x = np.mgrid[:40, :50]
    far = np.hypot(x - 25, y - 20)
    ring = (far < 18) & (far > 9)
    spot = ((x - 46) ** 2 + (y - 4) ** 2) < 9
    (image,) = [{"id": 1, "width": 50, "height": 40}]
    entry = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": polygons(ring | spot)}
    assert len(entry["segmentation"]) == 2
    read = COCO()
    read.dataset = {"images": [image], "annotations": [entry], "categories": [{"id": 1}]}
    read.createIndex()
    mask = read.annToMask(entry).astype(bool)
    assert (mask != (ring | spot)).sum() <= 3


def test_imagenet_and_folder(world: Any, written: Any) -> None:
    _, samples = world
    root = written("imagenet")
    index = json.loads((root / "imagenet_class_index.json").read_text())
    assert index["1"] == ["n90000002", "bird"]
    for split, role in (("train", "bank"), ("val", "query")):
        folders = sorted(path.name for path in (root / split).iterdir())
        assert folders == [category.wnid for category in CATEGORIES[:6]]
        assert len(list((root / split).glob("*/*.JPEG"))) == sum(sample.role == role for sample in samples)
    lossless = np.asarray(Image.open(written("folder") / f"{samples[10].id}.png"))
    assert np.array_equal(lossless, samples[10].image)
    photograph = np.asarray(Image.open(root / "train" / "n90000002" / "n90000002_2.JPEG")).astype(int)
    assert np.abs(photograph - lossless).mean() < 4


def test_coco(world: Any, written: Any) -> None:
    dataset, samples = world
    read = COCO(str(written("coco") / "annotations" / "instances_val2017.json"))
    assert {c["id"]: c["name"] for c in read.loadCats(read.getCatIds())} == dataset.categories()
    for number, sample in enumerate(samples, 1):
        (image,) = read.loadImgs(number)
        assert Image.open(written("coco") / "images" / "val2017" / image["file_name"]).size == sample.image.size
        assert (image["width"], image["height"]) == sample.image.size
        entries = read.loadAnns(read.getAnnIds(number))
        for entry, segment in zip(entries, sample.segments, strict=True):
            mask = segment.mask()
            assert (read.annToMask(entry).astype(bool) != mask).sum() <= 2
            assert entry["category_id"] == segment.label
            assert entry["area"] == mask.sum()
            assert entry["bbox"][2:] == [np.ptp(axis) + 1 for axis in np.nonzero(mask)[::-1]]
            outline = entry["segmentation"]
            assert entry["iscrowd"] == int(isinstance(outline, dict))
    crowds = [entry["segmentation"]["counts"] for entry in read.anns.values() if entry["iscrowd"]]
    assert {type(counts) for counts in crowds} == {list, str}


def test_partimagenet(world: Any, written: Any) -> None:
    _, samples = world
    root = written("partimagenet")
    seen, wnids = 0, []
    for split in ("train", "val", "test"):
        read = COCO(str(root / f"{split}.json"))
        categories = read.loadCats(read.getCatIds())
        assert categories[0]["id"] == 0
        assert {category["supercategory"] for category in categories} == {"animal", "vehicle"}
        for image in read.loadImgs(read.getImgIds()):
            wnid = image["file_name"].split("_")[0]
            assert Image.open(root / split / wnid / image["file_name"]).size == (image["width"], image["height"])
            entries = read.loadAnns(read.getAnnIds(image["id"]))
            assert entries
            name = next(category.name for category in CATEGORIES if category.wnid == wnid)
            assert {read.cats[entry["category_id"]]["name"].split()[0] for entry in entries} == {name}
            seen += 1
        wnids.append({path.name for path in (root / split).iterdir()})
    assert seen == len(samples)
    assert sum(map(len, wnids)) == len(set.union(*wnids)) == 6  # each class in one split


def test_roxford(world: Any, written: Any) -> None:
    dataset, samples = world
    root = written("roxford5k")
    raw = (root / "gnd_roxford5k.pkl").read_bytes()
    assert raw[:2] == b"\x80\x02"
    truth = pickle.loads(raw)
    assert len(truth["qimlist"]) == len(truth["gnd"]) == 12
    names = [sample.id.rpartition("/")[2].replace("-", "_") for sample in samples]
    for query, entry in zip(truth["qimlist"], truth["gnd"], strict=True):
        sample = samples[names.index(query)]
        assert entry["bbx"] == list(sample.box)
        for level in ("easy", "hard", "junk"):
            assert [names.index(truth["imlist"][i]) for i in entry[level]] == sample.relevant[level]
    assert sorted(truth["imlist"] + truth["qimlist"]) == sorted(path.stem for path in (root / "jpg").iterdir())
    assert len(dataset) == len(names)


def test_spair(world: Any, written: Any) -> None:
    _, samples = world
    root = written("spair71k")
    by_name = {sample.id.rpartition("/")[2].replace("-", "_"): sample for sample in samples}
    found = 0
    for split in ("trn", "val", "test"):
        large = (root / "Layout" / "large" / f"{split}.txt").read_text().split()
        small = (root / "Layout" / "small" / f"{split}.txt").read_text().split()
        assert set(small) < set(large)
        files = {path.stem: json.loads(path.read_text()) for path in (root / "PairAnnotation" / split).iterdir()}
        assert files.keys() == set(large)
        found += len(files)
        for name, pair in files.items():
            number, source, rest = name.split("-")
            target, category = rest.split(":")
            assert (int(number), category, pair["mirror"]) == (pair["pair_id"], pair["category"], 0)
            assert (pair["src_imname"], pair["trg_imname"]) == (f"{source}.jpg", f"{target}.jpg")
            for side, image in (("src", source), ("trg", target)):
                _check_side(root, pair, side, by_name[image], image)
    assert found == sum(len(sample.pairs) for sample in samples)


def _check_side(root: Any, pair: Any, side: Any, sample: Any, image: Any) -> None:
    about = json.loads((root / "ImageAnnotation" / sample.group / f"{image}.json").read_text())
    assert list(about["kps"]) == [str(i) for i in range(30)]
    assert [about["kps"][i] for i in pair["kps_ids"]] == pair[f"{side}_kps"]
    assert pair[f"{side}_imsize"] == [*sample.image.size, 3]
    assert pair[f"{side}_bndbox"] == list(sample.box)
    for i, (x, y) in zip(pair["kps_ids"], pair[f"{side}_kps"], strict=True):
        expected = sample.keypoints[points(sample.label)[int(i)]]
        assert np.abs(np.array(expected) - (x, y)).max() <= 1
    mask = np.asarray(Image.open(root / "Segmentation" / sample.group / f"{image}.png"))
    main = next(segment for segment in sample.segments if segment.id == sample.extra["main"])
    assert np.array_equal(mask > 0, main.mask())


def test_davis(tmp_path: Path) -> None:
    dataset = ShapesVideo(ShapesVideoOptions(films=2, frames=4, height=61, width=97))
    dataset.layouts()["davis2017"](tmp_path)
    sequences = (tmp_path / "ImageSets" / "2017" / "val.txt").read_text().split()
    assert sequences == list(dict.fromkeys(dataset.groups()))
    for i in range(len(dataset)):
        sample = dataset[i]
        mask = Image.open(tmp_path / "Annotations" / "480p" / f"{sample.id}.png")
        assert mask.mode == "P"
        assert mask.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
        assert np.array_equal(np.asarray(mask), sample.id_mask())
        assert Image.open(tmp_path / "JPEGImages" / "480p" / f"{sample.id}.jpg").size == (97, 61)


@pytest.mark.parametrize("layout", ["coco", "roxford5k", "spair71k"])
def test_the_same_bytes_again(layout: Any, written: Any, tmp_path: Path) -> None:
    Shapes(ShapesOptions(**OPTIONS)).layouts()[layout](tmp_path)
    assert _digests(tmp_path) == _digests(written(layout))


def _digests(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_readers_of_coco_and_partimagenet_see_the_same_masks(world: Any, written: Any) -> None:
    _, samples = world
    read = _opened("coco", root=written("coco"))
    for i, sample in enumerate(samples):
        other = read[i]
        assert other.image.size == sample.image.size
        for mine, theirs in zip(sample.segments, other.segments, strict=True):
            assert mine.label == theirs.label
            assert (mine.mask() != theirs.mask()).sum() <= 2
    parts = _opened("partimagenet", root=written("partimagenet"))
    assert len(parts) == len(samples)
    assert set(parts.classes()) == {"animal", "vehicle"}
    assert all(sample.segments for sample in (parts[i] for i in range(0, len(parts), 5)))


def test_the_reader_of_spair_finds_the_same_points(world: Any, written: Any) -> None:
    _, samples = world
    check_dataset(_spec("spair71k"), root=written("spair71k"))
    mine = {sample.id.replace("-", "_"): sample for sample in samples}
    read = _opened("spair71k", root=written("spair71k"))
    found = 0
    for theirs in (read[i] for i in range(len(read))):
        sample = mine[theirs.id.removesuffix(".jpg")]
        known = np.array(list(sample.keypoints.values()))
        for pair in theirs.pairs:
            assert sample.group == mine[pair.target.removesuffix(".jpg")].group
            for point in pair.source:
                assert np.abs(known - point).max(axis=1).min() <= 1
            found += 1
    assert found >= len(samples) // 2


def _spec(name: Any) -> Any:
    return next(spec for _, spec in installed().datasets if spec.name == name)


def _opened(name: Any, **options: Any) -> Any:
    return open_dataset(_spec(name), DatasetPlan(name=name, options=options))
