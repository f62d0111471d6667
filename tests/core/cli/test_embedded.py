"""Models that come with their weights: what is run where none is named, and the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vitan as library
from vitan.errors import WeightsUnavailableError
from vitan.registry.plugins import Plugins

TOYS = Path(__file__).with_name("toys.py")

#: Beside the toys: two models at home among the dots, their floor, and a demo of the two.
EMBEDDED = """
from pathlib import Path
from runpy import run_path

from vitan import Metric, ProbeSpec, RecipeSpec, hookimpl

toys = run_path({toys!r})


@hookimpl
def vitan_models():
    yield toys["_model"]("small-two", 2, embedded=True, home="dots")
    yield toys["_model"]("small-one", 1, embedded=True, home="dots")
    yield toys["_model"]("small-none", 3, embedded=True, home="dots", untrained=True)


@hookimpl
def vitan_probes():
    better = Metric(name="mean", summary="the mean", better="higher")
    yield ProbeSpec(name="rated", summary="a mean", load=toys["_mean_probe"], metrics=(better,))


@hookimpl
def vitan_recipes():
    yield RecipeSpec(name="demo", summary="both", plan=Path({plan!r}))
"""


@pytest.fixture
def more(tmp_path: Path) -> Path:
    path, plan = tmp_path / "embedded.py", tmp_path / "demo.yaml"
    plan.write_text("analyses: [rated]\nmodels: [small-one, small-two]\ndataset: dots\n")
    path.write_text(EMBEDDED.format(toys=str(TOYS), plan=str(plan)))
    return path


def models_of(out: str) -> list[str]:
    return [name for name in ("small-one", "small-two", "small-none", "toy-A8") if name in out]


def test_without_a_model_those_that_are_trained_and_embedded_are_run_where_they_are_at_home(
    vitan: Any, more: Path
) -> None:
    ran = vitan("run", "mean", "-p", more)
    assert ran.code == 0, ran.err
    assert models_of(ran.out) == ["small-one", "small-two"]
    assert "no --model: small-one, small-two, on dots" in ran.err
    assert "mean · dots" in ran.out


def test_a_model_that_is_named_is_the_only_one_and_still_at_home(vitan: Any, more: Path) -> None:
    ran = vitan("run", "mean", "-p", more, "-m", "small-none")
    assert models_of(ran.out) == ["small-none"]
    assert "mean · small-none · dots" in ran.out
    assert "no --model" not in ran.err


def test_models_of_two_homes_are_at_none(more: Path) -> None:
    known = Plugins()
    known.load_file(TOYS)
    known.load_file(more)
    assert known.home(["small-one", "small-two"]) == "dots"
    assert known.home(["small-one", "toy-A8"]) == known.home(["nobody"]) == known.home([]) == ""


def test_a_plan_keeps_its_models(vitan: Any, more: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("analyses: [mean]\nmodels: [toy-A8]\ndataset: dots\n")
    assert models_of(vitan("run", "-p", more, "--plan", plan).out) == ["toy-A8"]


def test_the_library_has_the_same_defaults(more: Path) -> None:
    found = library.run("mean", plugins=[TOYS, more])
    assert [(each.model, each.dataset) for each in found] == [("small-one", "dots"), ("small-two", "dots")]


def test_weights_that_cannot_be_had_name_the_models_that_need_none(vitan: Any, more: Path) -> None:
    assert (
        "These come with their weights: small-one, small-two."
        in vitan("run", "mean", "-p", more, "-m", "toy-W8", "-d", "dots").err
    )
    assert "These come" not in vitan("run", "mean", "-m", "toy-W8", "-d", "dots").err


def test_a_model_that_cannot_be_loaded_names_them_too(more: Path) -> None:
    with pytest.raises(WeightsUnavailableError, match=r"These come with their weights: small-one, small-two\."):
        library.load_model("toy-W8", plugins=[TOYS, more])


def test_the_options_of_the_dataset_at_home_are_known(vitan: Any, more: Path) -> None:
    ran = vitan("run", "mean", "-p", more, "--n", "4", "--json")
    assert ran.code == 0, ran.err


def test_recipes_are_listed_and_shown(vitan: Any, more: Path) -> None:
    assert "demo  both" in vitan("-p", more, "list", "recipes").out
    shown = vitan("-p", more, "show", "demo").out
    for part in ("small-one, small-two", "rated", "dots", "vitan run --plan"):
        assert part in shown


def test_the_demo_is_its_recipe_and_ends_with_the_best_blocks(vitan: Any, more: Path) -> None:
    ran = vitan("-p", more, "demo", "-o", "found")
    assert ran.code == 0, ran.err
    assert models_of(ran.out) == ["small-one", "small-two"]
    assert "best value of each model @ its block" in ran.out
    table = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines() if line.startswith("  small")}
    (one, two) = (table[name] for name in ("small-one", "small-two"))
    assert len(one) == len(two) == 2
    assert one[1][0] == two[1][0] == "@"
    assert one[0] != two[0]
    assert Path("found/records.csv").is_file()
    assert "report    found/report.html" in ran.out
    assert "small-two" in Path("found/report.html").read_text()
