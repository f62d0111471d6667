"""Attention whose numbers are known without a computer, run through the whole analysis."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from vitan.analysis.records import Result
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch

from .probe import AttentionProbe
from .state import AttentionOptions

#: Mean distance between two random patches of a square grid, to the digits that were published.
UNIFORM = {7: 0.601578, 14: 0.560059, 16: 0.555072, 28: 0.540378}
_SIDE = 14


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance."""
    for side, expected in UNIFORM.items():
        tokens = 1 + side**2
        result = measure(torch.full((tokens, tokens), 1 / tokens), side)
        yield f"attention distance, uniform on {side}x{side}", expected, _value(result, "attention-distance"), 1e-6
        yield f"entropy, uniform on {side}x{side}", math.log(tokens), _value(result, "entropy"), 1e-5
    result = measure(torch.eye(1 + _SIDE**2), _SIDE)
    yield "attention distance, looking at itself", 0.0, _value(result, "attention-distance"), 1e-7
    result = measure(shifted(_SIDE), _SIDE)
    yield "attention distance, one patch to the right", 1 / _SIDE, _value(result, "attention-distance"), 1e-7
    yield "attention offset x, one patch to the right", 1 / _SIDE, _value(result, "attention-offset-x"), 1e-7
    yield "attention offset y, one patch to the right", 0.0, _value(result, "attention-offset-y"), 1e-7


def shifted(side: int) -> Tensor:
    """Every patch looks at its right neighbour, and those at the edge at themselves: (query, key), with CLS."""
    keys = torch.arange(side**2) + (torch.arange(side**2) % side < side - 1)
    attention = torch.eye(1 + side**2)
    attention[1:] = attention[1 + keys]
    return attention


def measure(attention: Tensor, side: int) -> Result:
    """The analysis of one image, one block and two equal heads of ``attention`` (query, key) with a CLS token."""
    layout = TokenLayout(("cls",), (side, side))
    patch = 224 // side
    model = ModelInfo(
        name="anchor",
        family="anchor",
        arch="T",
        patch=patch,
        image_size=side * patch,
        depth=1,
        heads=2,
        dim=2,
        layout=layout,
        blocks=(0,),
    )
    probe = AttentionProbe(AttentionOptions(), model)
    taps = {"attention": attention.expand(1, 2, -1, -1), "v": torch.ones(1, 2, len(layout), 1)}
    probe.update_block(0, taps, Batch(index=(0,), samples=(), placements=(), pixels=torch.empty(1, 3, 0, 0)))
    return probe.compute()


def _value(result: Result, metric: str) -> float:
    return next(record.value for record in result.records if record.metric == metric and record.head is None)
