"""Reading SPair-71k."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import golden
import spair
from vitan.errors import DataError
from vitan.testing import check_dataset
from vitan_analyses.keypoints.square import threshold, to_square
from vitan_datasets import spair71k
from vitan_datasets.spair71k.files import _MIRRORED, PairName
from vitan_datasets.spair71k.reader import Spair71k, drawn

ROOT = golden.FOLDER / "downstream/spair"
SETS = [path.relative_to(golden.FOLDER).as_posix() for path in sorted(golden.FOLDER.glob("downstream/kp_*_*.npz"))]
CASES = [(name, str(category)) for name in SETS for category in golden.arrays(name)["categories"]]
DRAWN = golden.arrays("downstream/kp_subsample.npz")


def load(root: Path, **options: object) -> Spair71k:
    return Spair71k(Spair71k.Options(root=root, **options))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return spair.write_tree(tmp_path / "SPair-71k")


def test_each_picture_comes_once_by_category(root: Any) -> None:
    dataset = load(root)
    assert [dataset[i].id for i in range(len(dataset))] == [
        *("bus/d.jpg", "bus/e.jpg"),
        *("cat/a.jpg", "cat/b.jpg", "cat/c.jpg"),
    ]
    assert dataset.groups() == ["bus", "bus", "cat", "cat", "cat"]
    assert [[pair.target for pair in dataset[i].pairs] for i in range(5)] == [
        *(["bus/e.jpg"], []),
        *(["cat/b.jpg"], ["cat/a.jpg"], ["cat/a.jpg"]),
    ]


def test_a_sample_says_what_the_annotation_says(root: Any) -> None:
    sample = load(root)[2]
    assert sample.image.size == spair.SIZE
    assert sample.group == "cat"
    assert sample.box == (1, 2, 39, 28)
    assert sample.keypoints == {"0-1 right": (5, 6), "0-1 left": (30, 6), "8": (18, 20), "2-3 left": (2, 2)}
    (pair,) = sample.pairs
    assert pair.names == ("0-1 right", "0-1 left", "2-3 left", "8")
    assert pair.source == ((5, 6), (30, 6), (2, 2), (18, 20))
    assert pair.points == ((8, 6), (27, 6), (2, 2), (18, 17))
    assert pair.facts == {"viewpoint_variation": 1, "scale_variation": 0}


def test_it_keeps_the_contract(root: Any) -> None:
    check_dataset(*spair71k.vitan_datasets(), root=root)


def test_colons_and_underscores_name_the_same_pairs(root: Any, tmp_path: Path) -> None:
    other = tmp_path / "copy"
    root.rename(other)
    before = load(other)
    for path in (other / "PairAnnotation/test").iterdir():
        path.rename(path.with_name(path.name.replace(":", "_")))
    assert load(other)._images == before._images
    assert load(other).fingerprint() == before.fingerprint()


def test_the_root_is_found_below_the_data_folder(root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITAN_DATA_DIR", str(root.parent))
    assert len(Spair71k(Spair71k.Options())) == 5


def test_the_fingerprint_follows_annotations(root: Any) -> None:
    before = load(root).fingerprint()
    spair.write_pair(root, 3, "d", "e", "bus", viewpoint_variation=2)
    assert load(root).fingerprint() != before


def test_every_point_has_one_mirror_image() -> None:
    for category, text in _MIRRORED.items():
        numbers = [number for both in text.split() for number in both.split("-")]
        assert max(Counter(numbers).values()) == 1, category
        assert {int(number) for number in numbers} <= set(range(30)), category


# What can be wrong


def test_a_pair_that_names_a_missing_picture(root: Any) -> None:
    path = spair.write_pair(root, 7, "a", "nowhere", "cat")
    with pytest.raises(DataError, match=rf"nowhere\.jpg: missing, but the pair .*{path.name}"):
        load(root)


def test_a_picture_without_annotation(root: Any) -> None:
    (root / "ImageAnnotation/cat/a.json").unlink()
    with pytest.raises(DataError, match=r"cat/a\.json: missing"):
        load(root)


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("PairAnnotation/test/000003-d-e:bus.json", "{", "JSON"),
        ("PairAnnotation/test/000003-d-e:bus.json", "{}", "category"),
        ("ImageAnnotation/bus/d.json", "[]", "annotation of a picture"),
        ("ImageAnnotation/bus/d.json", '{"kps": {"0": [1]}, "bndbox": [1, 2, 3, 4]}', "annotation of a picture"),
    ],
)
def test_broken_annotations_are_named(root: Any, file: Any, content: Any, problem: Any) -> None:
    (root / file).write_text(content)
    with pytest.raises(DataError, match=rf"{Path(file).name}.*{problem}"):
        load(root)


def test_points_without_a_partner(root: Any) -> None:
    path = spair.write_pair(root, 3, "d", "e", "bus", src_kps=[[1, 2]])
    with pytest.raises(DataError, match=rf"{path.name}: 2 names, 1 and 2 points"):
        load(root)


def test_a_name_and_a_content_of_different_categories(root: Any) -> None:
    path = spair.write_pair(root, 3, "d", "e", "bus")
    path.write_text(path.read_text().replace('"bus"', '"cat"'))
    with pytest.raises(DataError, match=rf"{path.name}: the category inside is 'cat'"):
        load(root)


def test_a_file_of_another_name(root: Any) -> None:
    (root / "PairAnnotation/test/notes.json").write_text("{}")
    with pytest.raises(DataError, match=r"notes\.json: pairs are called"):
        load(root)


def test_a_split_that_is_not_there(root: Any) -> None:
    with pytest.raises(DataError, match="PairAnnotation/val: no such folder"):
        load(root, split="val")
    (root / "PairAnnotation/val").mkdir()
    with pytest.raises(DataError, match="PairAnnotation/val: no pairs"):
        load(root, split="val")


# The published draw


def test_pairs_that_are_drawn_twice_count_twice(root: Any) -> None:
    """Twenty from one pair of buses and from three of cats."""
    dataset = load(root, pairs="published")
    counts = Counter(pair.id for i in range(len(dataset)) for pair in dataset[i].pairs)
    assert counts["000003-d-e_bus"] == 20
    assert sum(counts.values()) == 40


@pytest.mark.golden
@pytest.mark.skipif(not DRAWN.files, reason="not in this set")
def test_the_draw_is_that_published() -> None:
    names = [
        PairName(Path(f"{i:06d}"), f"category {c:02d}") for c, count in enumerate(DRAWN["counts"]) for i in range(count)
    ]
    found = drawn(names)
    assert np.array_equal([int(name.path.name) for name in found], DRAWN["picks"].ravel())


# The golden tree


@pytest.mark.golden
@pytest.mark.parametrize(("name", "category"), CASES)
def test_pairs_of_the_tree_are_those_published(name: Any, category: Any) -> None:
    """Pictures, points (to the last bit) and thresholds of all pairs of a category."""
    data = golden.arrays(name)
    side, files = int(data["imsize"]), [str(file).removeprefix("JPEGImages/") for file in data[f"{category}_files"]]
    dataset = load(ROOT)
    samples = {sample.id: sample for sample in (dataset[i] for i in range(len(dataset)))}
    pairs = sorted((pair.id, s.id, pair) for s in samples.values() for pair in s.pairs if s.group == category)
    assert [file for _, source, pair in pairs for file in (source, pair.target)] == files
    kps, thresholds = data[f"{category}_kps"], data[f"{category}_thresholds"]
    both = (kps[0::2, :, 2] * kps[1::2, :, 2]) > 0
    for i, (_, source, pair) in enumerate(pairs):
        sizes = [samples[source].image.size, samples[pair.target].image.size]
        for points, box, size, row in (
            (pair.source, pair.source_box, sizes[0], 2 * i),
            (pair.points, pair.target_box, sizes[1], 2 * i + 1),
        ):
            assert np.array_equal(to_square(points, size, side).numpy(), kps[row, both[i], :2])
            assert threshold(box, size, side) == pytest.approx(thresholds[row], rel=1e-7)


@pytest.mark.golden
@pytest.mark.skipif(not ROOT.is_dir(), reason="not in this set")
def test_the_tree_has_all_its_pairs() -> None:
    dataset = load(ROOT)
    files = list((ROOT / "PairAnnotation/test").iterdir())
    assert sum(len(dataset[i].pairs) for i in range(len(dataset))) == len(files)
    assert json.loads(files[0].read_text())["category"] in dataset.groups()


@pytest.mark.parametrize("key", ["src_imname", "trg_imname"])
@pytest.mark.parametrize(
    "name", ["../../secret.jpg", "/etc/hosts", "..", "", "..\\x.jpg", "sub/a.jpg", "a\0.jpg", 3, None]
)
def test_names_that_lead_out_of_the_category_are_refused(root: Any, key: Any, name: Any) -> None:
    file = min((root / "PairAnnotation" / "test").iterdir())
    file.write_text(json.dumps({**json.loads(file.read_text()), key: name}))
    with pytest.raises(DataError, match="is not the name of a picture"):
        load(root)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"kps_ids": 1' + b"0" * 5000 + b"}", b"\xff", b""])
def test_pairs_that_are_no_json_are_refused(root: Any, content: Any) -> None:
    min((root / "PairAnnotation" / "test").iterdir()).write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as JSON"):
        load(root)


def test_an_absurd_number_is_refused_and_a_byte_order_mark_read(root: Any) -> None:
    file = min((root / "PairAnnotation" / "test").iterdir())
    whole = file.read_bytes()
    file.write_bytes(b"\xef\xbb\xbf" + whole)
    assert len(load(root)) == 5
    file.write_text(json.dumps({**json.loads(whole), "src_bndbox": [10**400, 0, 1, 1]}))
    with pytest.raises(DataError, match="not the annotation of a pair"):
        load(root)
