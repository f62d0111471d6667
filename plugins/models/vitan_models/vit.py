"""What the families share: timm's untouched Vision Transformers, and how the published configurations are named."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from vitan.registry.specs import CheckpointFormat, HubSource, ModelSpec, WeightSource

if TYPE_CHECKING:
    from torch import nn

#: timm's word for the letter of an architecture.
SIZES = {"S": "small", "B": "base", "L": "large", "H": "huge"}

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALVES = (0.5, 0.5, 0.5)

#: A state dict of a timm model with its classifier, as timm's own files on the hub are.
TIMM_WITH_HEAD = CheckpointFormat(name="timm with its head", unused=frozenset({"head.weight", "head.bias"}))


def build_vit(architecture: str, **changes: Any) -> nn.Module:
    """The timm model of that name without head and weights; ``changes`` are arguments of timm's class."""
    import timm

    model: nn.Module = timm.create_model(architecture, pretrained=False, num_classes=0, **changes)
    return model


def plain_vit(arch: str, patch: int, size: int = 224) -> str:
    """timm's name of the plain architecture, such as ``vit_base_patch16_224``."""
    return f"vit_{SIZES[arch]}_patch{patch}_{size}"


def hub(repository: str, licence: str) -> HubSource:
    """timm's copy of some weights on the hub, by ``architecture.tag``."""
    return HubSource(repo=f"timm/{repository}", file="model.safetensors", licence=licence)


@dataclass(frozen=True)
class FamilyLook:
    """What figures call a family, and how they draw it: as the published ones do, colours a little less strong."""

    label: str
    colour: str
    marker: str


def published(
    family: str,
    arch: str,
    patch: int,
    size: int = 224,
    *,
    look: FamilyLook,
    architecture: str,
    training: str,
    paper: str,
    weights: tuple[WeightSource, ...],
    formats: tuple[CheckpointFormat, ...] = (),
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
    **changes: Any,
) -> ModelSpec:
    """One configuration of the published study: ``beit-B16``, also known by its published id ``BEIT-ViT-B-16-224``.

    ``training`` says in a few words how it was trained; ``changes`` are arguments of timm's class.
    """
    at_size = "" if size == 224 else f"-{size}"
    return ModelSpec(
        name=f"{family}-{arch}{patch}{at_size}",
        summary=f"ViT-{arch}/{patch}{at_size and f' at {size} px'}, {training}",
        family=family,
        arch=arch,
        patch=patch,
        image_size=size,
        mean=mean,
        std=std,
        build=partial(build_vit, architecture, **changes),
        weights=weights,
        formats=formats,
        aliases=(f"{family.upper()}-ViT-{arch}-{patch}-{size}",),
        paper=paper,
        label=look.label,
        colour=look.colour,
        marker=look.marker,
    )
