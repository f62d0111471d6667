"""The reader of DAVIS 2017."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import golden
from videos import moving, write_videos
from vitan.errors import DataError, ImageError
from vitan.testing import check_dataset
from vitan_datasets.davis2017 import vitan_datasets
from vitan_datasets.davis2017.reader import Davis2017, Davis2017Options

#: Names that climb out of the folder that they are joined to, on one system or the other.
OUTSIDE = ("../..", "..", "/etc", "walk/../../x", "C:\\x", "..\\x")
DAVIS = golden.FOLDER / "downstream" / "davis"


@pytest.fixture
def root(tmp_path: Path) -> Any:
    """A root whose own name holds what is looked for in it."""
    return write_videos(tmp_path / "my JPEGImages.jpg", {"walk": moving(3), "alone": moving(1)})


def read(root: Any, **options: Any) -> Any:
    return Davis2017(Davis2017Options(root=root, **options))


def test_frames_follow_the_list_and_their_names(root: Any) -> None:
    dataset = read(root)
    assert [dataset[i].id for i in range(4)] == ["walk/00000", "walk/00001", "walk/00002", "alone/00000"]
    assert dataset.groups() == ["walk", "walk", "walk", "alone"]
    sample = dataset[1]
    assert (sample.group, sample.image.mode, sample.image.size) == ("walk", "RGB", (49, 35))
    np.testing.assert_array_equal(sample.id_mask(), moving(3)[1])


def test_it_keeps_the_contract(root: Any) -> None:
    (spec,) = vitan_datasets()
    check_dataset(spec, root=root)


def test_the_fingerprint_sees_masks(root: Any) -> None:
    before = read(root).fingerprint()
    Image.fromarray(np.ones((35, 49), np.uint8)).save(root / "Annotations/480p/walk/00001.png")
    assert read(root).fingerprint() != before


def test_void_is_read_as_it_is(root: Any) -> None:
    Image.fromarray(np.full((35, 49), 255, np.uint8)).save(root / "Annotations/480p/walk/00001.png")
    assert np.unique(read(root)[1].id_mask()) == [255]


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("ImageSets/2017/val.txt", "val.txt: the list of videos cannot be read"),
        ("Annotations/480p/walk/00001.png", "00001.png: this mask is missing"),
        ("JPEGImages/480p/walk/00001.jpg", "00001.jpg: this frame is missing"),
        ("JPEGImages/480p/alone/00000.jpg", "JPEGImages/480p/alone: there is no picture"),
    ],
)
def test_what_is_missing_is_named(root: Any, lost: Any, said: Any) -> None:
    (root / lost).unlink()
    with pytest.raises(DataError, match=said):
        read(root)


def test_a_video_without_a_folder(root: Any) -> None:
    (root / "ImageSets/2017/val.txt").write_text("walk\nrun\n")
    with pytest.raises(DataError, match="480p/run: there is no such folder"):
        read(root)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n", "names no video"),
        ("walk\nwalk\n", "names walk twice"),
        *((f"walk\n{name}\n", "leads out of the folders") for name in OUTSIDE),
    ],
)
def test_lists_that_cannot_be(root: Any, text: Any, said: Any) -> None:
    (root / "ImageSets/2017/val.txt").write_text(text)
    with pytest.raises(DataError, match=said):
        read(root)


def test_another_list_joins_the_name(root: Any) -> None:
    (root / "ImageSets/2017/train.txt").write_text("alone\n")
    dataset = read(root, videos="train")
    assert (len(dataset), dataset.which(), read(root).which()) == (1, "train", "")


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((35, 48), np.uint8), "48 x 35 pixels, and its frame 49 x 35"),
        (np.zeros((35, 49, 3), np.uint8), "pixels are RGB, not object ids"),
    ],
)
def test_masks_that_do_not_fit(root: Any, pixels: Any, said: Any) -> None:
    Image.fromarray(pixels).save(root / "Annotations/480p/walk/00001.png")
    with pytest.raises(ImageError, match=rf"00001.png: .*{said}"):
        read(root)[1].id_mask()


def test_a_damaged_mask_names_its_file(root: Any) -> None:
    (root / "Annotations/480p/walk/00001.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(ImageError, match=r"00001.png: the mask cannot be read"):
        read(root)[1].id_mask()


@pytest.mark.golden
@pytest.mark.skipif(not DAVIS.is_dir(), reason="this set has no videos")
def test_the_miniature_tree() -> None:
    dataset = read(DAVIS)
    assert list(dict.fromkeys(dataset.groups())) == (DAVIS / "ImageSets/2017/val.txt").read_text().split()
    sample = dataset[0]
    assert sample.id_mask().shape == sample.image.size[::-1]


def test_a_list_with_a_byte_order_mark_is_read(root: Any) -> None:
    (root / "ImageSets/2017/val.txt").write_bytes(b"\xef\xbb\xbfwalk\n")
    assert read(root).groups() == ["walk"] * 3


@pytest.mark.parametrize("orientation", range(2, 9))
def test_frames_that_exif_turns_are_refused(root: Any, orientation: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (49, 35)).save(root / "JPEGImages/480p/walk/00001.jpg", exif=exif)
    with pytest.raises(DataError, match=rf"00001.jpg: EXIF turns the frame \(orientation {orientation}\)"):
        read(root)


def test_sizes_are_checked_before_a_run(root: Any) -> None:
    Image.fromarray(np.zeros((35, 48), np.uint8)).save(root / "Annotations/480p/walk/00002.png")
    with pytest.raises(DataError, match=r"00002.png: the mask has 48 x 35 pixels, and its frame 49 x 35"):
        read(root)
