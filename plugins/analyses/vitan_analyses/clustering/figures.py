"""Pictures of the ``clustering`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vitan.figures import Drawable, Drawing, Plot

from ..agreement_panels import agreement_panels
from ..curves import line_page
from ..pooled import KINDS


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """One page, whether of one model or of several: each measure for each kind of feature over depth."""
    panels = agreement_panels(drawables, KINDS)
    first = drawables[0]
    count, k = len(first.result.arrays["label"]), next(iter(first.result.records)).k
    note = f"{count} pictures of {first.dataset_name}, k = {k:g}, {first.view.name} view; dotted: uniform noise"
    name = "clustering" if len(drawables) == 1 else "compare-clustering"
    yield Plot(name=name, figure=line_page(drawables, panels, title="Do features fall into classes?", subtitle=note))
