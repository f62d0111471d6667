"""The tutorial runs from top to bottom, and what it says of its numbers is so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
SOURCES = (
    "core",
    "plugins/models",
    "plugins/analyses",
    "plugins/datasets",
    "plugins/importers",
    "plugins/recipes",
    "plugins/executors",
)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tutorial, run in an empty folder with empty caches."""
    folder = tmp_path_factory.mktemp("tutorial")
    path = os.pathsep.join([*(str(ROOT / source) for source in SOURCES), os.environ.get("PYTHONPATH", "")])
    before = dict(os.environ)
    os.environ.update(PYTHONPATH=path, VITAN_CACHE=str(folder / "cache"), VITAN_OFFLINE="1")
    try:
        content = nbformat.read(NOTEBOOK, as_version=4)
        return nbclient.NotebookClient(content, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        os.environ.clear()
        os.environ.update(before)


def shown(notebook: Any, word: str) -> list[dict[str, Any]]:
    """What the cell that holds a word puts out, by kind of content; text that was printed is of kind ``stdout``."""
    (cell,) = (cell for cell in notebook.cells if cell.cell_type == "code" and word in cell.source)
    return [output.get("data", {output.get("name"): output.get("text")}) for output in cell.outputs]


def test_it_is_kept_without_what_it_puts_out() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code")


def test_the_arrays_have_the_axes_that_it_shows(notebook: Any) -> None:
    printed = "".join(output.get("stdout", "") for output in shown(notebook, "distance.shape"))
    assert printed == "(32, 12, 6) ('image', 'block', 'head')\n"


def test_the_table_has_a_row_for_each_block(notebook: Any) -> None:
    (table,) = (output for output in shown(notebook, "found.frame") if "text/html" in output)
    assert table["text/html"].count("<tr") >= 12


def test_the_figure_is_shown(notebook: Any) -> None:
    assert any("image/png" in output for output in shown(notebook, "found.figures"))


def test_what_is_read_again_is_the_same(notebook: Any) -> None:
    assert shown(notebook, "load_results")[-1]["text/plain"] in ("True", "np.True_")
