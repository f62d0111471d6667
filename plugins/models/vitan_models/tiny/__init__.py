"""The zoo that comes with vitan: one tiny ViT, trained in six ways on the drawn world of ``shapes``.

All six begin with the same weights, which are those of ``tiny-random``. How they were trained is in ``zoo/`` beside the
package, and what came of it in ``cards.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

SIZE, PATCH, WIDTH, DEPTH, HEADS = 64, 8, 96, 6, 4
MEAN = STD = (0.5, 0.5, 0.5)


def build(**changes: Any) -> nn.Module:
    """The architecture, with the weights that all trainings begin with; ``changes`` are arguments of timm's class."""
    import torch
    from timm.models.vision_transformer import VisionTransformer

    from ..random import initialise

    sizes = {"img_size": SIZE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS}
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = VisionTransformer(**sizes, num_classes=0, **changes)
    return initialise(model)
