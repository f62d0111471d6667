"""What can be known before the pass is refused before weights are loaded, and without reading a picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from vitan.engine.job import Job, prepare
from vitan.engine.plan import make_plan
from vitan.engine.runner import tell_limit
from vitan.errors import DataError, MismatchError, OptionError, VitanError
from vitan.registry.plugins import Plugins
from vitan_datasets.folder.reader import Folder
from vitan_datasets.shapes.films import ShapesVideo
from vitan_datasets.shapes.pictures import Shapes

#: Of the eight pictures of an instance, the fourth and the eighth are queries.
SHAPES = {"name": "shapes", "options": {"classes": 3, "per_class": 8}}
VIDEO = {"name": "shapes-video", "options": {"films": 2, "frames": 4}}

#: An analysis with options on a dataset, the least limit that it can work with, and what is said of one less.
BOUNDARIES: list[tuple[str, dict[str, Any], dict[str, Any], int, type[VitanError], str]] = [
    ("knn", {"k": [2]}, SHAPES, 4, MismatchError, "none of the 3 images has the role 'query'.*--limit"),
    (
        "knn",
        {"k": [6, 9]},
        SHAPES,
        7,
        OptionError,
        r"the bank has 5 images, fewer than every k .*\(6, 9\).*--k 5 or less",
    ),
    ("retrieval", {}, SHAPES, 4, MismatchError, "none of the 3 images has the role 'query'"),
    ("clustering", {}, SHAPES, 9, OptionError, "8 images of 1 class cannot be put into 1 cluster.*--limit"),
    ("clustering", {"k": 5}, SHAPES, 5, OptionError, "4 images of 1 class cannot be put into 5 clusters.*--k"),
    ("similarity", {}, SHAPES, 4, MismatchError, "similarity needs at least 4 images, and there are 3; raise --limit"),
    ("similarity", {"k": 9}, SHAPES, 11, OptionError, "--k is 9, and with 10 images .* choose at most 8"),
    ("cka", {}, SHAPES, 4, MismatchError, "CKA needs at least 4 images, and there are 3; raise --limit"),
    ("keypoints", {}, SHAPES, 2, MismatchError, "none of the images looked at form a pair; raise --limit"),
    ("video-segmentation", {}, VIDEO, 3, DataError, "no video has three frames.*--limit"),
]


@pytest.fixture
def plugins() -> Plugins:
    """All that is installed."""
    known = Plugins()
    known.load_installed()
    return known


@pytest.fixture(autouse=True)
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture can be read."""

    def read(*_: Any) -> None:
        raise AssertionError("a picture was read")

    for kind in (Shapes, ShapesVideo, Folder):
        monkeypatch.setattr(kind, "__getitem__", read)


def job_of(plugins: Plugins, analysis: str, options: Any, dataset: Any, limit: int | None) -> Job:
    part = {"name": analysis, "options": options}
    content = {"analyses": [part], "models": ["dino-B16"], "dataset": dataset, "limit": limit, "device": "cpu"}
    return prepare(make_plan(content, "test"), plugins)


@pytest.mark.parametrize(("analysis", "options", "dataset", "least", "kind", "said"), BOUNDARIES)
def test_a_limit_is_refused_where_it_leaves_too_little(
    plugins: Plugins, analysis: str, options: Any, dataset: Any, least: int, kind: type[VitanError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        job_of(plugins, analysis, options, dataset, least - 1)
    job_of(plugins, analysis, options, dataset, least)
    job_of(plugins, analysis, options, dataset, None)


def pictures(root: Path, *names: str) -> dict[str, Any]:
    """A dataset of empty files."""
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    return {"name": "folder", "options": {"root": str(root)}}


def test_clusters_of_classes_that_occur_once_are_refused(plugins: Plugins, tmp_path: Path) -> None:
    dataset = pictures(tmp_path, "cat/1.png", "dog/1.png", "owl/1.png")
    with pytest.raises(OptionError, match="each of the 3 images is the only one of its class"):
        job_of(plugins, "clustering", {}, dataset, None)
    job_of(plugins, "clustering", {}, pictures(tmp_path, "cat/2.png"), None)


@pytest.mark.parametrize("analysis", ["knn", "retrieval"])
def test_pictures_without_roles_are_refused(plugins: Plugins, tmp_path: Path, analysis: str) -> None:
    dataset = pictures(tmp_path, "cat/1.png", "cat/2.png", "dog/1.png")
    with pytest.raises(MismatchError, match=r"image 0 of the dataset has the role ''.*ROOT/query"):
        job_of(plugins, analysis, {}, dataset, None)


@pytest.mark.parametrize(
    ("dataset", "limit", "said"),
    [
        (SHAPES, 9, "limit 9: the first of 24 images.*; they are of 2 of 3 classes, 2 of 2 roles, 2 of 3 groups"),
        (SHAPES, 3, "limit 3: the first of 24 images.*; they are of 1 of 3 classes, 1 of 2 roles, 1 of 3 groups"),
        (VIDEO, 5, "limit 5: the first of 8 images.*; they are of 2 of 2 groups"),
        ({"name": "samples"}, 2, "limit 2: the first of [0-9]+ images, in the dataset's order, are looked at$"),
        (SHAPES, None, None),
        (SHAPES, 24, None),
        (SHAPES, 999, None),
    ],
)
def test_a_limit_says_what_it_takes(plugins: Plugins, dataset: Any, limit: int | None, said: str | None) -> None:
    reporter = Mock()
    tell_limit(job_of(plugins, "spectrum", {}, dataset, limit), reporter)
    lines = [call.args[0] for call in reporter.note.call_args_list]
    assert len(lines) == (said is not None)
    assert said is None or re.match(said, lines[0])


@pytest.mark.parametrize("option", ["per_class", "patterns"])
def test_what_is_summed_up_by_class_needs_labels(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(Shapes, "labels", lambda self: [0, None, *[1] * (len(self) - 2)])
    with pytest.raises(MismatchError, match="image 1 of the dataset has no label"):
        job_of(plugins, "attention", {option: True}, SHAPES, None)
    job_of(plugins, "attention", {}, SHAPES, None)
