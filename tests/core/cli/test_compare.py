"""``vitan compare``: models beside one another from what earlier runs have left."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitan.engine import runner


@pytest.fixture
def two(vitan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models run one after the other; from then on no model may be loaded."""
    for name in ("toy-A8", "toy-B8"):
        assert vitan("run", "mean", "-m", name, "-d", "dots").code == 0
    monkeypatch.setattr(runner, "load_model", lambda *_, **__: pytest.fail("a model was loaded"))


@pytest.mark.usefixtures("two")
def test_models_that_were_run_apart_are_drawn_and_tabulated_together(vitan: Any) -> None:
    ran = vitan("compare")
    assert ran.code == 0, ran.err
    assert "toy-A8" in ran.out
    assert "toy-B8" in ran.out
    assert "results/comparison/dots/mean/models.png" in ran.out
    assert Path("results/comparison/dots/mean/models.png").is_file()
    together = vitan("compare", "mean", "-m", "toy-B8", "-m", "toy-A8", "--figures", "none")
    rows = [line.split()[0] for line in together.out.splitlines() if "toy-" in line]
    assert rows == ["toy-B8", "toy-A8"]


@pytest.mark.usefixtures("two")
def test_neither_the_dataset_nor_the_weights_are_needed(vitan: Any) -> None:
    plan = Path("results/toy-A8/dots/mean/plan.yaml")
    plan.write_text(plan.read_text().replace("name: dots", "name: gone"))
    assert vitan("compare").code == 0


@pytest.mark.usefixtures("two")
def test_another_folder_gets_what_there_is_to_write(vitan: Any) -> None:
    none = vitan("compare", "-o", "out", "--figures", "none")
    assert none.code == 0, none.err
    assert "toy-A8" in none.out
    assert "numbers" not in none.out
    assert not Path("out").exists()
    drawn = vitan("compare", "-o", "out")
    assert drawn.code == 0, drawn.err
    assert Path("out/comparison/dots/mean/models.png").is_file()
    assert "numbers" not in drawn.out, "of what is only drawn together there is none"


def test_results_on_other_images_are_refused_by_name(vitan: Any) -> None:
    vitan("run", "mean", "-m", "toy-A8", "-d", "dots")
    vitan("run", "mean", "-m", "toy-B8", "-d", "dots", "--limit", "4", "--mean.limit", "2")
    ran = vitan("compare")
    assert ran.code == 2
    assert "toy-A8 and toy-B8 cannot be compared in mean: they differ in number of images (6 and 4)" in ran.err
    assert "limit (3 and 2)" in ran.err
    vitan("run", "mean", "-m", "toy-B8", "-d", "dots", "--n", "5")
    assert "they differ in images (dots 6 -1 and dots 5 -1), number of images (6 and 5)" in vitan("compare").err
    vitan("run", "mean", "-m", "toy-B8", "-d", "dots", "--kind", "squared", "--batch-size", "3")
    assert "batch size (8 and 3), kind (plain and squared)" in vitan("compare").err


def test_what_cannot_be_compared_says_why(vitan: Any) -> None:
    assert "results holds no results; 'vitan run' makes some" in vitan("compare").err
    vitan("run", "mean", "-m", "toy-A8", "-d", "dots")
    assert "holds no analysis of two models on one dataset; run a second model first" in vitan("compare").err
    assert "no results of mean for toy-X8;" in vitan("compare", "mean", "-m", "toy-X8").err
    vitan("run", "mean", "-m", "toy-B8", "-d", "dots")
    Path("results/toy-B8/dots/mean/arrays.json").write_text("{")
    ran = vitan("compare")
    assert ran.code == 1
    assert "results/toy-B8/dots/mean is incomplete or of an older version" in ran.err


def test_what_models_have_between_them_needs_only_their_states(bare: Any, tmp_path: Path) -> None:
    """The comparison of stored states equals that of one run."""
    toys = Path(__file__).with_name("toys.py")
    (tmp_path / "cka.py").write_text("from vitan_analyses.cka import vitan_probes\n")
    plugins = ("-p", toys, "-p", tmp_path / "cka.py")

    def run(*words: Any) -> Any:
        ran = bare(*plugins, *words)
        assert ran.code == 0, ran.err
        return ran

    run("run", "cka", "-m", "toy-A8", "-m", "toy-B8", "-d", "dots", "-o", "one")
    run("run", "cka", "-m", "toy-A8", "-d", "dots", "-o", "two")
    run("run", "cka", "-m", "toy-B8", "-d", "dots", "-o", "two")
    run("compare", "-r", "two")
    first, second = (np.load(f"{name}/comparison/dots/cka/arrays.npz") for name in ("one", "two"))
    assert set(first.files) == set(second.files)
    for name in first.files:
        assert np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind == "f"), name
    rows = list(csv.DictReader(Path("two/comparison/dots/cka/records.csv").read_text().splitlines()))
    assert {(row["model"], row["other"]) for row in rows} == {("toy-A8", "toy-B8")}
    shutil.rmtree(tmp_path / "cache" / "states")
    ran = bare(*plugins, "compare", "-r", "two")
    assert ran.code == 1
    assert "the state behind two/toy-A8/dots/cka is no longer stored" in ran.err
