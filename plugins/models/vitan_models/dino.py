"""DINO: self-distillation without labels (Caron et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator

from vitan import ModelSpec, hookimpl
from vitan.registry.specs import UrlSource, WeightSource

from .vit import FamilyLook, hub, plain_vit, published

_HOST = "https://dl.fbaipublicfiles.com/dino"
_LICENCE = "Apache-2.0"

#: The backbones that the study used. S/8 is the run of 300 epochs, which is NOT the one that the hub's tag holds.
_RUNS = {
    ("S", 16): "dino_deitsmall16_pretrain",
    ("S", 8): "dino_deitsmall8_300ep_pretrain",
    ("B", 16): "dino_vitbase16_pretrain",
    ("B", 8): "dino_vitbase8_pretrain",
}
_NOT_ON_THE_HUB = ("S", 8)


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """Four backbones; their files are timm's own state dicts, key for key."""
    for (arch, patch), run in _RUNS.items():
        architecture = plain_vit(arch, patch)
        weights: tuple[WeightSource, ...] = (UrlSource(url=f"{_HOST}/{run}/{run}.pth", licence=_LICENCE),)
        if (arch, patch) != _NOT_ON_THE_HUB:
            weights += (hub(f"{architecture}.dino", _LICENCE),)
        yield published(
            "dino",
            arch,
            patch,
            look=FamilyLook("DINO", "#196419", "^"),
            architecture=architecture,
            training="self-distillation (DINO), no labels",
            paper="arXiv:2104.14294",
            weights=weights,
        )
