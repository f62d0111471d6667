"""``import`` and ``table``."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def all_results(tmp_path: Path) -> Path:
    folder = tmp_path / "all_results"
    for model, scores in (("DINO-ViT-B-16-224", (10.0, 30.0)), ("RANDOM-ViT-B-16-224", (4.0, 2.0))):
        (folder / model).mkdir(parents=True)
        for block, top1 in enumerate(scores):
            content = {20: {"top1": top1, "top5": 2 * top1}}
            (folder / model / f"imagenet_knn_blk{block}.pkl").write_bytes(pickle.dumps(content))
    return folder


PLUGIN = """
from vitan import ModelSpec, hookimpl
from vitan_importers.teaching_matters import vitan_importers

@hookimpl
def vitan_models():
    yield ModelSpec(
        name="random-B16", summary="untrained", family="random", arch="B", patch=16, build=lambda: None, untrained=True
    )
"""


@pytest.fixture
def bare(bare: Any, tmp_path: Path) -> Any:
    """The command with the importer, and an untrained model."""
    plugin = tmp_path / "importer.py"
    plugin.write_text(PLUGIN)
    return lambda *args: bare("-p", plugin, *args)


def test_published_results_are_read_and_tabulated(bare: Any, all_results: Any, tmp_path: Path) -> None:
    (all_results / "DINO-ViT-B-16-224/notes.pkl").write_bytes(b"")
    ran = bare("import", all_results)
    assert ran.code == 0, ran.err
    assert ran.out.split("\n\n")[0].split() == [
        *("dino-B16", "knn", "imagenet", "2", "blocks"),
        *("random-B16", "knn", "imagenet", "2", "blocks"),
    ]
    assert "notes.pkl" in ran.err
    table = bare("table", "--metric", "knn-top1")
    assert "knn · imagenet · crop view · protocol paper · blocks count from 0" in table.out
    rows = [line.split() for line in table.out.splitlines()[2:]]
    assert rows == [
        ["knn-top1", "cls", "k", "=", "20", "dino-B16", "1", "2", "30.000", "%"],
        ["knn-top1", "cls", "k", "=", "20", "random-B16", "0", "2", "4.000", "%"],
    ]


def test_where_nothing_can_be_written_is_named(bare: Any, all_results: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = bare("import", all_results, "-o", tmp_path / "file")
    assert ran.code == 2
    assert "file: nothing can be written there (Not a directory); choose another" in ran.err


def test_what_is_asked_for_in_vain_is_named_beside_what_there_is(bare: Any, all_results: Any) -> None:
    bare("import", all_results)
    assert bare("table", "-a", "foo").err.endswith("no best block of foo; there are knn\n")
    assert "no best block of foo; there are knn-top1" in bare("table", "--metric", "foo").err


def test_the_published_way_averages_untrained_models(bare: Any, all_results: Any) -> None:
    bare("import", all_results, "-o", "elsewhere")
    ran = bare("table", "elsewhere", "--published", "--json", "--analysis", "knn")
    found = {(row["model"], row["metric"]): (row["block"], row["value"]) for row in json.loads(ran.out)}
    assert found["random-B16", "knn-top1"] == (0, 3.0)
    assert found["dino-B16", "knn-top5"] == (1, 60.0)


def test_a_run_has_no_best_block_where_no_direction_is_better(vitan: Any) -> None:
    assert vitan("run", "mean", "-m", "toy-A8", "-d", "dots").code == 0
    ran = vitan("table")
    assert ran.code == 2
    assert "which direction is better" in ran.err


def test_nothing_to_read_is_said(bare: Any, tmp_path: Path) -> None:
    assert bare("table", tmp_path / "none").code == 1
    ran = bare("import", tmp_path / "none")
    assert ran.code == 1
    assert "no such folder" in ran.err
