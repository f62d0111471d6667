"""MoCo-v3: momentum contrast (Chen et al. 2021), the base encoder without its projection head."""

from __future__ import annotations

from collections.abc import Iterator

from vitan import ModelSpec, hookimpl
from vitan.registry.specs import CheckpointFormat, StateDict, UrlSource

from .vit import FamilyLook, plain_vit, published

_HOST = "https://dl.fbaipublicfiles.com/moco-v3"
_LICENCE = "CC-BY-NC-4.0"

#: Heads by architecture. S has 12 heads of 32 channels where others have 6; no shape would show the mistake.
_HEADS = {"S": 12, "B": 12}

_ENCODER = "module.base_encoder."
_DROPPED = (f"{_ENCODER}head.", "module.momentum_encoder.", "module.predictor.")


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """Two encoders, from the checkpoints of their training."""
    for arch, heads in _HEADS.items():
        run = f"vit-{arch.lower()}-300ep"
        yield published(
            "moco",
            arch,
            16,
            look=FamilyLook("MoCo", "#59cd59", "v"),
            architecture=plain_vit(arch, 16),
            training="contrastive (MoCo-v3), no labels",
            paper="arXiv:2104.02057",
            weights=(UrlSource(url=f"{_HOST}/{run}/{run}.pth.tar", licence=_LICENCE),),
            formats=(CheckpointFormat(name="MoCo-v3 training checkpoint", convert=base_encoder),),
            num_heads=heads,
        )


def base_encoder(state: StateDict) -> StateDict:
    """The base encoder of a training checkpoint, not its momentum copy, whose values differ.

    The projection head, the momentum encoder and the predictor are left out; any other key stays, to be refused.
    Raises ``KeyError`` for a file without a base encoder.
    """
    if f"{_ENCODER}cls_token" not in state:
        raise KeyError(f"{_ENCODER}cls_token")
    return {key.removeprefix(_ENCODER): value for key, value in state.items() if not key.startswith(_DROPPED)}
