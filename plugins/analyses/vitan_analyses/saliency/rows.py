"""From a block's attention to saliency maps and their masks: three rows per head, and no more, leave the block."""

from __future__ import annotations

from collections.abc import Sequence
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
    tokens = [single.get(name) for name in sources(layout)]
    if attention.device.type == "cpu":  # picture by picture, so that single rows are still in the processor's cache
        found = np.empty((len(attention), len(tokens), attention.shape[1], layout.n_patches), np.float32)
        for one, rows in zip(attention, found, strict=True):
            _read(one.float().numpy(), layout, tokens, rows)
    else:
        patches = attention[..., layout.patches]
        mean = patches[:, :, layout.patches].mean(2, dtype=torch.float32)
        each = [mean if token is None else patches[:, :, token].float() for token in tokens]
        found = torch.stack(each, 1).cpu().numpy()
    return found.reshape(*found.shape[:-1], *layout.grid)


def _read(attention: Array, layout: TokenLayout, tokens: Sequence[int | None], out: Array) -> None:
    """The rows of one picture (head, query, key) into ``out`` (source, head, key); None is the mean over patches."""
    for token, rows in sorted(zip(tokens, out, strict=True), key=lambda pair: pair[0] is not None):
        if token is None:  # first, as it reads everything
            np.einsum("hqk->hk", attention[:, layout.patches, layout.patches], out=rows)
            rows /= layout.n_patches
        else:
            rows[:] = attention[:, token, layout.patches]


def masks(rows: Array, layout: TokenLayout, mass: float, *, paper: bool = False) -> Array:
    """Masks of every head, and last of all heads together: (..., source, head, row, column) to (..., head + 1, ...).

    Together means the sum over heads of what they leave to patches. With ``paper`` each head first gets the mass 1 for
    CLS and for the centre, but not for the mean over patches: the published code normalises a shared tensor in place.
    """
    equal = [paper and name != "patches" for name in sources(layout)]
    merged = [merge_heads(rows[..., i, :, :, :], equal=one) for i, one in enumerate(equal)]
    return mass_mask(np.concatenate([rows, np.stack(merged, axis=-4)], axis=-3), mass)
