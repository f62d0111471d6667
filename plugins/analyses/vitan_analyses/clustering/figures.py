"""Pictures of the ``clustering`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vitan.figures import Drawable, Drawing, Plot

from ..clusters import FLOOR, METRICS
from ..curves import Panel, line_page
from ..pooled import KINDS


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """One page, whether of one model or of several: each measure for each kind of feature over depth."""
    panels = [
        Panel(
            f"{metric}, {word}",
            "",
            [d.result.arrays[kind][:, column] if kind in d.result.arrays else None for d in drawables],
            across=float(drawables[0].result.arrays[FLOOR][column]),
        )
        for kind, word in KINDS.items()
        if any(kind in d.result.arrays for d in drawables)
        for column, metric in enumerate(METRICS.values())
    ]
    first = drawables[0]
    count, k = len(first.result.arrays["label"]), next(iter(first.result.records)).k
    note = f"{count} pictures of {first.dataset_name}, k = {k:g}, {first.view.name} view; dotted: uniform noise"
    name = "clustering" if len(drawables) == 1 else "compare-clustering"
    yield Plot(name=name, figure=line_page(drawables, panels, title="Do features fall into classes?", subtitle=note))
