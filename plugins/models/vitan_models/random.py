"""Models that have learned nothing: what every measured number has to be compared with.

``random-B16`` and its like are the architectures of the other families with initial weights. ``random-noise-B16`` is
the floor of the published study: it looks like a ViT from outside, but all that can be read in it is uniform noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from vitan import ModelSpec, hookimpl

from .vit import HALVES, build_vit, plain_vit

if TYPE_CHECKING:
    from torch import nn

SEED = 0
#: Dimensions of what is added to tokens: (1, token, channel).
_TOKENS = 3

#: Every architecture at 224 pixels that a family of the study has.
_SIZES = (("S", 32), ("S", 16), ("S", 8), ("B", 32), ("B", 16), ("B", 8), ("L", 16), ("L", 14), ("H", 14))

#: What figures call them, and their colour: those of the published figures.
_LABEL, _COLOUR = "Random", "#ff40ff"


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """Untrained architectures, and noise."""
    for arch, patch in _SIZES:
        yield ModelSpec(
            name=f"random-{arch}{patch}",
            summary=f"ViT-{arch}/{patch}, untrained: initial weights from a fixed seed",
            family="random",
            untrained=True,
            label=_LABEL,
            colour=_COLOUR,
            marker="x",
            arch=arch,
            patch=patch,
            mean=HALVES,
            std=HALVES,
            build=partial(build_untrained, plain_vit(arch, patch)),
        )
    yield ModelSpec(
        name="random-noise-B16",
        summary="no network: uniform noise in the shapes of a ViT-B/16",
        family="random",
        untrained=True,
        label=_LABEL,
        colour=_COLOUR,
        marker="x",
        arch="B",
        patch=16,
        mean=HALVES,
        std=HALVES,
        build=build_noise,
        aliases=("RANDOM-ViT-B-16-224",),
    )


def build_untrained(architecture: str, seed: int = SEED, **changes: int) -> nn.Module:
    """A timm ViT with the weights of ``initialise``; the global random numbers are left as they were."""
    import torch

    with torch.device("meta"):  # timm's own values would be drawn for nothing; a plain ViT has no buffers to lose
        model = build_vit(architecture, **changes)
    model.to_empty(device=torch.get_default_device())
    initialise(model, seed)
    return model


def initialise(model: nn.Module, seed: int = SEED, *, narrow: bool = False) -> None:
    """Give a ViT initial weights that depend on the seed and on each parameter's name alone.

    They are the usual ones (normal with standard deviation 0.02, cut at two of them; biases 0, norms 1), drawn here, so
    that neither timm's version nor the global random numbers have a say. With that deviation the layers of a ``narrow``
    network would hardly change what goes through them; theirs is the root of 1 / inputs (LeCun et al. 1998, 4.6).
    """
    import torch

    for name, parameter in model.named_parameters():
        if parameter.is_meta:  # only the structure is wanted
            continue
        if parameter.ndim == 1:
            torch.nn.init.constant_(parameter, float(name.endswith("weight")))
            continue
        values = torch.empty(parameter.shape, device="cpu")
        generator = torch.Generator().manual_seed(_seed_of(f"{seed} {name}"))
        inputs = values[0].numel()
        std = inputs**-0.5 if narrow and values.ndim != _TOKENS else 0.02
        torch.nn.init.trunc_normal_(values, std=std, a=-2 * std, b=2 * std, generator=generator)
        parameter.data.copy_(values)


def build_noise(seed: int = SEED) -> nn.Module:
    """Noise in the shapes of a ViT-B/16."""
    from ._noise import NoiseViT

    return NoiseViT(seed=seed)


def _seed_of(text: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "little")
