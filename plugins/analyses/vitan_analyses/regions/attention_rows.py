"""Maps of attention over the patch grid: whose rows to look at, and which patches hold most of a map's mass."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vitan.anatomy import TokenLayout
from vitan.errors import MismatchError, OptionError

Array: TypeAlias = "npt.NDArray[Any]"

#: Patches that are sorted at a time, so that what is made of them stays in the processor's cache.
_SLAB = 1 << 16

#: Stands for the average over all patch queries where a token index is expected.
ALL_PATCHES = -1


def positions(layout: TokenLayout) -> dict[str, int]:
    """The queries that are looked at in single images, name to token index.

    ``cls`` (where the model has one), the patches in the middle of the four sides and of the grid, and ``all``
    (``ALL_PATCHES``). On an even side the middle is the patch before the centre line, as in the published figures.
    """
    rows, columns = layout.grid
    middle_row, middle_column = (rows - 1) // 2, (columns - 1) // 2
    cells = {
        "top": (0, middle_column),
        "left": (middle_row, 0),
        "center": (middle_row, middle_column),
        "right": (middle_row, columns - 1),
        "bottom": (rows - 1, middle_column),
    }
    named = {} if layout.cls is None else {"cls": layout.cls}
    named |= {name: _token(layout, row, column) for name, (row, column) in cells.items()}
    return named | {"all": ALL_PATCHES}


def diagonal(layout: TokenLayout) -> dict[str, int]:
    """The patches from the top left to the bottom right corner, name (``diag00``, ...) to token index.

    There are as many as the grid's longer side has patches; on a square grid they are exactly its diagonal.
    """
    steps = max(layout.grid)
    last = max(steps - 1, 1)
    cells = ([(2 * i * (side - 1) + last) // (2 * last) for side in layout.grid] for i in range(steps))
    return {f"diag{i:02d}": _token(layout, row, column) for i, (row, column) in enumerate(cells)}


def query_map(attention: Tensor, layout: TokenLayout, token: int) -> Tensor:
    """What one query looks at: its row of ``attention`` over the patches, not renormalised.

    Takes (..., query, key) and a token index, or ``ALL_PATCHES`` for the average over the patch queries; returns
    (..., row, column) in at least float32, on the same device. Raises ``MismatchError`` where the attention has not the
    layout's tokens.
    """
    if attention.shape[-2:] != (len(layout), len(layout)):
        raise MismatchError(
            f"attention of shape {tuple(attention.shape)} does not fit {len(layout)} tokens; "
            "give the layout of the same model"
        )
    dtype = torch.promote_types(attention.dtype, torch.float32)
    if token == ALL_PATCHES:
        row = attention[..., layout.patches, layout.patches].mean(-2, dtype=dtype)
    else:
        row = attention[..., token, layout.patches].to(dtype)
    return row.reshape(*row.shape[:-1], *layout.grid)


def merge_heads(maps: Array, *, equal: bool = False) -> Array:
    """Sum of the heads' maps: (..., head, row, column) to (..., 1, row, column).

    With ``equal`` every head first gets the mass 1, as the published code does for the CLS and the centre query (by
    accident: an earlier step has normalised a shared tensor), but not for the average over the patches; a head without
    any mass then makes the sum NaN, and its mask empty.
    """
    if equal:
        with np.errstate(invalid="ignore"):
            maps = maps / maps.sum(axis=(-2, -1), keepdims=True)
    merged: Array = maps.sum(axis=-3, keepdims=True)
    return merged


def mass_mask(maps: Array, mass: float) -> npt.NDArray[np.bool_]:
    """The fewest patches that together hold at least the fraction ``mass`` of each map.

    Takes (..., row, column) with values of at least 0 and returns the same shape. Of equal values those that come
    later are kept first. A map without any mass gives an empty mask. The rule is the threshold of DINO's attention
    pictures: sort ascending, and keep every patch up to which the sum is above ``1 - mass``.

    Raises ``OptionError`` unless 0 < mass <= 1.
    """
    if not 0 < mass <= 1:
        raise OptionError(f"mass is {mass}; it is the fraction of attention to keep, above 0 and at most 1")
    flat = maps.reshape(-1, maps.shape[-2] * maps.shape[-1])  # (map, patch)
    mask = np.empty(flat.shape, np.bool_)
    step = max(1, _SLAB // flat.shape[1])
    for first in range(0, len(flat), step):
        mask[first : first + step] = _mass_mask(flat[first : first + step], mass)
    return mask.reshape(maps.shape)


def overlap(masks: Array, truth: Array) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """How well masks (..., row, column) agree with ``truth``, which may have fewer axes: IoU, and their sizes.

    The first is intersection over union in float32, where nothing against nothing is 0/0, and NaN.
    """
    ours, theirs = (part.reshape(*part.shape[:-2], -1).astype(np.bool_, copy=False) for part in (masks, truth))
    size, both = _counts(ours), _counts(ours & theirs)
    either = size + _counts(theirs) - both
    with np.errstate(invalid="ignore"):
        ratio: npt.NDArray[np.float32] = np.divide(both, either, dtype=np.float32)
    return ratio, size


def _mass_mask(flat: Array, mass: float) -> npt.NDArray[np.bool_]:
    """``mass_mask`` of (map, patch). Only values are sorted, which is far faster than to sort their places."""
    count, patches = flat.shape
    ascending = np.sort(flat, axis=-1)
    cumulative = torch.from_numpy(ascending).cumsum(-1, dtype=torch.float64)
    total = cumulative[:, -1:]
    dropped = torch.searchsorted(cumulative, (1 - mass) * total, right=True).numpy()[:, 0]
    which = np.arange(count)
    border = ascending[which, np.minimum(dropped, patches - 1)]
    border[~(total.numpy()[:, 0] > 0)] = np.inf  # nothing is kept without mass
    mask: npt.NDArray[np.bool_] = flat >= border[:, None]
    crowded = (dropped > 0) & (ascending[which, np.maximum(dropped - 1, 0)] == border)
    if crowded.any():
        mask[crowded] = _drop_first(flat[crowded], border[crowded], dropped[crowded])
    return mask


def _drop_first(flat: Array, border: Array, dropped: Array) -> Array:
    """Masks of maps (map, patch) with more patches equal to ``border`` than are kept; the first of these are not."""
    mask, equal = flat >= border[:, None], flat == border[:, None]
    excess = mask.sum(axis=-1) - (flat.shape[-1] - dropped)
    kept: Array = mask & ~(equal & (equal.cumsum(axis=-1) <= excess[:, None]))
    return kept


def _counts(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """How many are set along the last axis."""
    counts: npt.NDArray[np.int32] = mask.view(np.uint8).sum(axis=-1, dtype=np.int32)
    return counts


def _token(layout: TokenLayout, row: int, column: int) -> int:
    return len(layout.prefix) + row * layout.grid[1] + column
