"""Pictures of the ``clustering`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vitan.analysis.figures import Drawable, Drawing, Plot
from vitan.analysis.recordings import KINDS

from ..plotting.agreement import agreement_panels
from ..plotting.curves import line_page


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """One page, whether of one model or of several: each measure for each kind of feature over depth."""
    panels = agreement_panels(drawables, KINDS)
    first = drawables[0]
    count, k = len(first.result.arrays["label"]), next(iter(first.result.records)).at
    note = f"{count} pictures of {first.dataset_name}, k = {k:g}, {first.view.name} view; dotted: uniform noise"
    name = "clustering" if len(drawables) == 1 else "compare-clustering"
    yield Plot(name=name, figure=line_page(drawables, panels, title="Do features fall into classes?", subtitle=note))
