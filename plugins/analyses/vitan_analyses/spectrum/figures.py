"""Pictures of the ``spectrum`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from vitan.analysis.figures import Drawable, Drawing, Plot
from vitan.analysis.recordings import KINDS

from ..plotting import pages as plots
from ..plotting.curves import Panel, line_page
from .probe import MEASURES

_TITLES = {
    "rank-me": "effective rank",
    "participation-ratio": "participation ratio",
    "decay": "decay of eigenvalues",
    "two-nn": "intrinsic dimension",
}


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """A page of curves over depth; for one model also where in the picture long tokens are, if there are any."""
    panels = [
        Panel(f"{_TITLES[name]}, {word}", unit, [d.result.arrays.get(f"{kind}-{name}") for d in drawables])
        for kind, word in KINDS.items()
        for name, unit in MEASURES.items()
        if any(f"{kind}-{name}" in d.result.arrays for d in drawables)
    ]
    panels.append(Panel("length of patch tokens", "", [d.result.arrays["token-norm"] for d in drawables]))
    note = f"{_pictures(drawables[0])}; raw outputs of the blocks"
    name = "spectrum" if len(drawables) == 1 else "compare-spectrum"
    title = "How many dimensions features use"
    yield Plot(name=name, figure=line_page(drawables, panels, title=title, subtitle=note))
    if len(drawables) == 1 and drawables[0].result.arrays["outliers"].any():
        yield _outliers(drawables[0])


def _outliers(drawable: Drawable) -> Plot:
    shares = drawable.result.arrays["outliers"]  # (block, row, column)
    columns = min(6, len(shares))
    rows = -(-len(shares) // columns)
    maps = np.zeros((rows * columns, *shares.shape[1:]))
    maps[: len(shares)] = shares
    blocks = drawable.model.blocks
    figure = plots.map_grid(
        maps.reshape(rows, columns, *shares.shape[1:]),
        [f"from block {blocks[row * columns]}" for row in range(rows)],
        [""] * columns,
        title=f"{plots.model_label(drawable.model)}: where patch tokens are long",
        subtitle=f"{_pictures(drawable)}; share in which a token is long",
        scale=(0.0, float(shares.max())),
        unit="share of pictures",
    )
    return Plot(name="outliers", figure=figure)


def _pictures(drawable: Drawable) -> str:
    return f"{len(drawable.result.arrays['image'])} pictures of {drawable.dataset_name}, {drawable.view.name} view"
