"""What there is to find: the points of all pairs within a group of samples, as rows of one table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vitan.data.samples import Pair, Sample

from .square import threshold, to_square

#: What the annotation of a pair says besides its points; -1 where it says nothing.
FACTS = ("viewpoint_variation", "scale_variation", "truncation", "occlusion")
#: The columns of the table: where the point is in the target and in the source, and where its mirror image is in the
#: target (NaN where there is none), in pixels of the square; the positions of the target in the dataset, and of the
#: pair among those of its source.
COLUMNS = ("x", "y", "source_x", "source_y", "mirrored_x", "mirrored_y", "threshold", "target", "pair", *FACTS)

_SIDE = re.compile(r"(?<![a-z])(left|right)(?![a-z])")


@dataclass(frozen=True)
class Points:
    """All points to find from the pictures of a group, source by source.

    ``counts`` says how many rows belong to each sample; ``source`` and ``target`` (point,) are positions among the
    samples, ``table`` is (point, ``COLUMNS``), float64. ``left_out`` counts for each sample the pairs whose target is
    not in the group.
    """

    counts: list[int]
    source: Tensor
    target: Tensor
    table: Tensor
    left_out: list[int]


def mirrored(name: str) -> str:
    """The name of the point on the other side: left and right change places. The same where it has neither."""
    return _SIDE.sub(lambda side: "right" if side[0] == "left" else "left", name)


def collect(samples: Sequence[Sample], index: Sequence[int], side: int) -> Points:
    """The points of all pairs between these samples, in a square of ``side`` pixels.

    ``index`` is where the samples are in the dataset.
    """
    places = {sample.id: place for place, sample in enumerate(samples)}
    tables: list[Tensor] = []
    source: list[int] = []
    target: list[int] = []
    counts, left_out = [0] * len(samples), [0] * len(samples)
    for place, sample in enumerate(samples):
        for number, pair in enumerate(sample.pairs):
            if pair.target not in places:
                left_out[place] += 1
                continue
            there = places[pair.target]
            tables.append(_table(pair, (index[there], number), sample, samples[there], side))
            source += [place] * len(pair.names)
            target += [there] * len(pair.names)
            counts[place] += len(pair.names)
    table = torch.cat(tables) if tables else torch.zeros(0, len(COLUMNS), dtype=torch.float64)
    return Points(
        counts, torch.tensor(source, dtype=torch.long), torch.tensor(target, dtype=torch.long), table, left_out
    )


def _table(pair: Pair, numbers: tuple[int, int], source: Sample, target: Sample, side: int) -> Tensor:
    shown = target.image.size
    nowhere = (float("nan"), float("nan"))
    twins = [
        target.keypoints.get(mirrored(name), nowhere) if mirrored(name) != name else nowhere for name in pair.names
    ]
    constant = [threshold(pair.target_box, shown, side), *numbers, *(_fact(pair.facts, name) for name in FACTS)]
    points = (
        to_square(pair.points, shown, side),
        to_square(pair.source, source.image.size, side),
        to_square(twins, shown, side),
    )
    rest = torch.tensor(constant, dtype=torch.float64).expand(len(pair.names), -1)
    return torch.cat([*(part.double() for part in points), rest], 1)


def _fact(facts: Mapping[str, Any], name: str) -> float:
    value = facts.get(name)
    return float(value) if isinstance(value, (int, float)) else -1.0
