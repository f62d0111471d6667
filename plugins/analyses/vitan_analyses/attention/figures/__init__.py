"""Pictures of the ``attention`` analysis: of one model, or of several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vitan.analysis.figures import Drawable, Drawing

from . import comparison, overview
from . import heads as head_pages
from . import maps as map_pages
from . import offsets as compass


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """Pictures of one model, or comparisons of several; arrays that a result does not have are left out."""
    if len(drawables) > 1:
        yield from comparison.draw(drawables)
        return
    yield from overview.draw(drawables[0])
    yield from head_pages.draw(drawables[0])
    yield from compass.draw(drawables[0])
    yield from map_pages.draw(drawables[0])
