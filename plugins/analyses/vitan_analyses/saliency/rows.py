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
    single = {"cls": layout.cls, "center": positions(layout)["center"]}
    found = np.empty((attention.shape[0], len(sources(layout)), attention.shape[1], layout.n_patches), np.float32)
    for i, name in enumerate(sources(layout)):
        token = single.get(name)
        if token is None:
            _mean_of_patches(attention, layout, found[:, i])
        else:
            found[:, i] = attention[:, :, token, layout.patches].float().cpu().numpy()
    return found.reshape(*found.shape[:-1], *layout.grid)


def masks(rows: Array, layout: TokenLayout, mass: float, *, paper: bool = False) -> Array:
    """Masks of every head, and last of all heads together: (..., source, head, row, column) to (..., head + 1, ...).

    Together means the sum over heads of what they leave to patches. With ``paper`` each head first gets the mass 1 for
    CLS and for the centre, but not for the mean over patches: the published code normalises a shared tensor in place.
    """
    equal = [paper and name != "patches" for name in sources(layout)]
    merged = [merge_heads(rows[..., i, :, :, :], equal=one) for i, one in enumerate(equal)]
    return mass_mask(np.concatenate([rows, np.stack(merged, axis=-4)], axis=-3), mass)


def _mean_of_patches(attention: Tensor, layout: TokenLayout, out: Array) -> None:
    """The mean over patch queries in one read, into ``out`` (image, head, key)."""
    queries = attention[:, :, layout.patches]  # (image, head, query, key)
    if queries.device.type == "cpu" and queries.dtype == torch.float32:  # numpy is twice as fast here as torch's sum
        np.einsum("ihqk->ihk", queries[..., layout.patches].numpy(), out=out)
    else:  # grid row by grid row, which is faster than all queries at once
        rows = queries.view(*queries.shape[:2], *layout.grid, queries.shape[-1])
        out[:] = rows.sum(2, dtype=torch.float32).sum(2)[..., layout.patches].cpu().numpy()
    out /= layout.n_patches
