"""Which types of heads models have: the share of each type in every block, a panel for each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch

from vitan.analysis.figures import Drawable

from ...plotting import pages as plots
from ...plotting.curves import looks
from .readings import head_types, type_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_types(drawables: Sequence[Drawable]) -> Figure | None:
    """A bar for each block, block 0 on top as in heat maps; None where no model has types."""
    shown = [pair for pair in zip(drawables, looks(drawables), strict=True) if head_types(pair[0])]
    if not shown:
        return None
    colours = type_colours({label for drawable, _ in shown for label in head_types(drawable).values()})
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = plots.page(0.75 + 1.5 * rows, plots.PAGE * max(columns, 2) / 4)
    plots.head(figure, "Types of heads", "share of the heads of each block that are of a type")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for number, (axes, (drawable, look)) in enumerate(zip(panels, shown, strict=False)):
        _bars(axes, drawable, colours)
        last = number >= len(shown) - columns
        plots.tidy(axes, look.label, x="share of heads" if last else "", y="" if number % columns else "block")
        axes.grid(visible=False)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    handles = [Patch(color=colour, label=label) for label, colour in colours.items()]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), fontsize=plots.LABEL, frameon=False,
        handlelength=1, handleheight=1,
    )  # fmt: skip
    return figure


def _bars(axes: Axes, drawable: Drawable, colours: dict[str, str]) -> None:
    blocks, types = drawable.model.blocks, head_types(drawable)
    rows, left = np.arange(len(blocks)), np.zeros(len(blocks))
    for label, colour in colours.items():
        counts = [sum(of == block and found == label for (of, _), found in types.items()) for block in blocks]
        shares = np.asarray(counts) / drawable.model.heads
        axes.barh(rows, shares, left=left, height=0.9, color=colour, linewidth=0)
        left += shares
    axes.set_ylim(len(blocks) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    step = plots.every(len(blocks), 12)
    axes.set_yticks(rows[::step], [str(block) for block in blocks[::step]])
