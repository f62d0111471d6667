"""Where datasets are looked for, and how files and folders are replaced as wholes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from vitan import files
from vitan.errors import DataError, StoreError, UsageError
from vitan.files import clear_leftovers, find_root, given_path, naming_refusals, replacing_folder


def test_what_is_given_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITAN_DATA_DIR", str(tmp_path / "elsewhere"))
    assert find_root(tmp_path, "coco", ("coco",)) == tmp_path


def test_the_first_name_that_exists_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITAN_DATA_DIR", str(tmp_path))
    (tmp_path / "COCO").mkdir()
    assert find_root(None, "coco", ("coco2017", "COCO")) == tmp_path / "COCO"


def test_every_way_to_have_none_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.fixture(params=[True, False], ids=["exchanging", "moving"])
def exchanging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Whether two folders can change places at once."""
    if not request.param:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    return request.param


def _names(folder: Any) -> Any:
    return sorted(path.name for path in folder.iterdir())


def _replace(path: Any, text: Any) -> None:
    with replacing_folder(path) as new:
        (new / "number").write_text(text)


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path, exchanging: Any) -> None:
    for text in ("1", "2", "3"):
        _replace(tmp_path / "result", text)
        assert (tmp_path / "result" / "number").read_text() == text
        assert _names(tmp_path) == ["result"]


def test_there_is_no_moment_without_a_result(tmp_path: Path) -> None:
    """A reader that looks all the time always finds a whole one, where the system can exchange folders."""
    result, missing, done = tmp_path / "result", [], threading.Event()
    _replace(result, "0")
    if not files._exchange(result, result):
        pytest.skip("this disk cannot exchange folders")

    def look() -> None:
        while not done.is_set():
            missing.extend([1] * (not (result / "number").exists()))

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(200):
        _replace(result, str(number))
    done.set()
    reader.join()
    assert missing == []


@pytest.mark.parametrize("moment", range(3))
def test_a_kill_between_two_moves_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: Any) -> None:
    """Where folders are moved one after the other: an end that no ``except`` sees, before each of the moves."""
    _replace(tmp_path / "result", "old")
    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    monkeypatch.setattr(files.shutil, "rmtree", lambda *_, **__: None)  # a killed process tidies nothing
    moves, real = [], Path.replace

    def killed_at(self: Any, target: Any) -> Any:
        moves.append(target)
        if len(moves) > moment:
            raise SystemExit
        return real(self, target)

    monkeypatch.setattr(Path, "replace", killed_at)
    if moment < 2:
        with pytest.raises(SystemExit):
            _replace(tmp_path / "result", "new")
    else:
        _replace(tmp_path / "result", "new")
    monkeypatch.undo()
    assert len(_names(tmp_path)) > 1
    clear_leftovers(tmp_path, older_than=-1)
    assert _names(tmp_path) == ["result"]
    assert (tmp_path / "result" / "number").read_text() == ("old" if moment < 2 else "new")


def test_only_what_is_old_and_ours_is_cleared(tmp_path: Path) -> None:
    day = 24 * 3600
    for name in (".attention-abcd1234", ".attention-old-abcd1234", ".git", ".my-notes", "attention"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - 2 * day,) * 2)
    (tmp_path / ".records-abcd1234.csv").touch()
    os.utime(tmp_path / ".records-abcd1234.csv", (time.time() - 2 * day,) * 2)
    (tmp_path / ".attention-efgh5678").mkdir()
    clear_leftovers(tmp_path, day)
    assert _names(tmp_path) == [".attention-efgh5678", ".git", ".my-notes", "attention"]


def test_a_disk_that_refuses_is_named_with_the_way_out(tmp_path: Path) -> None:
    said = r"table\.csv: cannot be written \(No space left on device\).*-o FOLDER"
    with pytest.raises(StoreError, match=said), naming_refusals(tmp_path / "table.csv"):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("path", ["~no-such-user-here/x", "a" * 300, f"{'a/' * 20_000}b", "a\0b"], ids=range(4))
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    with pytest.raises(UsageError):
        given_path(path)


@pytest.mark.parametrize("path", ["nowhere", "nowhere/at all", "/", ".", "", "é🦜"])
def test_any_other_path_is_taken_as_it_is(path: str) -> None:
    assert given_path(path) == Path(path)


def test_the_home_is_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert given_path("~/x") == tmp_path / "x"
