"""A model of the size that is measured, without one."""

from __future__ import annotations

from vitan.anatomy import ModelInfo, TokenLayout

DEPTH, HEADS, DIM = 12, 12, 768  # ViT-B
SIZE = 224  # pixels


def vit_b(side: int) -> ModelInfo:
    """ViT-B with so many patches a side: 14 are patches of 16 pixels, 28 of 8."""
    return ModelInfo(
        name="made-up",
        family="made-up",
        arch="B",
        patch=SIZE // side,
        image_size=SIZE,
        depth=DEPTH,
        heads=HEADS,
        dim=DIM,
        layout=TokenLayout(("cls",), (side, side)),
        blocks=tuple(range(DEPTH)),
    )
