"""The datasets with outlines, coco and partimagenet: the published numbers, and hostile files."""

import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

import golden
from vitan.data.images import open_image
from vitan.data.samples import Dataset
from vitan.errors import DataError, ImageError
from vitan_datasets.coco.reader import Coco, CocoOptions
from vitan_datasets.outlines.annotations import read_instances
from vitan_datasets.outlines.outlines import draw, packed, read_shape
from vitan_datasets.partimagenet.reader import PartImageNet, PartImageNetOptions

NUMBERS = golden.arrays("features_seg.npz")
DATA = golden.FOLDER / "features_seg_data"
#: The pictures of which there are raw masks, by dataset.
PICTURES = {
    name: sorted(int(key.split("/")[1]) for key in NUMBERS.files if re.fullmatch(rf"{name}/\d+/raw_ids_hw", key))
    for name in ("coco", "pin")
}
SAMPLINGS = sorted(int(key.split("persc")[1]) for key in NUMBERS.files if key.startswith("pin/samples_persc"))

SQUARE = [1.0, 1.0, 4.0, 1.0, 4.0, 3.0, 1.0, 3.0]


def coco(root: Path = DATA / "coco") -> Dataset:
    return Coco(CocoOptions(root=root))


def pin(root: Path = DATA / "pin", per_supercategory: int = 100) -> Dataset:
    return PartImageNet(PartImageNetOptions(root=root, per_supercategory=per_supercategory))


def published_pin() -> Dataset:
    """As many pictures of each supercategory as make the golden pictures."""
    pictures = len(PICTURES["pin"])
    return pin(per_supercategory=next(n for n in SAMPLINGS if len(NUMBERS[f"pin/samples_persc{n}"]) == pictures))


# --- the published numbers


@pytest.mark.golden
@pytest.mark.skipif(not PICTURES["coco"], reason="no golden pictures of coco")
def test_coco_has_the_pictures_in_the_published_order() -> None:
    dataset = coco()
    ids = [dataset[index].extra["image_id"] for index in range(len(dataset))]
    assert ids[: len(NUMBERS["coco/ids_in_order"])] == NUMBERS["coco/ids_in_order"].tolist()


@pytest.mark.golden
@pytest.mark.parametrize(("name", "index"), [(name, index) for name in PICTURES for index in PICTURES[name]])
def test_outlines_are_drawn_as_published(name: str, index: int) -> None:
    sample = (coco() if name == "coco" else published_pin())[index]
    *ids, height, width = NUMBERS[f"{name}/{index}/raw_ids_hw"].tolist()
    assert [int(segment.id) for segment in sample.segments] == ids
    assert sample.image.size == (width, height)
    if ids:
        masks = np.stack([segment.mask() for segment in sample.segments])
        assert masks.shape == (len(ids), height, width)
        np.testing.assert_array_equal(np.packbits(masks), NUMBERS[f"{name}/{index}/raw_masks_packed"])


@pytest.mark.golden
@pytest.mark.parametrize("count", SAMPLINGS)
def test_partimagenet_takes_the_published_pictures(count: int) -> None:
    dataset = pin(per_supercategory=count)
    names = [dataset[index].id.split("/")[-1] for index in range(len(dataset))]
    assert names == NUMBERS[f"pin/samples_persc{count}"].tolist()


@pytest.mark.golden
@pytest.mark.skipif("pin/supercats" not in NUMBERS.files, reason="no golden supercategories")
def test_partimagenet_has_the_published_supercategories() -> None:
    dataset = pin()
    found = [f"{name}:{dataset.groups().count(name)}" for name in dataset.classes()]
    expected = [line.split(":") for line in NUMBERS["pin/supercats"].tolist()]
    assert found == [f"{name.replace('None', 'none')}:{count}" for name, _, count in expected]


# --- beyond the contract (test_contracts.py)


def test_the_labels_of_segments_are_categories() -> None:
    for dataset in (coco(golden.OWN / "features_seg_data/coco"), pin(golden.OWN / "features_seg_data/pin")):
        samples = [dataset[index] for index in range(len(dataset))]
        labels = {segment.label for sample in samples for segment in sample.segments}
        assert labels
        assert labels <= dataset.categories().keys()
        again = pickle.loads(pickle.dumps(samples[0].segments))
        assert [segment.mask().tolist() for segment in again] == [s.mask().tolist() for s in samples[0].segments]


def test_samples_of_a_supercategory_stand_together_with_their_label() -> None:
    dataset = pin(golden.OWN / "features_seg_data/pin", 2)
    samples = [dataset[index] for index in range(len(dataset))]
    assert [sample.group for sample in samples] == list(dataset.groups())
    labels = [sample.label for sample in samples]
    assert labels == sorted(labels, key=lambda label: label or 0)
    assert all(dataset.classes()[sample.label or 0] == sample.group for sample in samples)


# --- a small COCO of one's own


class Tree:
    """Two pictures of 6 x 4 pixels, the second without annotation; ``write`` lays it down as ``content`` then is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "annotations" / "instances_val2017.json"
        self.pictures = root / "images" / "val2017"
        self.content: dict[str, Any] = {
            "images": [{"id": id_, "file_name": f"{id_}.png", "width": 6, "height": 4} for id_ in (9, 5)],
            "annotations": [self.annotation(1)],
            "categories": [{"id": 3, "name": "cat", "supercategory": "animal"}],
        }
        self.file.parent.mkdir(parents=True)
        self.pictures.mkdir(parents=True)
        for id_ in (5, 9):
            Image.new("RGB", (6, 4), (id_, 0, 0)).save(self.pictures / f"{id_}.png")

    @staticmethod
    def annotation(id_: int, segmentation: Any = (SQUARE,), **more: Any) -> dict[str, Any]:
        return {"id": id_, "image_id": 9, "category_id": 3, "iscrowd": 0, "segmentation": segmentation, **more}

    def write(self) -> Path:
        self.file.write_text(json.dumps(self.content))
        return self.root


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "coco")


def test_a_square_by_hand(tree: Tree) -> None:
    sample = coco(tree.write())[1]
    assert sample.id == "val2017/9.png"
    (segment,) = sample.segments
    expected = np.zeros((4, 6), dtype=bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(segment.mask(), expected)
    assert (segment.label, segment.id, segment.crowd) == (3, "1", False)
    assert coco(tree.root)[0].segments == ()


def test_pictures_may_lie_right_in_the_folder(tree: Tree) -> None:
    shutil.move(tree.pictures, tree.root / "val2017")
    assert len(coco(tree.write())) == 2


def test_another_part_has_a_name_of_its_own(tree: Tree) -> None:
    assert coco(tree.write()).which() == ""
    tree.file.rename(tree.file.with_name("instances_train2017.json"))
    tree.pictures.rename(tree.pictures.with_name("train2017"))
    assert Coco(CocoOptions(root=tree.root, part="train2017")).which() == "train2017"


def test_a_crowd_and_run_lengths_of_either_kind(tree: Tree) -> None:
    """Columns first: two pixels outside, three inside, the rest outside; "237" is the same compressed."""
    plain = {"size": [4, 6], "counts": [2, 3, 19]}
    text = {"size": [4, 6], "counts": "23c0"}
    tree.content["annotations"] = [
        tree.annotation(1, plain, iscrowd=1),
        tree.annotation(2, text, iscrowd=1),
        tree.annotation(3, plain),
    ]
    segments = coco(tree.write())[1].segments
    assert [segment.crowd for segment in segments] == [True, True, False]
    expected = np.zeros(24, dtype=bool)
    expected[2:5] = True
    for segment in segments:
        np.testing.assert_array_equal(segment.mask(), expected.reshape(6, 4).T)


def test_compressed_run_lengths_of_any_masks_come_back() -> None:
    from pycocotools import mask as coco_mask

    generator = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.5, 1.0):
        mask = generator.random((57, 91)) < share
        encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        shape = read_shape({"size": [57, 91], "counts": encoded["counts"].decode()}, 57, 91)
        np.testing.assert_array_equal(draw(shape, 57, 91), mask)


def test_the_fingerprint_follows_annotations_and_pictures(tree: Tree, tmp_path: Path) -> None:
    first = coco(tree.write()).fingerprint()
    assert coco(shutil.copytree(tree.root, tmp_path / "copy")).fingerprint() == first
    Image.new("RGB", (6, 4), "white").save(tree.pictures / "5.png")
    second = coco(tree.root).fingerprint()
    tree.content["annotations"] = []
    third = coco(tree.write()).fingerprint()
    (tree.pictures / "5.png").unlink()
    assert len({first, second, third, coco(tree.root).fingerprint()}) == 4


# --- what is missing


def test_the_first_thing_missing_is_named(tree: Tree) -> None:
    with pytest.raises(
        DataError, match=r"annotations/instances_val2017.json: this file is missing\. .*vitan show coco"
    ):
        coco(tree.root)
    (tree.file.parent / "instances_train2017.json").touch()
    with pytest.raises(DataError, match=r"there are the parts train2017 \(--part\)"):
        coco(tree.root)
    shutil.move(tree.pictures, tree.root / "elsewhere")
    with pytest.raises(DataError, match=r"images/val2017: this folder is missing"):
        coco(tree.write())
    tree.pictures.mkdir()
    with pytest.raises(DataError, match=r"val2017/5.png: this picture is missing, as are all 2"):
        coco(tree.root)
    with pytest.raises(ValidationError):
        CocoOptions(part="../val2017")


def test_a_picture_that_is_missing_is_noted_and_an_error_when_read(tree: Tree) -> None:
    (tree.pictures / "9.png").unlink()
    dataset = coco(tree.write())
    (note,) = dataset.notes()
    assert re.fullmatch(r"1 of 2 pictures are missing, .*/images/val2017/9.png for one", note)
    assert dataset[0].id == "val2017/5.png"
    with pytest.raises(ImageError, match=r"val2017/9.png: cannot be read: No such file"):
        dataset[1]


def test_a_picture_of_another_size_is_an_error_when_read(tree: Tree) -> None:
    Image.new("RGB", (4, 6)).save(tree.pictures / "9.png")
    dataset = coco(tree.write())
    with pytest.raises(ImageError, match=r"9.png: the picture has 4 x 6 pixels, but .*val2017.json says 6 x 4"):
        dataset[1]


# --- single annotations that are left out


PAIRS = [[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]]


@pytest.mark.parametrize("segmentation", [[SQUARE], SQUARE, PAIRS, [PAIRS], [list(map(int, SQUARE))], [SQUARE, PAIRS]])
def test_polygons_are_read_however_they_are_nested(tree: Tree, segmentation: Any) -> None:
    tree.content["annotations"] = [tree.annotation(1, segmentation)]
    expected = np.zeros((4, 6), dtype=bool)
    expected[1:3, 1:4] = True
    (segment,) = coco(tree.write())[1].segments
    np.testing.assert_array_equal(segment.mask(), expected)


def test_whole_floats_and_back_slashes_are_read(tree: Tree) -> None:
    (tree.pictures / "sub").mkdir()
    shutil.move(tree.pictures / "9.png", tree.pictures / "sub" / "9.png")
    tree.content["images"][0].update(id=9.0, file_name="sub\\9.png", width=6.0, height=4.0)
    tree.content["annotations"] = [{**tree.annotation(1), "id": 1.0, "image_id": 9.0, "category_id": 3.0}]
    sample = coco(tree.write())[1]
    assert (sample.id, len(sample.segments), sample.segments[0].id) == ("val2017/sub/9.png", 1, "1")


def test_a_byte_order_mark_does_not_matter(tree: Tree) -> None:
    tree.write()
    tree.file.write_bytes(b"\xef\xbb\xbf" + tree.file.read_bytes())
    assert len(coco(tree.root)) == 2


@pytest.mark.parametrize("segmentation", [[], None, "nothing"])
def test_boxes_alone_are_no_masks(tree: Tree, segmentation: Any) -> None:
    assert coco(tree.write()).lacks() == {}
    tree.content["annotations"] = [tree.annotation(id_, segmentation) for id_ in (1, 2)]
    lacking = coco(tree.write()).lacks()["masks"]
    assert re.search(
        "none of the 2 annotations in .*val2017.json has an outline .* of 2 .*: it has no outline", lacking
    )
    tree.content["annotations"] = []
    assert "has no annotation of any of the 2 pictures" in coco(tree.write()).lacks()["masks"]


# --- pictures that EXIF turns


def _turn(tree: Tree, orientation: int, size: tuple[int, int]) -> np.ndarray:
    """The pixels of picture 9 as they are stored."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tree.pictures / "9.png", exif=exif)
    return pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_the_one_that_the_outlines_are_of(tree: Tree, orientation: int) -> None:
    """The file states 6 x 4. Turned by a quarter, sizes tell; turned or mirrored otherwise, only the user can."""
    tree.write()
    quarter = orientation >= 5
    for size in [(6, 4), (4, 6)] if quarter else [(6, 4)]:
        stored = _turn(tree, orientation, size)
        path = tree.pictures / "9.png"
        expected = {"stored": stored, "upright": np.asarray(open_image(path))}
        fitting = [name for name, pixels in expected.items() if pixels.shape == (4, 6, 3)]
        for name in expected:
            dataset = Coco(CocoOptions(root=tree.root, exif=name))
            if name in fitting:
                np.testing.assert_array_equal(np.asarray(dataset[1].image), expected[name])
            else:
                with pytest.raises(ImageError, match=r"has 4 x 6 pixels, but .* says 6 x 4"):
                    dataset[1]
        if quarter or orientation == 1:
            np.testing.assert_array_equal(np.asarray(coco(tree.root)[1].image), expected[fitting[0]])
        else:
            with pytest.raises(ImageError, match=rf"9.png: EXIF turns .*orientation {orientation}.* --exif stored or"):
                coco(tree.root)[1]


def test_a_turned_picture_without_outlines_is_read(tree: Tree) -> None:
    tree.content["annotations"] = []
    tree.write()
    _turn(tree, 3, (6, 4))
    assert coco(tree.root)[1].image.size == (6, 4)


# --- files that would take all memory or time


@pytest.mark.parametrize(
    ("segmentation", "why"),
    [
        ([[0, 0, 60, 40] * 20_000], "its outline is longer than that of any region"),
        ({"size": [4, 6], "counts": [0] * 2_000_000 + [24]}, "its RLE has more runs than the picture has pixels"),
        ({"size": [4, 6], "counts": "o" * 2_000_000}, "its RLE is damaged"),
        ({"size": [4, 6], "counts": [10**400]}, "its RLE does not fill the picture"),
        ([[10**400, 1, 2, 3, 4, 5]], "it has no outline"),
    ],
    ids=["edges", "runs", "text", "count", "point"],
)
def test_outlines_of_absurd_size_are_left_out(tree: Tree, segmentation: Any, why: str) -> None:
    tree.content["annotations"].append(tree.annotation(7, segmentation))
    ((id_, said),) = coco(tree.write())[1].extra["left_out"]
    assert id_ == 7
    assert why in said


def test_the_most_winding_outline_of_a_picture_is_drawn() -> None:
    """A comb with a tooth for every second column has the longest outline there is, about two pixels for each."""
    high, wide = 400, 600
    points = [(x + dx, y) for x in range(0, wide, 2) for dx, y in ((0, 1), (0, high), (1, high), (1, 1))]
    polygon = [float(value) for point in points for value in point]
    assert read_shape(packed([polygon]), high, wide)


@pytest.mark.parametrize(
    ("segmentation", "why"),
    [
        ([], "it has no outline"),
        (None, "it has no outline"),
        ("abc", "it has no outline"),
        ([["a", "b"]], "it has no outline"),
        ([[]], "its first polygon has four numbers or fewer"),
        ([[1, 1, 3, 3]], "its first polygon has four numbers or fewer"),
        ([[1, 1, 3, 3], SQUARE], "its first polygon has four numbers or fewer"),
        ([[1, 1, 3, 3, 2, 1, 5]], "a polygon has an x without a y"),
        ([[1, 1, 3, 3, 2, float("nan")]], "a point of it is far outside the picture or not a number"),
        ([[1, 1, 3, 3, 2, 1e9]], "a point of it is far outside the picture or not a number"),
        ({"size": [6, 4], "counts": [24]}, "its RLE is for a picture of another size"),
        ({"counts": [24]}, "its RLE is for a picture of another size"),
        ({"size": [4, 6], "counts": [20]}, "its RLE does not fill the picture"),
        ({"size": [4, 6], "counts": [30, -6]}, "its RLE is damaged"),
        ({"size": [4, 6], "counts": None}, "its RLE is damaged"),
        ({"size": [4, 6], "counts": "é"}, "its RLE is damaged"),
        ({"size": [4, 6], "counts": "2P"}, "its RLE is cut off"),
    ],
)
def test_broken_outlines_are_left_out_and_counted(tree: Tree, segmentation: Any, why: str) -> None:
    tree.content["annotations"] += [tree.annotation(7, segmentation), tree.annotation(8, segmentation)]
    dataset = coco(tree.write())
    sample = dataset[1]
    assert [segment.id for segment in sample.segments] == ["1"]
    assert sample.extra["left_out"] == ((7, why), (8, why))
    assert list(dataset.notes()) == [f"instances_val2017.json: 2 annotations left out: {why} (annotation 7 for one)"]


def test_annotations_of_nothing_known_are_left_out(tree: Tree) -> None:
    tree.content["annotations"] += [tree.annotation(7, category_id=4), tree.annotation(8, image_id=1)]
    dataset = coco(tree.write())
    assert len(dataset[1].segments) == 1
    assert [note.removeprefix("instances_val2017.json: ") for note in dataset.notes()] == [
        "1 annotation left out: the file does not list the picture",
        "1 annotation left out: its category is not among the categories (annotation 7 for one)",
    ]


# --- files that are refused


@pytest.mark.parametrize(
    ("key", "index", "change", "said"),
    [
        ("images", 1, {"id": 9}, "ids that more than one image has: 9;"),
        ("images", 1, {"id": None}, r"images\[1\]: id is None, not an integer"),
        ("images", 1, {"file_name": "9.png"}, "two images have the file name '9.png'"),
        ("images", 0, {"file_name": "../9.png"}, r"images\[0\]: file_name '../9.png' leads out of the folder"),
        ("images", 0, {"file_name": "/etc/hosts"}, "file_name '/etc/hosts' leads out of the folder"),
        ("images", 0, {"file_name": "a/../../9.png"}, "leads out of the folder"),
        ("images", 0, {"file_name": "..\\9.png"}, "leads out of the folder"),
        ("images", 0, {"file_name": "C:\\9.png"}, "leads out of the folder"),
        ("images", 0, {"file_name": "9\0.png"}, "leads out of the folder"),
        ("images", 0, {"file_name": "\ud800.png"}, "is no text"),
        ("images", 0, {"file_name": 9}, "file_name 9 names no file"),
        ("images", 0, {"file_name": ""}, "file_name '' names no file"),
        ("images", 0, {"width": 0}, "0 x 4 is no size of a picture"),
        ("images", 0, {"height": "4"}, "height is '4', not an integer"),
        ("categories", 0, {"name": None}, r"categories\[0\]: the category 3 has no name"),
        ("categories", 0, {"id": "3"}, "id is '3', not an integer"),
        ("annotations", 1, {"id": 1}, "ids that more than one annotation has: 1;"),
        ("annotations", 1, {"id": "2"}, r"annotations\[1\]: id is '2', not an integer"),
        ("annotations", 1, {"image_id": None}, "image_id is None"),
        ("annotations", 1, {"category_id": 3.5}, "category_id is 3.5"),
        ("annotations", 1, {"id": 10**400}, "id is an integer of more than 64 bits"),
    ],
)
def test_files_that_contradict_themselves_are_refused(
    tree: Tree, key: str, index: int, change: dict[str, Any], said: str
) -> None:
    tree.content["annotations"].append(tree.annotation(2))
    tree.content[key][index].update(change)
    with pytest.raises(DataError, match=f"instances_val2017.json: .*{said}.*mend the file or fetch it again"):
        coco(tree.write())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"the file is empty \(line 1, column 1"),
        (b"<html>", r"no JSON \(line 1, column 1: Expecting value\)"),
        (b'{"images": [],\n "categories": [1, 2', r"the JSON is cut off \(line 2, column \d+"),
        (b'{"images": [{"file_name": "00000', r"the JSON is cut off \(line 1, column \d+: Unterminated string"),
        (b'{"images": [] "categories": []}', r"no JSON \(line 1, column 15: Expecting ',' delimiter\)"),
        (b"\x89PNG\xff\xff", "no JSON .*decode"),
        (b"[" * 100_000, "no JSON|cut off"),
        (b"nothing", r"no JSON \(line 1, column 1"),
        (b"[]", "expected is an object with images, annotations and categories"),
        (b'{"images": []}', "there is no list 'categories'"),
        (b'{"images": {}}', "there is no list 'images'"),
        (b'{"images": [3], "categories": [], "annotations": []}', r"images\[0\] is no object"),
        (b'{"images": [], "categories": [], "annotations": []}', "it lists no pictures"),
    ],
)
def test_files_that_are_no_annotations_are_refused(tree: Tree, content: bytes, said: str) -> None:
    tree.file.write_bytes(content)
    with pytest.raises(DataError, match=f"instances_val2017.json: .*({said})"):
        coco(tree.root)


def test_a_file_cut_off_anywhere_is_refused(tree: Tree) -> None:
    whole = tree.write().joinpath("annotations", "instances_val2017.json").read_bytes()
    for length in range(1, len(whole)):
        tree.file.write_bytes(whole[:length])
        with pytest.raises(DataError, match="cut off"):
            read_instances(tree.file)


# --- PartImageNet


def newer(root: Path, older: Path) -> Path:
    """The older release as the newer lays it out: no class folders, and splits that share classes."""
    for split in ("train", "val", "test"):
        (root / "annotations" / split).mkdir(parents=True)
        shutil.copy(older / f"{split}.json", root / "annotations" / split / f"{split}.json")
        (root / "images" / split).mkdir(parents=True)
        for picture in (older / split).glob("*/*"):
            shutil.copy(picture, root / "images" / split / picture.name)
    return root


@pytest.fixture
def older(tmp_path: Path) -> Path:
    return shutil.copytree(golden.OWN / "features_seg_data/pin", tmp_path / "pin")


def test_the_newer_release_gives_the_same(older: Path, tmp_path: Path) -> None:
    before, after = pin(older, 4), pin(newer(tmp_path / "newer", older), 4)
    samples = [(before[index], after[index]) for index in range(len(before))]
    assert [one.id.split("/")[-1] for one, _ in samples] == [two.id.split("/")[-1] for _, two in samples]
    assert [len(one.segments) for one, _ in samples] == [len(two.segments) for _, two in samples]
    assert before.groups() == after.groups()


def test_a_class_in_several_splits_is_one(older: Path) -> None:
    """The newer release has each class in every split."""
    content = json.loads((older / "val.json").read_text())
    moved = content["images"].pop()
    wnid = "n02412080"
    name = f"{wnid}_1.png"
    source = older / "val" / moved["file_name"].split("_")[0] / moved["file_name"]
    (older / "val" / wnid).mkdir()
    shutil.move(source, older / "val" / wnid / name)
    content["images"].append({**moved, "file_name": name})
    (older / "val.json").write_text(json.dumps(content))
    dataset = pin(older)
    ids = [dataset[index].id for index in range(len(dataset))]
    ours = [id_ for id_ in ids if wnid in id_]
    assert f"val/{wnid}/{name}" in ours
    assert ours == sorted(ours, key=lambda id_: id_.split("/")[-1])
    first = ids.index(ours[0])
    assert ids[first : first + len(ours)] == ours


def test_what_partimagenet_lacks_is_named(older: Path) -> None:
    assert any("fewer than 100 pictures: Bird 8" in note for note in pin(older).notes())
    (older / "val.json").rename(older / "val.txt")
    with pytest.raises(DataError, match=r"val.json: this file is missing, as is .*annotations/val/val.json"):
        pin(older)
    (older / "val.txt").rename(older / "val.json")
    shutil.rmtree(older / "test")
    with pytest.raises(DataError, match=r"pin/test: this folder is missing. It holds the pictures of .*test.json"):
        pin(older)


def test_splits_that_name_a_category_differently_are_refused(older: Path) -> None:
    content = json.loads((older / "test.json").read_text())
    content["categories"][0]["name"] = "something else"
    (older / "test.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"category 0 is 'Bicycle Head' in .*train.json and 'something else' in .*test"):
        pin(older)


def test_pictures_without_a_class_are_refused(older: Path) -> None:
    content = json.loads((older / "test.json").read_text())
    content["images"][0]["file_name"] = "picture.png"
    (older / "test.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"'picture.png' does not begin with its class, as in n02412080_17.JPEG"):
        pin(older)
