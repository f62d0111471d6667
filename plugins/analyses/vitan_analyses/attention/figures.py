"""Pictures of the ``attention`` analysis: of one model, or of several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vitan.figures import Drawable, Drawing

from . import comparison, compass, head_pages, map_pages, overview


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """Pictures of one model, or comparisons of several; arrays that a result does not have are left out."""
    if len(drawables) > 1:
        yield from comparison.draw(drawables)
        return
    yield from overview.draw(drawables[0])
    yield from head_pages.draw(drawables[0])
    yield from compass.draw(drawables[0])
    yield from map_pages.draw(drawables[0])
