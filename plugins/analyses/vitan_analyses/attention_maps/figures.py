"""Pictures of the ``attention-maps`` analysis: of one model picture by picture, or of several models side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vitan.analysis.figures import Drawable, Drawing

from . import comparison, film, grids, overlay
from .reading import Maps


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """Up to five pictures for each image of one model, or one for each image that several models have seen."""
    if len(drawables) > 1:
        return comparison.draw(drawables)
    return _one(drawables[0])


def _one(drawable: Drawable) -> Iterator[Drawing]:
    drawn, known = len(drawable.result.arrays["image-index"]), len(drawable.dataset)
    if drawn < known:
        drawable.say(f"  attention-maps: {drawn} of {known} pictures are drawn; --images N draws the first N")
    for image in Maps.of(drawable):
        yield from grids.draw(image)
        yield from overlay.draw(image)
        yield from film.draw(image)
