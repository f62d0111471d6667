"""Pages of maps: what every head looks at on average, blocks down and heads across."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from vitan.analysis.figures import Drawable, Plot

from ...plotting import pages as plots
from ...plotting.pixels import Array, scale_from_zero, stretch, with_cls
from .overview import facts
from .readings import patch_maps

_TOKENS = {
    "cls": "CLS looks at",
    "patch": "patches look at, CLS included",
    "patch-only": "patches look at, among the patches",
}


def draw(drawable: Drawable) -> Iterator[Plot]:
    """For each array a page with every map on its own scale, and one with all maps on one scale."""
    for name, words in _TOKENS.items():
        found = patch_maps(drawable, f"attention-on-token-{name}")
        if found is None:
            continue
        maps, cls = found
        if name == "patch" and drawable.model.layout.cls is not None:
            note = "each map on its own scale; the corner is the share of CLS, from 0 (dark) to 1 (light)"
            joined = with_cls(stretch(maps), cls)
            yield Plot(name="maps-patch", figure=_figure(drawable, f"What {words}", joined, note, None))
            continue
        yield from _pair(drawable, f"maps-{name}", f"What {words}", maps)
    if (aligned := drawable.result.arrays.get("aligned-attention")) is not None:
        title = "Where heads look, relative to the query in the middle"
        yield from _pair(drawable, "maps-aligned", title, np.asarray(aligned))
    if (weighted := patch_maps(drawable, "value-weighted-on-token")) is not None:
        title = "Attention received, weighted by the length of the values"
        yield _page(drawable, "maps-value-weighted", title, weighted[0], "each map on its own scale")


def _pair(drawable: Drawable, name: str, title: str, maps: Array) -> Iterator[Plot]:
    yield _page(drawable, name, title, maps, "each map on its own scale")
    figure = _figure(drawable, title, maps, "all maps on one scale", scale_from_zero(maps, plots.COMMON))
    yield Plot(name=f"{name}-one-scale", figure=figure)


def _page(drawable: Drawable, name: str, title: str, maps: Array, note: str) -> Plot:
    return Plot(name=name, figure=_figure(drawable, title, stretch(maps), note, None))


def _figure(drawable: Drawable, title: str, maps: Array, note: str, scale: tuple[float, float] | None) -> Figure:
    return plots.map_grid(
        maps,
        [f"block {block}" for block in drawable.model.blocks],
        [f"head {head}" for head in range(maps.shape[1])],
        title=f"{plots.model_label(drawable.model)}: {title[0].lower()}{title[1:]}",
        subtitle=f"{facts(drawable)}\n{note}",
        scale=scale,
        unit="share of attention",
    )
