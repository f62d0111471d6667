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
    def parts(self) -> list[tuple[str, Integers]]:
        """Points that belong together, by what they share: of a category, or by how two pictures differ."""
        found: list[tuple[str, Integers]]
        found = [(name, np.flatnonzero(self.category == i)) for i, name in enumerate(self.categories)]
        for fact in FACTS:
            values = self.column(fact)[:, 0]
            found += [
                (f"{fact} {value:g}", np.flatnonzero(values == value)) for value in np.unique(values) if value >= 0
            ]
        return found


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
        *(record for alpha in options.alpha for record in _pck(seen, alpha, options.protocol)),
        *_swaps(seen, options.protocol),
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


def _pck(seen: _Seen, alpha: float, protocol: str) -> Iterator[Record]:
    """The mean over categories with intervals, then per picture and point, then parts of the points."""
    hits = 100 * correct(seen.errors, seen.column("threshold")[:, 0], alpha)
    share = 1 / np.bincount(seen.category)[seen.category]  # so that every category counts the same
    sweep = best_blocks(hits, units=seen.pair, weights=share)
    yield from records_of(sweep, PCK, seen.blocks, unit="%", k=alpha, protocol=protocol)
    for metric, values in (
        (PER_IMAGE, means(hits, seen.pair).mean(1)),
        (PER_POINT, hits.mean(1)),
    ):
        yield from _curve(metric, values, seen.blocks, k=alpha, protocol=protocol)
    for name, points in seen.parts:
        metric = PCK if name in seen.categories else PER_POINT
        yield from _curve(metric, hits[:, points].mean(1), seen.blocks, k=alpha, protocol=protocol, group=name)


def _swaps(seen: _Seen, protocol: str) -> Iterator[Record]:
    """How often a point is taken for its mirror image, of those that have one in the target."""
    known = np.flatnonzero(~np.isnan(seen.swapped).all(0))
    for name, points in (("", known), *seen.parts):
        chosen = np.intersect1d(points, known)
        if chosen.size:
            values = 100 * seen.swapped[:, chosen].mean(1)
            yield from _curve(SWAPPED, values, seen.blocks, protocol=protocol, group=name, higher_is_better=False)


def _counts(seen: _Seen, left_out: int) -> Iterator[Record]:
    yield Record(metric="pairs", value=float(seen.pair.max() + 1), unit="pairs")
    yield Record(metric="points", value=float(len(seen.pair)), unit="points")
    yield Record(metric="pairs-left-out", value=float(left_out), unit="pairs")


def _curve(metric: str, values: Floats, blocks: Sequence[int], **more: Any) -> Iterator[Record]:
    for block, value in zip(blocks, values.tolist(), strict=True):
        yield Record(
            **{"metric": metric, "value": value, "unit": "%", "block": block, "higher_is_better": True, **more}
        )
