"""Datasets in the layouts of all that are published, with a file of theirs damaged, gone or of another kind."""

from __future__ import annotations

import os
import pickle
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fuzzing import COMMAND, expect_named
from spoiling import spoil, spoil_json, spoil_text, spoil_tree
from vitan import load_dataset
from vitan.errors import VitanError
from vitan_datasets.shapes.films import ShapesVideo, ShapesVideoOptions
from vitan_datasets.shapes.pictures import Shapes, ShapesOptions

STRANGE = ("..x", "a b.jpg", "é.JPG", "🦜.png", "x\x1b[31m.jpg", "a\nb.jpg", "$(touch executed).jpg")
PICTURES = (".jpg", ".jpeg", ".png")
LAYOUTS = {
    **Shapes(ShapesOptions(per_class=4, classes=3, size=48)).layouts(),
    **ShapesVideo(ShapesVideoOptions(films=2, frames=3, height=32, width=48)).layouts(),
}


@cache
def honest(layout: str) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The files of a layout by their paths, and its folders."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        LAYOUTS[layout](folder)
        paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
        files = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
        return files, tuple(name for name, path in paths.items() if path.is_dir())


class Payload:
    """Runs a command when Python's own unpickling reads it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (COMMAND,)


def spoil_pickle(random: Random, content: bytes) -> bytes:
    """A pickle that is damaged as values or as bytes, or holds a payload."""
    tree = pickle.loads(content)  # it is our own
    match random.randrange(4):
        case 0:
            return spoil(random, content)
        case 1:
            return pickle.dumps({**tree, random.choice([*tree, "more"]): Payload()})
        case _:
            return pickle.dumps(spoil_tree(random, tree))


def spoilt(random: Random, name: str, content: bytes) -> bytes:
    """A file's content, damaged in the way of its kind."""
    match Path(name).suffix:
        case ".json":
            return spoil_json(random, content)
        case ".pkl":
            return spoil_pickle(random, content)
        case ".txt":
            return spoil_text(random, content.decode()).encode("utf-8", "surrogatepass")
        case _:
            return spoil(random, content)


def victim(random: Random, names: list[str]) -> str:
    """A file, mostly one of annotations or a mask where there are such."""
    told = [name for name in names if not name.lower().endswith(PICTURES) or "Annotations" in name]
    return random.choice(told if told and random.random() < 0.85 else names)


def write_spoilt(random: Random, layout: str, root: Path) -> None:
    """The files of a layout, one of which is damaged, renamed, gone, a pipe, or a link; or all as they should be."""
    files, folders = honest(layout)
    files = dict(files)
    name = victim(random, list(files))
    fault = random.choice(["damaged"] * 12 + ["none", "renamed", "gone", "pipe", "link"])
    if fault == "damaged":
        files[name] = spoilt(random, name, files[name])
    if fault == "renamed":
        files[f"{Path(name).parent}/{random.choice(STRANGE)}"] = files.pop(name)
    for folder in folders:
        (root / folder).mkdir()
    for path, content in files.items():
        (root / path).write_bytes(content)
    if fault in ("gone", "pipe", "link"):
        (root / name).unlink()
    if fault == "pipe":
        os.mkfifo(root / name)
    if fault == "link":
        (root / name).symlink_to(random.choice([".", "..", Path(name).name, "/dev/zero", "nowhere"]))


def attempt(layout: str, random: Random, folder: Path) -> None:
    root = folder / "data"
    root.mkdir()
    write_spoilt(random, layout, root)
    try:
        dataset = load_dataset(layout, root=root)
        assert all(isinstance(line, str) for line in dataset.notes())
        dataset.fingerprint(), dataset.classes(), dataset.categories(), dataset.groups(), dataset.which()
        for index in range(len(dataset)):
            sample = dataset[index]
            size = (sample.image.height, sample.image.width)
            assert all(segment.mask().shape == size for segment in sample.segments)
            assert sample.id_mask is None or sample.id_mask().shape == size
    except VitanError as error:
        expect_named(error, str(root))
        raise


@pytest.mark.filterwarnings("ignore")  # Pillow has much to say about damaged files
@pytest.mark.parametrize("layout", LAYOUTS)
def test_datasets_are_read_or_refused(fuzz: Any, layout: str) -> None:
    def of_layout(random: Random, folder: Path) -> None:
        attempt(layout, random, folder)

    fuzz(of_layout, some=8, many=120)
