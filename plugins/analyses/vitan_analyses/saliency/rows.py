"""From a block's attention to saliency maps: three rows per head, and no more, leave the block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from vitan.errors import MismatchError
from vitan.tokens import TokenLayout

from ..drawing import Array
from ..maps import merge_heads, positions

if TYPE_CHECKING:
    from torch import Tensor

#: Whose attention a map is, with what figures call it.
SOURCES = {"cls": "CLS", "patches": "mean over patches", "center": "centre patch"}


def sources(layout: TokenLayout) -> tuple[str, ...]:
    """The sources that a model has: all of ``SOURCES``, but no ``cls`` without such a token."""
    return tuple(name for name in SOURCES if name != "cls" or layout.cls is not None)


def map_shape(layout: TokenLayout, heads: int) -> tuple[int, int, int, int]:
    """(source, head + 1, row, column): the maps of one picture in one block."""
    return (len(sources(layout)), heads + 1, *layout.grid)


def saliency_maps(attention: Tensor, layout: TokenLayout, *, paper: bool = False, out: Array | None = None) -> Array:
    """What each source looks at: (image, head, query, key) to (image, source, head + 1, row, column), in float32.

    Only patches are keys here, and maps are not renormalised: registers and CLS keep what they get. ``patches`` is the
    mean over the patch queries. The last head is all heads together, their sum. With ``paper`` each head then has the
    mass 1 for CLS and for the centre, but not for the mean over patches: the published code normalises a shared tensor
    in place. The attention is read once, where it is, and only the rows come to the CPU, into ``out`` if that is given.

    Raises ``MismatchError`` where the attention has not the layout's tokens.
    """
    if attention.shape[-2:] != (len(layout), len(layout)):
        raise MismatchError(
            f"attention of shape {tuple(attention.shape)} does not fit {len(layout)} tokens; "
            "give the layout of the same model"
        )
    images, heads = attention.shape[:2]
    found = np.empty((images, *map_shape(layout, heads)), np.float32) if out is None else out
    single = {"cls": layout.cls, "center": positions(layout)["center"]}
    tokens = [single.get(name) for name in sources(layout)]
    rows = found.reshape(*found.shape[:-2], layout.n_patches)[:, :, :-1]  # of the heads by themselves
    if attention.device.type == "cpu":  # picture by picture, so that single rows are still in the processor's cache
        for one, into in zip(attention, rows, strict=True):
            _read(one.float().numpy(), layout, tokens, into)
    else:
        patches = attention[..., layout.patches]
        mean = patches[:, :, layout.patches].mean(2, dtype=torch.float32)
        each = [mean if token is None else patches[:, :, token].float() for token in tokens]
        rows[:] = torch.stack(each, 1).cpu().numpy()
    for i, name in enumerate(sources(layout)):
        found[:, i, -1:] = merge_heads(found[:, i, :-1], equal=paper and name != "patches")
    return found


def _read(attention: Array, layout: TokenLayout, tokens: Sequence[int | None], out: Array) -> None:
    """The rows of one picture (head, query, key) into ``out`` (source, head, key); None is the mean over patches."""
    for token, rows in sorted(zip(tokens, out, strict=True), key=lambda pair: pair[0] is not None):
        if token is None:  # first, as it reads everything
            _mean_over_patches(attention, layout, rows)
        else:
            rows[:] = attention[:, token, layout.patches]


def _mean_over_patches(attention: Array, layout: TokenLayout, out: Array) -> None:
    """The mean over the patch queries, (head, query, key) to (head, key); two queries at a time, which is faster."""
    queries = attention[:, layout.patches]
    heads, count, keys = queries.shape
    step = 1 if count % 2 else 2
    lines = np.einsum("hqk->hk", queries.reshape(heads, count // step, step * keys)).reshape(heads, step, keys)
    np.sum(lines[..., layout.patches], axis=1, out=out)
    out /= count
