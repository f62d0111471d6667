"""Pictures of the ``video-segmentation`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from vitan.analysis.figures import Drawable, Drawing, Plot

from ..plotting.curves import Panel, line_page
from ..plotting.pixels import Array
from . import strips
from .reading import Predictions

_PANELS = {
    "j-and-f-mean": "J & F mean",
    "j-mean": "J mean",
    "f-mean": "F mean",
    "j-recall": "J recall",
    "f-recall": "F recall",
    "j-decay": "J decay",
}


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """Curves over depth, for one model or several; for one also some videos."""
    yield _curves(drawables)
    if len(drawables) == 1:
        yield from strips.draw(Predictions(drawables[0]))


def _curves(drawables: Sequence[Drawable]) -> Plot:
    panels = [Panel(name, "", [_curve(each, metric) for each in drawables]) for metric, name in _PANELS.items()]
    first = drawables[0]
    count = len(Predictions(first).evaluations[first.model.blocks[0]].objects)
    note = f"{count} objects in videos of {first.dataset_name}, {first.view.name} view; higher is better, but decay"
    name = "video-segmentation" if len(drawables) == 1 else "compare-video-segmentation"
    return Plot(name=name, figure=line_page(drawables, panels, title="Do features follow objects?", subtitle=note))


def _curve(drawable: Drawable, metric: str) -> Array:
    """The values of a measure over all objects, block by block."""
    values = {r.block: r.value for r in drawable.result.records if r.metric == metric and not r.of}
    return np.array([values[block] for block in drawable.model.blocks])
