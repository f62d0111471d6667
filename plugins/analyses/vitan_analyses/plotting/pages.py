"""One look for all plots: pages, axes, heat maps, grids of maps, and how each model is drawn.

Figures are made as objects and never through pyplot, so nothing has to be closed and nothing is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import ScalarFormatter

from vitan.anatomy import ModelInfo

from .pixels import MAPS, NUMBERS, Array, Scale, colour, tile

Canvas: TypeAlias = "Figure | SubFigure"

#: The share of all values that a scale which is common to many maps reaches up to.
COMMON = 0.998
#: Inches across a page, and dots per inch.
PAGE, DPI = 7.2, 200
#: Points: headings of pages, titles of panels, axis labels and legends, ticks.
HEADING, TITLE, LABEL, TICK = 10, 8, 7, 6
MARKERS = ("o", "^", "s", "D")
INK, FAINT = "#222222", "#bbbbbb"
#: Colours of categories that people with any colour vision can tell apart (Okabe and Ito 2008), the lightest last.
CATEGORIES = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#bbbbbb", "#F0E442")

#: Colours and markers of families whose models bring none.
_OTHERS = (("#000000", "P"), ("#E69F00", "*"), ("#6e6e6e", "X"), ("#0072B2", "<"), ("#b8860b", ">"), ("#CC79A7", "p"))
_DASHES = {32: "--", 16: "-", 14: "-.", 8: ":"}


@dataclass(frozen=True)
class Look:
    """How one model is drawn in every plot that it is in."""

    label: str
    colour: tuple[float, float, float]
    marker: str
    dashes: str
    hollow: bool


def model_label(model: ModelInfo) -> str:
    """What a model is called in figures: ``CLIP B/16``, or its own name where the family has no display name."""
    if not model.label or not model.name.startswith(f"{model.family}-{model.arch}{model.patch}"):
        return model.name
    rest = model.name.removeprefix(f"{model.family}-{model.arch}{model.patch}")
    size, _, weights = rest.partition("@")  # the weights are named where they are not the published ones
    label = f"{model.label} {model.arch}/{model.patch}{size.replace('-', ' ')}"
    return f"{label} ({weights})" if weights else label


def looks(models: Sequence[ModelInfo], labels: Sequence[str] | None = None) -> list[Look]:
    """A look for each model: colour and marker by family, dashes by patch size.

    Further members of a family that share these are lighter and drawn with hollow markers, so that no two models of a
    plot look alike, in colour or without.
    """
    others = cycle(_OTHERS)
    strange: dict[str, tuple[str, str]] = {}
    seen: dict[tuple[str, int], int] = {}
    result = []
    for model, label in zip(models, labels or [model_label(model) for model in models], strict=True):
        if not (model.colour and model.marker) and model.family not in strange:
            strange[model.family] = next(others)
        other_shade, other_marker = strange.get(model.family, ("", ""))
        shade, marker = model.colour or other_shade, model.marker or other_marker
        twin = seen.get((model.family, model.patch), 0)
        seen[model.family, model.patch] = twin + 1
        dashes = _DASHES.get(model.patch, "-")
        result.append(Look(label, _lighter(shade, twin), marker, dashes, twin % 2 == 1))
    return result


class Page(Figure):
    """A white figure whose texts are shown letter by letter: a name with dollar signs is not read as a formula."""

    def __init__(self, size: tuple[float, float], dpi: int, layout: ConstrainedLayoutEngine | None = None) -> None:
        super().__init__(figsize=size, dpi=dpi, layout=layout, facecolor="white")

    def draw(self, renderer: RendererBase) -> None:
        """See ``Figure``; whatever lays the texts out begins here."""
        for text in self.findobj(Text):
            assert isinstance(text, Text)
            text.set_parse_math(False)
        super().draw(renderer)


def page(height: float, width: float = PAGE, dpi: int = DPI) -> Figure:
    """An empty figure of so many inches whose parts keep clear of one another."""
    return Page((width, height), dpi, _layout(1.0))


def head(figure: Figure, title: str, subtitle: str = "") -> None:
    """Heading of a page made by ``page``, with a line of small print below; the parts keep clear of both."""
    used = 0.27 + 0.13 * (subtitle.count("\n") + 1 if subtitle else 0)
    figure.set_layout_engine(_layout(1 - used / figure.get_size_inches()[1]))
    _headings(figure, title, subtitle)


def tidy(axes: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Title, axis labels and the plain look of a panel with curves or points."""
    axes.set_title(title, fontsize=TITLE, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=LABEL)
    axes.set_ylabel(y, fontsize=LABEL)
    axes.tick_params(labelsize=TICK, length=2, width=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.5)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.5)
    axes.set_axisbelow(True)
    _written_out(axes)


def number_ticks(axes: Axes, numbers: Sequence[int]) -> None:
    """Ticks below some of the ascending whole numbers that curves are drawn over."""
    axes.set_xticks(numbers[:: every(len(numbers), 8)])


def every(count: int, most: int) -> int:
    """The step that leaves at most so many of ``count`` labels."""
    return 1 + (count - 1) // most


def heat_map(axes: Axes, values: Array, blocks: Sequence[int], *, title: str, scale: Scale, x: str = "head") -> None:
    """A number per block and head, (block, head), block 0 on top."""
    axes.imshow(values, cmap=NUMBERS, vmin=scale[0], vmax=scale[1], aspect="auto", interpolation="none")
    frame(axes, len(blocks), values.shape[1], blocks, title=title, x=x)


def frame(axes: Axes, rows: int, columns: int, blocks: Sequence[int], *, title: str, x: str = "head") -> None:
    """Block and head numbers around a heat map."""
    axes.set_title(title, fontsize=TITLE, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=LABEL)
    axes.set_ylabel("block", fontsize=LABEL)
    axes.set_xticks(range(0, columns, every(columns, 6)))
    rows_shown = range(0, rows, every(rows, 12))
    axes.set_yticks(rows_shown, [str(blocks[row]) for row in rows_shown])
    axes.tick_params(labelsize=TICK, length=0)
    axes.spines[:].set_visible(False)


def colour_bar(figure: Canvas, axes: Axes, scale: Scale, label: str) -> None:
    """A slim colour bar to the right of a heat map."""
    mappable = ScalarMappable(Normalize(*scale), NUMBERS)
    _dress(figure.colorbar(mappable, ax=axes, fraction=0.05, pad=0.02, aspect=50), label)


def depth_bar(figure: Canvas, panels: Sequence[Axes], blocks: Sequence[int]) -> None:
    """A colour bar beside ``panels`` that tells the blocks apart."""
    steps = (-0.5, len(blocks) - 0.5)
    mappable = ScalarMappable(Normalize(*steps), ListedColormap(depth_colours(len(blocks))))
    rows = len({spec.rowspan.start for axes in panels if (spec := axes.get_subplotspec())})
    bar = figure.colorbar(mappable, ax=panels, fraction=0.03, pad=0.02, aspect=20 * rows, shrink=0.98)
    _dress(bar, "block")
    shown = range(0, len(blocks), every(len(blocks), 12))
    bar.set_ticks(list(shown), labels=[str(blocks[i]) for i in shown])


def map_grid(
    maps: Array,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    subtitle: str = "",
    scale: Scale | None = None,
    unit: str = "",
    gap: int = 2,
    above: float = 0.0,
) -> Figure:
    """A labelled grid of maps, each value a square of whole dots.

    ``maps`` are numbers (row, column, height, width), coloured on ``scale`` or, without one, from 0 to 1; or pixels
    (row, column, height, width, 3). With a ``scale`` there is a colour bar. The figure is as large as the grid needs,
    at most about a page; ``above`` leaves so many inches empty between the headings and the grid.
    """
    joined = tile(maps, gap)
    pixels = colour(joined, MAPS, scale or (0.0, 1.0)) if maps.ndim == 4 else joined
    times = max(1, min(1300 // pixels.shape[1], int(1750 - above * DPI) // pixels.shape[0]))
    tall, wide = (side * times / DPI for side in pixels.shape[:2])
    words = 0.05 * max(map(len, columns))  # inches of the longest label
    narrow = wide / len(columns) < words + 0.03
    left = max(0.55, 0.15 + 0.056 * max(map(len, rows)))
    right, bottom = 0.65 if scale else 0.1, 0.1
    letters = max(0.082 * len(title), 0.058 * max(map(len, subtitle.split("\n"))))
    width, height = (
        max(left + wide + right, min(letters + 0.2, PAGE)),
        bottom + tall + above + 0.57 + (words if narrow else 0.08),
    )
    figure = Page((width, height), DPI)
    _headings(figure, title, subtitle)
    axes = figure.add_axes((left / width, bottom / height, wide / width, tall / height))
    axes.imshow(pixels, interpolation="none", aspect="auto")
    high, broad = maps.shape[2] + gap, maps.shape[3] + gap
    axes.set_xticks(np.arange(len(columns)) * broad + (broad - gap - 1) / 2, columns, rotation=90 if narrow else 0)
    axes.set_yticks(np.arange(len(rows)) * high + (high - gap - 1) / 2, rows)
    axes.xaxis.tick_top()
    axes.tick_params(labelsize=TICK, length=0, pad=2)
    axes.spines[:].set_visible(False)
    if scale:
        beside = figure.add_axes(((left + wide + 0.12) / width, bottom / height, 0.08 / width, min(tall, 2.5) / height))
        _dress(figure.colorbar(ScalarMappable(Normalize(*scale), MAPS), cax=beside, extend="max"), unit)
    return figure


def points(axes: Axes, x: Array, y: Array) -> None:
    """A point for each (block, head); colour goes with depth, and the marker changes from block to block."""
    for row, shade in enumerate(depth_colours(len(x))):
        axes.plot(x[row], y[row], MARKERS[row % 4], color=shade, markersize=3, markeredgewidth=0, alpha=0.85)


def depth_colours(count: int) -> Array:
    """A colour for each of so many blocks, dark to light, ending before the palest yellow; (count, 3) in [0, 1]."""
    return colour(np.linspace(0, 0.92, count), MAPS, (0.0, 1.0)) / 255.0


def rgb(name: str) -> tuple[float, float, float]:
    """A colour by name or as ``#rrggbb``, each part in [0, 1]."""
    red, green, blue = to_rgb(name)
    return red, green, blue


def _lighter(name: str, steps: int) -> tuple[float, float, float]:
    """The colour, blended a quarter of the way to white with every step, at most three times."""
    share = 0.75 ** min(steps, 3)
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(name))
    return red, green, blue


def _layout(top: float) -> ConstrainedLayoutEngine:
    """Parts that keep clear of one another, below the share ``top`` of the page's height."""
    return ConstrainedLayoutEngine(rect=(0, 0, 1, top), w_pad=0.05, h_pad=0.05, wspace=0.03, hspace=0.03)


def _headings(figure: Figure, title: str, subtitle: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.08 / width, 1 - 0.07 / height, title, fontsize=HEADING, va="top", color=INK)
    figure.text(0.08 / width, 1 - 0.27 / height, subtitle, fontsize=LABEL, va="top", color=INK)


def _dress(bar: Colorbar, label: str) -> None:
    bar.set_label(label, fontsize=LABEL)
    bar.ax.tick_params(labelsize=TICK, length=2, width=0.5)
    bar.ax.spines[:].set_visible(False)
    bar.outline.set_visible(False)
    _written_out(bar.ax)


def _written_out(axes: Axes) -> None:
    """Ticks with all their digits (2.8334), not as what they are above a number that would lie on the title."""
    for axis in (axes.xaxis, axes.yaxis):
        formatter = axis.get_major_formatter()
        if isinstance(formatter, ScalarFormatter):
            formatter.set_useOffset(False)
