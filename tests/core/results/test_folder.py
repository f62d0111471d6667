"""Where results lie: no two of them share a place, and those of before are found where they are."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from vitan.analysis.figures import File, Picture
from vitan.errors import StoreError
from vitan.results.drawing import save
from vitan.results.folder import PROVENANCE, comparison_place, find, place

#: Names that people, catalogs and files give; many of them have one slug.
NAMES = (
    *("dino-B16", "random-S32", "dino-B16@my.model-a1b2c3", "samples", "comparison"),
    *("my photos", "my_photos", "my  photos", "my-photos", "my.photos", ".my photos", "my photos.", "my/photos"),
    *("timm:vit_tiny", "timm_vit_tiny", "timm/vit_tiny", "timm:vit/tiny"),
    *("\N{CAT FACE}", "\N{DOG FACE}", "\N{CAT FACE}\N{DOG FACE}", "_", "", ".", "..", "\u732b", "caf\u00e9"),
    *("x" * 300, "x" * 301, "\u732b" * 100, "\u732b" * 101, "a\tb", "a\nb", "a\0b"),
)


def _write(folder: Path, model: str, dataset: str) -> None:
    folder.mkdir(parents=True)
    facts = {"model": {"name": model}, "dataset": {"name": dataset}}
    (folder / PROVENANCE).write_text(json.dumps(facts), encoding="utf-8")


@pytest.mark.parametrize("where", ["model", "dataset", "comparison"])
def test_no_two_names_share_a_place(tmp_path: Path, where: str) -> None:
    places = {
        name: {
            "model": place(tmp_path, name, "samples", "attention"),
            "dataset": place(tmp_path, "dino-B16", name, "attention"),
            "comparison": comparison_place(tmp_path, name, "attention"),
        }[where]
        for name in NAMES
    }
    for one, other in combinations(NAMES, 2):
        assert places[one] != places[other], (one, other)
    for folder in places.values():
        assert len(folder.relative_to(tmp_path).parts) == 3
        folder.mkdir(parents=True)  # the system takes the name


def test_no_model_takes_the_place_of_comparisons(tmp_path: Path) -> None:
    assert place(tmp_path, "comparison", "samples", "cka") != comparison_place(tmp_path, "samples", "cka")


def test_names_that_folders_can_have_are_kept(tmp_path: Path) -> None:
    assert place(tmp_path, "dino-B16@my.model-a1b2c3", "samples", "cka").parts[-3:] == (
        *("dino-B16@my.model-a1b2c3", "samples", "cka"),
    )


def test_results_are_found_by_every_name(tmp_path: Path) -> None:
    for name in NAMES:
        _write(place(tmp_path, name, name, "cka"), name, name)
    for name in NAMES:
        for asked in ({"model": name}, {"dataset": name}, {"model": name, "dataset": name}):
            assert find(tmp_path, **asked) == [place(tmp_path, name, name, "cka")], name
    assert len(find(tmp_path)) == len(NAMES)
    with pytest.raises(StoreError, match="no results on your photos"):
        find(tmp_path, dataset="your photos")


def test_results_of_before_stay_where_they_are(tmp_path: Path) -> None:
    """An older version gave both of these names one folder; it is whose it says it is."""
    before = tmp_path / "dino-B16" / "my_photos" / "cka"
    _write(before, "dino-B16", "my photos")
    assert place(tmp_path, "dino-B16", "my photos", "cka") == before
    assert find(tmp_path, dataset="my photos") == [before]
    with pytest.raises(StoreError):
        find(tmp_path, dataset="my_photos")


def test_figures_never_take_each_others_place_nor_that_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "records.csv").write_text("numbers")
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    drawings = [
        Picture(name="a b", pixels=black),
        Picture(name="a_b", pixels=white),
        Picture(name="a:b", pixels=black),
        File(name="a_b.png", content=b"one"),
        File(name="x y/t.csv", content=b"two"),
        File(name="x_y/t.csv", content=b"three"),
        File(name="records.csv", content=b"four"),
    ]
    assert len(set(save(drawings, tmp_path))) == 3
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 8
    assert (tmp_path / "records.csv").read_text() == "numbers"
    assert (tmp_path / "a_b.png").is_file()
    assert sorted(path.read_bytes() for path in files if path.suffix == ".csv") == [
        b"four",
        b"numbers",
        b"three",
        b"two",
    ]
