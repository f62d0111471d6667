"""What a module says of its tokens, blocks and heads."""

from __future__ import annotations

from torch import nn

from ..anatomy import TapMap, TokenLayout
from ..errors import MismatchError

#: Attributes of relatives of the Vision Transformer whose sequence is not the same in all blocks.
_UNLIKE = {
    "blocks_token_only": "its CLS token joins after most of the blocks",  # CaiT
    "local_up_to_layer": "its CLS token joins after most of the blocks",  # ConViT
}


def find_layout(module: nn.Module, image_size: int) -> TokenLayout:
    """The roles of the tokens and the patch grid at ``image_size`` pixels, as timm and open_clip tell them.

    timm puts CLS first, then the distillation token or the registers, then the patches; open_clip has CLS alone.

    Raises ``MismatchError`` for a module that has no single sequence of tokens over one patch grid, that tells too
    little of it, or that is built for another size.
    """
    if hasattr(module, "class_embedding") and hasattr(module, "grid_size"):  # open_clip
        _check_size(module, getattr(module, "image_size", None), image_size)
        return TokenLayout(("cls",), _pair(module.grid_size))
    grid = _timm_grid(module, image_size)
    for attribute, what in _UNLIKE.items():
        if hasattr(module, attribute):
            raise MismatchError(f"{type(module).__name__} is no plain Vision Transformer: {what}")
    if getattr(getattr(module, "pos_embed", None), "ndim", 3) == 4:  # SAM
        raise MismatchError(f"{type(module).__name__} keeps its patches as a map, not as a sequence of tokens")
    return TokenLayout(_timm_prefix(module), grid)


def check_patch(patch: int, image_size: int, layout: TokenLayout) -> None:
    """Raise ``MismatchError`` if patches of so many pixels do not make the grid: distances in pixels would be wrong."""
    rows, columns = layout.grid
    if {rows, columns} != {image_size // patch}:
        raise MismatchError(
            f"the module has {rows} x {columns} patches at {image_size} pixels, and its ModelSpec says patch={patch}; "
            f"it should be {image_size // rows}"
        )


def describe(module: nn.Module, taps: TapMap) -> tuple[int, int, int]:
    """Depth, heads and channels of a Vision Transformer.

    Raises ``MismatchError`` where a block has no attention with a number of heads.
    """
    blocks = find_blocks(module, taps)
    try:
        attention = blocks[0].get_submodule(taps.attention)
        norm = blocks[0].get_submodule(taps.norm1)
    except AttributeError as error:
        raise MismatchError(
            f"the blocks of {type(module).__name__} ({type(blocks[0]).__name__}) are not one attention and then one "
            f"MLP, each after its norm: {error}"
        ) from None
    heads, shape = getattr(attention, "num_heads", None), getattr(norm, "normalized_shape", None)
    if not isinstance(heads, int) or not shape:
        raise MismatchError(
            f"{type(attention).__name__} of {type(module).__name__} does not say how many heads it has; "
            "vitan cannot read its attention"
        )
    return len(blocks), heads, int(shape[0])


def _timm_grid(module: nn.Module, image_size: int) -> tuple[int, int]:
    patches = getattr(module, "patch_embed", None)
    if getattr(module, "dynamic_img_size", False) and hasattr(patches, "dynamic_feat_size"):
        return _pair(patches.dynamic_feat_size((image_size, image_size)))  # type: ignore[union-attr]
    grid = getattr(patches, "grid_size", None)
    if grid is None:
        raise MismatchError(
            f"{type(module).__name__} keeps no fixed grid of patches at {image_size} pixels: "
            "vitan reads plain Vision Transformers, not hierarchical or convolutional models"
        )
    _check_size(module, getattr(patches, "img_size", None), image_size)
    return _pair(grid)


def _timm_prefix(module: nn.Module) -> tuple[str, ...]:
    registers = getattr(module, "reg_token", None)
    prefix = ["cls"] if getattr(module, "cls_token", None) is not None else []
    prefix += ["distillation"] if getattr(module, "dist_token", None) is not None else []
    prefix += ["register"] * (0 if registers is None else registers.shape[1])
    told = getattr(module, "num_prefix_tokens", None)
    if told is None and not prefix:
        raise MismatchError(
            f"{type(module).__name__} tells nothing of tokens before its patches, as hierarchical models do; "
            "if it is a plain Vision Transformer, give its ModelSpec a tokens function"
        )
    if told not in (None, len(prefix)):
        raise MismatchError(
            f"{type(module).__name__} has {told} tokens before its patches, of which {len(prefix)} are known "
            f"({', '.join(prefix) or 'none'}); give its ModelSpec a tokens function"
        )
    return tuple(prefix)


def _check_size(module: nn.Module, built: object, image_size: int) -> None:
    if built is not None and _pair(built) != (image_size, image_size):
        rows, columns = _pair(built)
        raise MismatchError(f"{type(module).__name__} is built for {rows} x {columns} pixels, not for {image_size}")


def _pair(sides: object) -> tuple[int, int]:
    rows, columns = sides if isinstance(sides, tuple | list) else (sides, sides)
    return int(rows), int(columns)


def find_blocks(model: nn.Module, taps: TapMap) -> nn.ModuleList:
    """The model's blocks; raises ``MismatchError`` if they are not where the tap map says."""
    try:
        blocks = model.get_submodule(taps.blocks)
    except AttributeError:
        raise MismatchError(
            f"{type(model).__name__} has no {taps.blocks!r}: it is no plain Vision Transformer"
        ) from None
    if not isinstance(blocks, nn.ModuleList | nn.Sequential) or not len(blocks):
        raise MismatchError(f"{taps.blocks!r} of {type(model).__name__} is not a list of blocks")
    return blocks  # type: ignore[return-value]  # a Sequential is indexed in the same way
