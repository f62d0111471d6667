"""What a module says of its tokens, blocks and heads."""

from __future__ import annotations

from torch import nn

from .errors import MismatchError
from .recorder import find_blocks
from .taps import TapMap
from .tokens import TokenLayout


def find_layout(module: nn.Module, image_size: int) -> TokenLayout:
    """The roles of the tokens and the patch grid, as timm's and open_clip's Vision Transformers tell them.

    timm puts CLS first, then the distillation token or the registers, then the patches; open_clip has CLS or nothing.

    Raises ``MismatchError`` for a module that has no patch grid of its own.
    """
    if hasattr(module, "class_embedding") and hasattr(module, "grid_size"):  # open_clip
        return TokenLayout(("cls",), _pair(module.grid_size))
    grid = getattr(getattr(module, "patch_embed", None), "grid_size", None)
    if grid is None:
        raise MismatchError(
            f"{type(module).__name__} keeps no fixed grid of patches at {image_size} pixels: "
            "vitan reads plain Vision Transformers, not hierarchical or convolutional models"
        )
    prefix = ["cls"] if getattr(module, "cls_token", None) is not None else []
    if getattr(module, "dist_token", None) is not None:
        prefix.append("distillation")
    prefix += ["register"] * int(getattr(module, "num_reg_tokens", 0))
    told = getattr(module, "num_prefix_tokens", len(prefix))
    if told != len(prefix):
        raise MismatchError(
            f"{type(module).__name__} has {told} tokens before its patches, of which {len(prefix)} are known "
            f"({', '.join(prefix) or 'none'}); give its ModelSpec a tokens function"
        )
    return TokenLayout(tuple(prefix), _pair(grid))


def describe(module: nn.Module, taps: TapMap) -> tuple[int, int, int]:
    """Depth, heads and channels of a Vision Transformer.

    Raises ``MismatchError`` where a block has no attention with a number of heads.
    """
    blocks = find_blocks(module, taps)
    try:
        attention = blocks[0].get_submodule(taps.attention)
        norm = blocks[0].get_submodule(taps.norm1)
    except AttributeError:
        raise MismatchError(
            f"the blocks of {type(module).__name__} have no {taps.attention!r}: they are not those of a transformer"
        ) from None
    heads, shape = getattr(attention, "num_heads", None), getattr(norm, "normalized_shape", None)
    if not isinstance(heads, int) or not shape:
        raise MismatchError(
            f"{type(attention).__name__} of {type(module).__name__} does not say how many heads it has; "
            "vitan cannot read its attention"
        )
    return len(blocks), heads, int(shape[0])


def _pair(grid: object) -> tuple[int, int]:
    rows, columns = grid if isinstance(grid, tuple | list) else (grid, grid)
    return int(rows), int(columns)
