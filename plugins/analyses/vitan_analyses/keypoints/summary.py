"""From predictions to records and arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vitan.analysis.records import Record, Result
from vitan.analysis.sweep import best_blocks, records_of

from .points import COLUMNS, FACTS
from .scores import Floats, Integers, confused, correct, distances, means

#: Metrics of points that were found, by what is averaged first; all in percent.
PCK, PER_IMAGE, PER_POINT = "pck", "pck-image", "pck-point"
SWAPPED = "left-right-swapped"


#: What a part of the points can be of.
CATEGORY, CONDITION = "category", "condition"


@dataclass(frozen=True)
class Part:
    """Some of the points, by number, and what they have in common."""

    of: str
    name: str
    points: Integers


@dataclass(frozen=True)
class _Seen:
    """All points: what was found (block, point, 2) and what is known of them (point, ``COLUMNS``)."""

    found: Floats
    table: Floats
    image: Integers
    categories: list[str]
    category: Integers
    blocks: Sequence[int]

    @cached_property
    def errors(self) -> Floats:
        """(block, point), in pixels of the square."""
        return distances(self.found, self.table[:, :2])

    @cached_property
    def swapped(self) -> Floats:
        """(block, point): 1, 0, or NaN where a point has no mirror image in the target."""
        return confused(self.errors, distances(self.found, self.column("mirrored_x", "mirrored_y")))

    @cached_property
    def pair(self) -> Integers:
        """(point,): numbers of the pairs, ascending."""
        names = np.stack([self.image, self.column("pair")[:, 0].astype(np.int64)], 1)
        return np.unique(names, axis=0, return_inverse=True)[1].ravel()

    def column(self, *names: str) -> Floats:
        """Columns of the table by name, (point, column)."""
        return self.table[:, [COLUMNS.index(name) for name in names]]

    @cached_property
    def parts(self) -> list[Part]:
        """Points that belong together: of a category, or of pairs whose two pictures differ in the same way."""
        parts = [Part(CATEGORY, name, np.flatnonzero(self.category == i)) for i, name in enumerate(self.categories)]
        for fact in FACTS:
            values = self.column(fact)[:, 0]
            for value in np.unique(values[values >= 0]):
                parts.append(Part(CONDITION, f"{fact} {value:g}", np.flatnonzero(values == value)))
        return parts


def summarise(
    *,
    found: Floats,
    table: Floats,
    image: Integers,
    category: Sequence[str],
    left_out: int,
    blocks: Sequence[int],
    options: Any,
) -> Result:
    """Records and arrays of all points; ``found`` is (block, point, 2), the others have an entry per point."""
    categories, number = np.unique(np.asarray(category), return_inverse=True)
    seen = _Seen(found, table, image, categories.tolist(), number, blocks)
    records = [
        *(record for alpha in options.alpha for record in _pck(seen, alpha)),
        *_swaps(seen),
        *_counts(seen, left_out),
    ]
    hits = np.stack([correct(seen.errors, seen.column("threshold")[:, 0], alpha) for alpha in options.alpha], 1)
    arrays: dict[str, Any] = {
        "pck": 100 * np.stack([means(hits[:, i], number) for i in range(hits.shape[1])], 1),
        "error": seen.errors,
        "found": found,
        "swapped": seen.swapped,
        "point": seen.column("x", "y"),
        "source": seen.column("source_x", "source_y"),
        "threshold": seen.column("threshold")[:, 0],
        "image": image,
        "target": seen.column("target")[:, 0].astype(np.int64),
        "pair": seen.column("pair")[:, 0].astype(np.int64),
        "category": number,
        "categories": categories,
    }
    per_point = dict.fromkeys(("threshold", "image", "target", "pair", "category"), ("point",))
    axes = {
        "pck": ("block", "alpha", "category"),
        "error": ("block", "point"),
        "found": ("block", "point", "xy"),
        "swapped": ("block", "point"),
        "point": ("point", "xy"),
        "source": ("point", "xy"),
        "categories": ("category",),
        **per_point,
    }
    return Result(records=tuple(records), arrays=arrays, axes=axes, headline=(PCK, PER_IMAGE, SWAPPED))


def _pck(seen: _Seen, alpha: float) -> Iterator[Record]:
    """The mean over categories with intervals, then per picture and point, then parts of the points."""
    hits = 100 * correct(seen.errors, seen.column("threshold")[:, 0], alpha)
    share = 1 / np.bincount(seen.category)[seen.category]  # so that every category counts the same
    sweep = best_blocks(hits, units=seen.pair, weights=share, top=100)
    how: dict[str, Any] = {"parameter": "alpha", "at": alpha}
    yield from records_of(sweep, PCK, seen.blocks, **how)
    for metric, values in (
        (PER_IMAGE, means(hits, seen.pair).mean(1)),
        (PER_POINT, hits.mean(1)),
    ):
        yield from _curve(metric, values, seen.blocks, n=hits.shape[1], **how)
    for part in seen.parts:
        metric, values = PCK if part.of == CATEGORY else PER_POINT, hits[:, part.points].mean(1)
        yield from _curve(metric, values, seen.blocks, of=part.of, name=part.name, n=len(part.points), **how)


def _swaps(seen: _Seen) -> Iterator[Record]:
    """How often a point is taken for its mirror image, of those that have one in the target."""
    known = np.flatnonzero(~np.isnan(seen.swapped).all(0))
    for part in (Part("", "", known), *seen.parts):
        chosen = np.intersect1d(part.points, known)
        if chosen.size:
            values = 100 * seen.swapped[:, chosen].mean(1)
            yield from _curve(SWAPPED, values, seen.blocks, of=part.of, name=part.name, n=chosen.size)


def _counts(seen: _Seen, left_out: int) -> Iterator[Record]:
    yield Record(metric="pairs", value=float(seen.pair.max() + 1))
    yield Record(metric="points", value=float(len(seen.pair)))
    yield Record(metric="pairs-left-out", value=float(left_out))


def _curve(metric: str, values: Floats, blocks: Sequence[int], **more: Any) -> Iterator[Record]:
    for block, value in zip(blocks, values.tolist(), strict=True):
        yield Record(metric=metric, value=value, block=block, **more)
