"""Pictures of the ``segments`` analyses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from vitan.analysis.figures import Drawable, Drawing, Plot

from ..plotting.agreement import agreement_panels
from ..plotting.curves import family_page, line_page

if TYPE_CHECKING:
    from .probe import SegmentsOptions

_TITLE = "Do the features of objects fall into their categories?"


def draw(drawables: Sequence[Drawable]) -> Iterator[Drawing]:
    """One page, whether of one model or of several; where families have several models, one of their means."""
    panels = agreement_panels(drawables, {"objects": "objects"})
    first = drawables[0]
    k = next(record.at for record in first.result.records if record.parameter == "clusters")
    rule = ", published masks" if cast("SegmentsOptions", first.options).protocol == "paper" else ""
    count = len(first.result.arrays["label"])
    note = f"{count} objects of {first.dataset_name}, k = {k:g}, {first.view.name} view{rule}; dotted: uniform noise"
    name = "segments" if len(drawables) == 1 else "compare-segments"
    yield Plot(name=name, figure=line_page(drawables, panels, title=_TITLE, subtitle=note))
    families = family_page(drawables, panels, title=f"{_TITLE} Families", subtitle=note)
    if families:
        yield Plot(name=f"{name}-families", figure=families)
