"""Pictures of the ``residual`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import LogLocator

from vitan.analysis.figures import Drawable, Drawing, Plot

from ..hsic.grams import KINDS
from ..plotting import pages as plots
from ..plotting import similarity as similarity_maps
from ..plotting.curves import Panel, line_page
from .probe import BRANCHES, ResidualProbe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMES = {"attention": "attention", "mlp": "MLP"}


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """Curves over depth for one or several models; for one also the skip stream of each block by branch of each."""
    several = "compare-" if len(drawables) > 1 else ""
    yield Plot(name=f"{several}residual-ratios", figure=_ratios(drawables))
    if several:
        yield Plot(name="compare-residual-cka", figure=_diagonals(drawables))
    else:
        yield Plot(name="residual-cka", figure=_maps(drawables[0]))


def _ratios(drawables: Sequence[Drawable]) -> Figure:
    panels = [
        Panel(
            f"{_NAMES[branch]}, {word}",
            "‖skip‖ / ‖branch‖",
            [drawable.result.arrays.get(f"norm-ratio-{branch}-{kind}") for drawable in drawables],
            across=1.0,
        )
        for branch in BRANCHES
        for kind, word in KINDS.items()
        if any(f"norm-ratio-{branch}-{kind}" in drawable.result.arrays for drawable in drawables)
    ]
    note = f"{_count(drawables[0])}, mean over images; dotted: both as long{_variant(drawables[0])}"
    title = "How much longer is the skip stream than what is added?"
    figure = line_page(drawables, panels, title=title, subtitle=note)
    for axes in figure.axes:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    return figure


def _diagonals(drawables: Sequence[Drawable]) -> Figure:
    panels = [
        Panel(
            f"skip stream and {_NAMES[branch]} branch",
            "CKA",
            [drawable.result.arrays[branch].diagonal() for drawable in drawables],
        )
        for branch in BRANCHES
    ]
    title = "How alike are skip stream and branch of a block?"
    figure = line_page(drawables, panels, title=title, subtitle=_note(drawables[0]))
    for axes in figure.axes:
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1.02)
    return figure


def _maps(drawable: Drawable) -> Figure:
    figure = plots.page(3.5)
    title = f"Are skip stream and branch of {plots.model_label(drawable.model)} alike?"
    plots.head(figure, title, _note(drawable))
    panels = list(figure.subplots(1, len(BRANCHES), squeeze=False).ravel())
    blocks = drawable.model.blocks
    for axes, branch in zip(panels, BRANCHES, strict=True):
        values, title, x, y = drawable.result.arrays[branch], _NAMES[branch], "branch of block", "skip stream of block"
        similarity_maps.block_map(axes, values, blocks, blocks, title=f"{title} branch", x=x, y=y)
    similarity_maps.similarity_bar(figure, panels)
    return figure


def _note(drawable: Drawable) -> str:
    return f"{_count(drawable)}; all tokens; {ResidualProbe.how(drawable.options)}"


def _count(drawable: Drawable) -> str:
    count = len(drawable.result.arrays["image"])
    return f"{count} pictures of {drawable.dataset_name}, {drawable.view.name} view"


def _variant(drawable: Drawable) -> str:
    return "; protocol paper" if getattr(drawable.options, "protocol", "") == "paper" else ""
