"""Datasets below a folder of the user's: ``--data-root``, what ``vitan show`` finds there, and notes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import golden

TREE = golden.OWN / "features_seg_data" / "coco"
RUN = ("run", "needy", "-m", "toy-A8", "-d", "coco", "--limit", "3", "--output", "out", "--device", "cpu")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds COCO, with the datasets that come with vitan."""
    monkeypatch.delenv("VITAN_DISABLE_PLUGINS")
    monkeypatch.delenv("VITAN_DATA_DIR", raising=False)
    shutil.copytree(TREE, tmp_path / "data" / "coco")
    return tmp_path / "data"


def test_a_run_finds_its_dataset_and_says_what_is_left_out(vitan: Any, data: Path) -> None:
    ran = vitan(*RUN, "--data-root", data)
    assert ran.code == 0, ran.err
    assert "warning: coco: instances_val2017.json: 12 annotations left out: its first polygon has four" in ran.err
    assert "VITAN_DATA_DIR" not in os.environ


def test_the_variable_does_the_same_and_comes_back(vitan: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITAN_DATA_DIR", str(data))
    assert vitan(*RUN).code == 0
    assert vitan(*RUN, "--data-root", data.parent).code == 1
    assert os.environ["VITAN_DATA_DIR"] == str(data)


def test_without_it_the_error_says_how_to_name_it(vitan: Any, data: Path) -> None:
    ran = vitan(*RUN)
    assert (ran.code, ran.out) == (1, "")
    assert "where is the dataset coco?" in ran.err
    assert "--data-root" in ran.err
    ran = vitan(*RUN, "--data-root", data / "none")
    assert ran.code == 2
    assert "--data-root" in ran.err
    assert "there is no such folder; give the folder that holds the datasets" in ran.err


def test_a_picture_that_is_missing_stops_the_run_or_is_skipped(vitan: Any, data: Path) -> None:
    first = min((data / "coco" / "images" / "val2017").iterdir())
    first.unlink()
    ran = vitan(*RUN, "--data-root", data)
    assert ran.code == 1
    assert f"warning: coco: 1 of 36 pictures are missing, {first} for one" in ran.err
    assert f"{first}: cannot be read" in ran.err
    ran = vitan(*RUN, "--data-root", data, "--on-error", "skip")
    assert ran.code == 0, ran.err
    assert "1 of 3 images could not be read and were left out" in ran.err


def test_validate_takes_it_and_repeats_the_notes(vitan: Any, data: Path) -> None:
    plan = {"analyses": [{"name": "needy"}], "models": [{"name": "toy-A8"}], "dataset": {"name": "coco"}}
    Path("plan.json").write_text(json.dumps(plan))
    assert "where is the dataset coco?" in vitan("validate", "plan.json").err
    ran = vitan("validate", "plan.json", "--data-root", data)
    assert ran.code == 0, ran.err
    assert "coco, 36 images" in ran.out
    assert "12 annotations left out" in ran.out


def test_show_says_what_is_expected_and_what_is_there(vitan: Any, data: Path) -> None:
    out = vitan("show", "coco").out
    assert "    annotations/instances_val2017.json           outlines" in out
    assert "on this machine" not in out
    out = vitan("show", "coco", "--data-root", data).out
    assert "    annotations/instances_val2017.json  there    outlines" in out
    assert "36 pictures by default\n" in out
    assert "12 annotations left out" in out
    (data / "coco" / "annotations" / "instances_val2017.json").unlink()
    out = vitan("show", "coco", "--data-root", data).out
    assert "    annotations/instances_val2017.json  missing  outlines" in out
    assert "coco/annotations/instances_val2017.json: this file is missing" in out


def test_show_puts_headings_between_alternatives(vitan: Any, data: Path) -> None:
    shutil.copytree(TREE.parent / "pin", data / "PartImageNet")
    out = vitan("show", "partimagenet", "--data-root", data).out
    assert "    or the newer release (each class is in all splits), likewise val and test:\n" in out
    assert "    train.json                    there    outlines\n" in out
    assert "    annotations/train/train.json  missing  outlines\n" in out
    (about,) = json.loads(vitan("show", "partimagenet", "--json").out)
    assert {"path": "train.json", "what": "outlines", "there": None} in about["files"]


def test_an_analysis_that_needs_more_names_the_datasets_that_have_it(vitan: Any, data: Path) -> None:
    ran = vitan("run", "needy", "-m", "toy-A8", "-d", "dots")
    assert ran.code == 2
    assert "analysis needy needs masks, but dataset dots offers images alone; " in ran.err
    assert "coco, partimagenet" in ran.err


def test_where_no_dataset_has_it_that_is_said(vitan: Any) -> None:
    assert (
        "dots offers images alone; none that is installed does"
        in vitan("run", "needy", "-m", "toy-A8", "-d", "dots").err
    )
