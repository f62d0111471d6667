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
    in place. Given on a CPU, and read once; maps go into ``out`` if that is given.

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
    tokens, mean = _single(layout), names.index("patches")
    # picture by picture, so that single rows are still in the processor's cache
    for one, into in zip(attention.float().numpy(), rows, strict=True):
        _sum(one[:, patches], patches, into[mean, :-1])
        for i, token in tokens.items():
            into[i, :-1] = one[:, token, patches]
    return _merged(found, layout, paper=paper)


def source_rows(attention: Tensor, layout: TokenLayout) -> Tensor:
    """The rows that maps are made of, on the attention's device: (image, source, head, patch) in float32.

    Takes (image, head, query, key); the row of ``patches`` is a sum over queries.
    """
    patches, tokens = layout.patches, _single(layout)
    rows = [
        attention[:, :, tokens[i], patches].float()
        if i in tokens
        else attention[:, :, patches, patches].sum(2, dtype=torch.float32)
        for i in range(len(sources(layout)))
    ]
    return torch.stack(rows, 1)


def maps_of_rows(rows: Array, layout: TokenLayout, *, paper: bool = False) -> Array:
    """The maps of ``source_rows`` that have come to the CPU; see ``saliency_maps``."""
    images, _, heads, _ = rows.shape
    found = np.empty((images, *map_shape(layout, heads)), np.float32)
    found[:, :, :-1] = rows.reshape(images, rows.shape[1], heads, *layout.grid)
    return _merged(found, layout, paper=paper)


def _single(layout: TokenLayout) -> dict[int, int]:
    """The sources that are one token: their place among the sources, and the token."""
    single = {"cls": layout.cls, "center": positions(layout)["center"]}
    return {i: token for i, name in enumerate(sources(layout)) if (token := single.get(name)) is not None}


def _merged(found: Array, layout: TokenLayout, *, paper: bool) -> Array:
    """Maps whose heads are there, the sums over patches made means, and all heads together put last."""
    found[:, sources(layout).index("patches"), :-1] /= layout.n_patches
    found[:, :, -1:] = merge_heads(found[:, :, :-1])
    for i in _single(layout) if paper else ():
        found[:, i, -1:] = merge_heads(found[:, i, :-1], equal=True)
    return found


def _sum(queries: Array, patches: slice, out: Array) -> None:
    """The sum over queries, (head, query, key) to (head, key) of the patches; four at a time, which is faster."""
    heads, count, keys = queries.shape
    step = next(step for step in (4, 2, 1) if count % step == 0)
    lines = np.einsum("hqk->hk", queries.reshape(heads, count // step, step * keys)).reshape(heads, step, keys)
    np.add.reduce(lines[..., patches], axis=1, out=out)
