"""Where datasets are looked for."""

from __future__ import annotations

import pytest

from vitan.errors import DataError
from vitan.files import find_root


def test_what_is_given_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("VITAN_DATA_DIR", str(tmp_path / "elsewhere"))
    assert find_root(tmp_path, "coco", ("coco",)) == tmp_path


def test_the_first_name_that_exists_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("VITAN_DATA_DIR", str(tmp_path))
    (tmp_path / "COCO").mkdir()
    assert find_root(None, "coco", ("coco2017", "COCO")) == tmp_path / "COCO"


def test_every_way_to_have_none_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no such folder; --root names the root of the dataset coco"):
        find_root(tmp_path / "gone", "coco", ("coco",))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="this is a file"):
        find_root(tmp_path / "file", "coco", ("coco",))
    monkeypatch.delenv("VITAN_DATA_DIR", raising=False)
    with pytest.raises(DataError, match=r"where is the dataset coco.*VITAN_DATA_DIR"):
        find_root(None, "coco", ("coco",))
    monkeypatch.setenv("VITAN_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=r"there is no .*/coco or .*/COCO; 'vitan show coco'"):
        find_root(None, "coco", ("coco", "COCO"))
