"""``vitan export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PLUGIN = """
from functools import partial
from pathlib import Path
from pydantic import Field
from vitan import DatasetSpec, hookimpl
from vitan.data.samples import Dataset
from vitan.options import Options

class LettersOptions(Options):
    count: int = Field(3, ge=1, description="how many")
    layout: str = Field("plain", description="shares its name with an option of the command")

def one_each(dataset, folder: Path):
    '''A file for each,
    with its letter.

    No more.
    '''
    for i in range(len(dataset)):
        (folder / f"{i}.txt").write_text(dataset.options.layout)

def broken(folder: Path):
    '''Fails half way.'''
    (folder / "half").write_text("half")
    raise OSError("disk full")

class Letters(Dataset):
    Options = LettersOptions
    def __len__(self):
        return self.options.count
    def __getitem__(self, index):
        raise NotImplementedError
    def fingerprint(self):
        return ""
    def layouts(self):
        return {"each": partial(one_each, self), "broken": broken}

@hookimpl
def vitan_datasets():
    yield DatasetSpec(name="letters", summary="letters", load=lambda: Letters)
"""


@pytest.fixture
def export(tmp_path: Path, vitan: Any) -> Any:
    plugin = tmp_path / "letters.py"
    plugin.write_text(PLUGIN)
    return lambda *args: vitan("-p", plugin, "export", *args)


def test_export_writes_a_layout(tmp_path: Path, export: Any) -> None:
    folder = tmp_path / "deep" / "out"
    ran = export("letters", "--layout", "each", "-o", folder, "--count", 2, "--letters.layout", "x")
    assert ran.code == 0, ran.err
    assert ran.out == f"{folder}: 2 pictures of letters, 2 files, 2 B\n"
    assert sorted(path.read_text() for path in folder.iterdir()) == ["x", "x"]
    assert [path.name for path in folder.parent.iterdir()] == ["out"]  # nothing is left of the temporary folder


def test_export_into_an_empty_folder_or_one_named_by_the_layout(tmp_path: Path, export: Any) -> None:
    (tmp_path / "out").mkdir()
    assert export("letters", "--layout", "each", "-o", tmp_path / "out").code == 0
    assert export("letters", "--layout", "each").out.startswith("each: 3 pictures")


def test_export_replaces_nothing(tmp_path: Path, export: Any) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ran = export("letters", "--layout", "each", "-o", tmp_path)
    assert ran.code == 2
    assert f"{tmp_path}: this folder is not empty" in ran.err
    ran = export("letters", "--layout", "each", "-o", tmp_path / "mine.txt")
    assert ran.code == 2
    assert "this is a file" in ran.err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_failed_export_leaves_nothing(tmp_path: Path, export: Any) -> None:
    folder = tmp_path / "out"
    ran = export("letters", "--layout", "broken", "-o", folder)
    assert ran.code == 1
    assert f"{folder} cannot be written: disk full" in ran.err
    assert not folder.exists()
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("letters",), "say in which layout, as in --layout each; letters has each, broken"),
        (("letters", "--layout", "eahc"), "--layout eahc: dataset letters has each, broken"),
        (("dots", "--layout", "each"), "dataset dots cannot be written as files"),
        (("leters", "--layout", "each"), "Did you mean letters?"),
        (("letters", "--layout", "each", "--count", "0"), "allowed is 1 <= count"),
        (("letters", "--layout", "each", "--colour", "red"), "--colour"),
        ((), "Missing argument 'DATASET'"),
    ],
)
def test_what_export_refuses(export: Any, words: Any, said: Any) -> None:
    ran = export(*words)
    assert ran.code == 2
    assert said in ran.err


def test_help_lists_layouts_and_options(export: Any) -> None:
    ran = export("letters", "--help")
    assert ran.code == 0
    assert "A file for each, with its letter." in ran.out
    assert "No more" not in ran.out
    assert "--count" in ran.out
    ran = export("--help")
    assert "'vitan export DATASET --help' shows the layouts" in ran.out
