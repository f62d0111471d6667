"""timm's fully supervised Vision Transformers: AugReg (Steiner et al. 2021), and one of the original release.

All were trained on ImageNet-21k and fine-tuned on ImageNet-1k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vitan import ModelSpec, hookimpl
from vitan.registry.specs import CheckpointFormat, StateDict, UrlSource

from .vit import HALVES, TIMM_WITH_HEAD, FamilyLook, hub, plain_vit, published

if TYPE_CHECKING:
    from torch import Tensor

_LICENCE = "Apache-2.0"
_AUGREG_HOST = "https://storage.googleapis.com/vit_models/augreg"
_ORIGINAL = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-vitjx"

#: AugReg's recipes, which name its files: augmentation, weight decay, dropout, learning rate of the fine-tuning.
_AUGREG = {
    ("S", 32, 224): ("light1", 0.03, 0.0, 0.03),
    ("S", 16, 224): ("light1", 0.03, 0.0, 0.03),
    ("B", 32, 224): ("medium1", 0.03, 0.0, 0.03),
    ("B", 16, 224): ("medium1", 0.1, 0.0, 0.01),
    ("B", 8, 224): ("medium1", 0.1, 0.0, 0.01),
    ("L", 16, 224): ("medium1", 0.1, 0.1, 0.01),
    ("B", 32, 384): ("light1", 0.1, 0.0, 0.03),
    ("B", 16, 384): ("medium1", 0.1, 0.0, 0.01),
    ("L", 16, 384): ("medium1", 0.1, 0.1, 0.01),
}


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """Ten models. The tag is always named: timm's default for B/16 and B/8 is another training (augreg2)."""
    for (arch, patch, size), recipe in _AUGREG.items():
        url = f"{_AUGREG_HOST}/{_augreg_file(arch, patch, size, *recipe)}"
        source = UrlSource(url=url, licence=_LICENCE)
        yield _spec(arch, patch, size, source, "augreg_in21k_ft_in1k", "AugReg")
    url = f"{_ORIGINAL}/jx_vit_large_p32_384-9b920ba8.pth"
    source = UrlSource(url=url, sha256="9b920ba8", licence=_LICENCE)
    yield _spec("L", 32, 384, source, "orig_in21k_ft_in1k", "original ViT")


def _spec(arch: str, patch: int, size: int, source: UrlSource, tag: str, training: str) -> ModelSpec:
    architecture = plain_vit(arch, patch, size)
    return published(
        "timm",
        arch,
        patch,
        size,
        look=FamilyLook("FS", "#8b2323", "s"),
        architecture=architecture,
        training=f"supervised ({training})",
        paper="arXiv:2106.10270" if training == "AugReg" else "arXiv:2010.11929",
        weights=(source, hub(f"{architecture}.{tag}", _LICENCE)),
        formats=(JAX, TIMM_WITH_HEAD),
        mean=HALVES,
        std=HALVES,
    )


def _augreg_file(arch: str, patch: int, size: int, augment: str, decay: float, drop: float, rate: float) -> str:
    pretraining = f"{arch}_{patch}-i21k-300ep-lr_0.001-aug_{augment}-wd_{decay}-do_{drop}-sd_{drop}"
    return f"{pretraining}--imagenet2012-steps_20k-lr_{rate}-res_{size}.npz"


_OUTSIDE = {
    "cls": "cls_token",
    "Transformer/posembed_input/pos_embedding": "pos_embed",
    "embedding/bias": "patch_embed.proj.bias",
    "Transformer/encoder_norm/scale": "norm.weight",
    "Transformer/encoder_norm/bias": "norm.bias",
}
_IN_BLOCK = {
    "LayerNorm_0/scale": "norm1.weight",
    "LayerNorm_0/bias": "norm1.bias",
    "LayerNorm_2/scale": "norm2.weight",
    "LayerNorm_2/bias": "norm2.bias",
    "MlpBlock_3/Dense_0/bias": "mlp.fc1.bias",
    "MlpBlock_3/Dense_1/bias": "mlp.fc2.bias",
    "MultiHeadDotProductAttention_1/out/bias": "attn.proj.bias",
}


def from_jax(state: StateDict) -> StateDict:
    """A state dict of the JAX release under timm's names.

    Keys that belong to no part of the encoder stay, to be refused unless the format names them.
    Raises ``KeyError`` for a file of another kind.
    """
    left = {key.removeprefix("opt/target/"): value for key, value in state.items()}
    converted = {ours: left.pop(theirs) for theirs, ours in _OUTSIDE.items()}
    # (row, column, rgb, channel) -> (channel, rgb, row, column)
    converted["patch_embed.proj.weight"] = left.pop("embedding/kernel").permute(3, 2, 0, 1)
    block = 0
    while any(key.startswith(f"Transformer/encoderblock_{block}/") for key in left):
        prefix = f"Transformer/encoderblock_{block}/"
        in_block = _block(lambda key, prefix=prefix: left.pop(prefix + key))  # type: ignore[misc]
        converted |= {f"blocks.{block}.{name}": value for name, value in in_block.items()}
        block += 1
    return converted | left


def _block(take: Callable[[str], Tensor]) -> dict[str, Tensor]:
    """One block; JAX multiplies from the left, so every matrix is transposed."""
    import torch

    converted = {ours: take(theirs) for theirs, ours in _IN_BLOCK.items()}
    attention = "MultiHeadDotProductAttention_1"
    parts = ("query", "key", "value")
    kernels = [take(f"{attention}/{part}/kernel").flatten(1).T for part in parts]  # from (in, head, channel)
    converted["attn.qkv.weight"] = torch.cat(kernels)
    converted["attn.qkv.bias"] = torch.cat([take(f"{attention}/{part}/bias").flatten() for part in parts])
    converted["attn.proj.weight"] = take(f"{attention}/out/kernel").flatten(0, 1).T  # from (head, channel, out)
    converted["mlp.fc1.weight"] = take("MlpBlock_3/Dense_0/kernel").T
    converted["mlp.fc2.weight"] = take("MlpBlock_3/Dense_1/kernel").T
    return converted


JAX = CheckpointFormat(name="AugReg (JAX .npz)", convert=from_jax, unused=frozenset({"head/kernel", "head/bias"}))
