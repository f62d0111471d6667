"""The page on Python and the README's script: every listing runs, in its order, and gives what the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import vitan

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
LISTINGS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
#: Drawing every page of attention takes longer than all the rest; figures are looked at elsewhere.
QUICKLY = {'.write("results")': '.write("results", figures="none")'}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the whole page has defined, run as one script in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("page")
        patch.chdir(folder)
        patch.setenv("VITAN_CACHE", str(folder / "cache"))
        patch.setenv("VITAN_OFFLINE", "1")
        defined: dict[str, Any] = {}
        for listing in LISTINGS:
            if ".frame(" not in listing or find_spec("pandas"):
                exec(_quick(listing), defined)
        yield defined


def test_a_run_gives_arrays_records_a_table_and_figures(names: dict[str, Any]) -> None:
    found = names["found"]
    assert [(each.analysis, each.model) for each in found] == [
        (analysis, model) for model in ("random-S32", "random-B32") for analysis in ("attention", "cka")
    ]
    assert names["distance"].shape == (4, 2, 6)
    table = found._repr_html_()
    assert table.count("<tr>") == 5
    assert "data:image/png;base64," in found.figures("cka")._repr_html_()


def test_frames_have_a_row_for_each_record() -> None:
    pytest.importorskip("pandas")
    assert ".frame(" in PAGE  # and the listing has run


def test_what_is_written_is_read_back(names: dict[str, Any]) -> None:
    assert {each.model for each in names["again"]} == {"random-S32", "random-B32"}
    assert names["entropy"].shape == (4, 2, 6)
    assert names["best"].model == "random-S32"
    assert names["comparison"].models == ("random-B32", "random-S32")


def test_taps_have_the_shapes_of_the_page(names: dict[str, Any]) -> None:
    assert names["attention"].shape == (2, 6, 50, 50)
    assert names["cls"].shape == (2, 384)
    assert names["patches"].shape == (2, 49, 384)


def test_every_tap_is_named() -> None:
    from vitan.anatomy import TAPS

    assert [tap for tap in TAPS if f"`{tap}`" not in PAGE] == []


def test_an_own_dataset_and_a_plan_are_run(names: dict[str, Any]) -> None:
    assert (names["own"][0].dataset, names["own"][0].n) == ("greys", 6)
    first = names["found"]["attention", "random-S32"].records
    assert list(map(repr, names["same"].records)) == list(map(repr, first))  # nan is not equal to itself


def test_the_error_is_the_one_quoted(names: dict[str, Any]) -> None:
    with pytest.raises(vitan.VitanError) as caught:
        vitan.run("attention", "random-S33")
    quoted = re.search(r"# (no model is called .*?) \.\.\.", PAGE)
    assert quoted is not None
    assert str(caught.value).startswith(quoted[1])


def test_the_script_of_the_readme_runs(names: dict[str, Any]) -> None:
    """With models that need no network, in the folder and with the cache of the page."""
    assert names
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(script.strip().splitlines()) <= 12
    smaller = {"dino-B16": "random-S32", "mae-B16": "random-B32", "limit=16": "limit=4"}
    exec(_quick(script, smaller), {})
    assert Path("results/comparison/samples").is_dir()


def _quick(listing: str, more: Mapping[str, str] = MappingProxyType({})) -> str:
    for text, instead in {**QUICKLY, **more}.items():
        listing = listing.replace(text, instead)
    return listing


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
