"""From a block's attention to saliency maps: three rows per head, and no more, leave the block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vitan.anatomy import TokenLayout
from vitan.errors import MismatchError

from ..plotting.pixels import Array
from ..regions.attention_rows import merge_heads, positions

if TYPE_CHECKING:
    from torch import Tensor

#: Whose attention a map is, with what figures call it.
SOURCES = {"cls": "CLS", "patches": "mean over patches", "center": "centre patch"}
#: What records call them.
TOKENS = {"cls": "cls", "patches": "patch-tokens", "center": "centre-patch"}


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
    names, patches = sources(layout), layout.patches
    found = np.empty((images, *map_shape(layout, heads)), np.float32) if out is None else out
    rows = found.reshape(*found.shape[:-2], layout.n_patches)  # (image, source, head + 1, patch)
    single = {"cls": layout.cls, "center": positions(layout)["center"]}
    tokens = [(i, token) for i, name in enumerate(names) if (token := single.get(name)) is not None]
    mean = names.index("patches")
    if attention.device.type == "cpu":  # picture by picture, so that single rows are still in the processor's cache
        for one, into in zip(attention.float().numpy(), rows, strict=True):
            _sum(one[:, patches], patches, into[mean, :-1])
            for i, token in tokens:
                into[i, :-1] = one[:, token, patches]
    else:
        rows[:, mean, :-1] = attention[:, :, patches, patches].sum(2, dtype=torch.float32).cpu().numpy()
        for i, token in tokens:
            rows[:, i, :-1] = attention[:, :, token, patches].float().cpu().numpy()
    rows[:, mean, :-1] /= layout.n_patches
    found[:, :, -1:] = merge_heads(found[:, :, :-1])
    for i, _ in tokens if paper else ():
        found[:, i, -1:] = merge_heads(found[:, i, :-1], equal=True)
    return found


def _sum(queries: Array, patches: slice, out: Array) -> None:
    """The sum over queries, (head, query, key) to (head, key) of the patches; four at a time, which is faster."""
    heads, count, keys = queries.shape
    step = next(step for step in (4, 2, 1) if count % step == 0)
    lines = np.einsum("hqk->hk", queries.reshape(heads, count // step, step * keys)).reshape(heads, step, keys)
    np.add.reduce(lines[..., patches], axis=1, out=out)
