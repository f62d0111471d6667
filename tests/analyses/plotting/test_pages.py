"""The look that all plots share."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.lines import Line2D

import vitan_analyses
from vitan.analysis.encoding import write_plot
from vitan_analyses.plotting import pages as plots
from vitan_analyses.plotting.photographs import Scene, draw_outline
from vitan_analyses.video_segmentation import strips

#: Names of files, classes and models that are formulas for matplotlib, whole or broken.
FORMULAS = [r"x$\frac{$", r"$\nosuch$", r"a$b$c", "100 $", r"\$5", "$$", r"$x^{$", "under_score^up"]


def _page(name: str) -> plots.Page:
    """A page with a name wherever a page has text."""
    figure = plots.page(2.0)
    plots.head(figure, name, name)
    left, right = figure.subplots(1, 2)
    plots.tidy(left, name, x=name, y=name)
    left.set_xticks([0, 1], [name, name])
    left.text(0, 0, name)
    left.annotate(name, (1, 1))
    plots.heat_map(right, np.zeros((2, 2)), [0, 1], title=name, scale=(0.0, 1.0), x=name)
    plots.colour_bar(figure, right, (0.0, 1.0), name)
    right.legend(handles=[Line2D([], [], label=name)], title=name)
    figure.legend(handles=[Line2D([], [], label=name)], loc="outside lower center")
    return figure


@pytest.mark.parametrize("name", FORMULAS)
def test_no_text_is_read_as_a_formula(name: str) -> None:
    grid = plots.map_grid(np.zeros((1, 1, 4, 4)), [name], [name], title=name, scale=(0.0, 1.0), unit=name)
    for figure, texts in ((_page(name), 15), (grid, 4)):
        write_plot(figure, BytesIO(), svg := BytesIO())
        drawn = re.findall(r"<!-- (.*?) -->", svg.getvalue().decode())  # the texts, beside their outlines
        assert drawn.count(name) == texts


def test_no_title_of_a_film_is_read_as_a_formula() -> None:
    drawn = strips._page((300, 60), r"x$\frac{$", {(10, 50): r"$\nosuch$"})
    assert (drawn != 255).any()


def test_every_figure_of_an_analysis_is_such_a_page() -> None:
    """One made otherwise would read formulas in names."""
    room = Path(vitan_analyses.__file__).parent
    makers = [
        path for path in room.rglob("*.py") if re.search(r"\bFigure\(\w+=|import pyplot", path.read_text("utf-8"))
    ]
    assert makers == []


def test_the_outline_of_a_mask_is_one_path_of_an_svg() -> None:
    mask = np.indices((14, 14)).sum(axis=0) % 2 == 0  # a chess board, which has the longest of all outlines
    shown = Scene("name", "sample", np.zeros((28, 28, 3), np.uint8), (0.0, 0.0, 28.0, 28.0), whole=False)
    figure = plots.page(2.0, 2.0)
    draw_outline(figure.subplots(), shown, mask, "white", 0.8)
    (drawn,) = figure.axes[0].patches
    sides = 2 * 13 * 14 + 4 * 7  # between patches, and half of those at the edge
    assert len(drawn.get_path()) == 2 * sides
    write_plot(figure, BytesIO(), svg := BytesIO())
    assert len(svg.getvalue()) < 100 * sides, "no hundred bytes for each side of a patch"
