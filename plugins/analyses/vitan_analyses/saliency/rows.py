"""From a block's attention to saliency maps and their masks: three rows per head, and no more, leave the block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vitan.errors import MismatchError
from vitan.tokens import TokenLayout

from ..drawing import Array
from ..maps import mass_mask, merge_heads, positions

if TYPE_CHECKING:
    from torch import Tensor

#: Whose attention a map is, with what figures call it.
SOURCES = {"cls": "CLS", "patches": "mean over patches", "center": "centre patch"}


def sources(layout: TokenLayout) -> tuple[str, ...]:
    """The sources that a model has: all of ``SOURCES``, but no ``cls`` without such a token."""
    return tuple(name for name in SOURCES if name != "cls" or layout.cls is not None)


def source_rows(attention: Tensor, layout: TokenLayout) -> Array:
    """What each source looks at: (image, head, query, key) to (image, source, head, row, column), in float32.

    Only patches are keys here, and rows are not renormalised: registers and CLS keep what they get. ``patches`` is the
    mean over the patch queries. The attention is read once, where it is, and only the rows come to the CPU.

    Raises ``MismatchError`` where the attention has not the layout's tokens.
    """
    if attention.shape[-2:] != (len(layout), len(layout)):
        raise MismatchError(
            f"attention of shape {tuple(attention.shape)} does not fit {len(layout)} tokens; "
            "give the layout of the same model"
        )
    dtype = torch.promote_types(attention.dtype, torch.float32)
    single = {"cls": layout.cls, "center": positions(layout)["center"]}
    rows = []
    for name in sources(layout):
        token = single.get(name)
        row = _mean_of_patches(attention, layout, dtype) if token is None else attention[:, :, token].to(dtype)
        rows.append(row[..., layout.patches])
    stacked = torch.stack(rows, 1)  # (image, source, head, patch)
    grids: Array = stacked.view(*stacked.shape[:-1], *layout.grid).cpu().numpy()
    return grids


def masks(rows: Array, layout: TokenLayout, mass: float, *, paper: bool = False) -> Array:
    """Masks of every head, and last of all heads together: (..., source, head, row, column) to (..., head + 1, ...).

    Together means the sum over heads of what they leave to patches. With ``paper`` each head first gets the mass 1 for
    CLS and for the centre, but not for the mean over patches: the published code normalises a shared tensor in place.
    """
    equal = [paper and name != "patches" for name in sources(layout)]
    merged = [merge_heads(rows[..., i, :, :, :], equal=one) for i, one in enumerate(equal)]
    return mass_mask(np.concatenate([rows, np.stack(merged, axis=-4)], axis=-3), mass)


def _mean_of_patches(attention: Tensor, layout: TokenLayout, dtype: torch.dtype) -> Tensor:
    """Grid row by grid row, which is twice as fast as all queries at once: (image, head, key)."""
    queries = attention[:, :, layout.patches]  # (image, head, query, key)
    rows = queries.view(*queries.shape[:2], *layout.grid, queries.shape[-1])
    return rows.sum(2, dtype=dtype).sum(2) / layout.n_patches
