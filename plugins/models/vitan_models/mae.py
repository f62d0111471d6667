"""MAE: masked autoencoders (He et al. 2021), the encoder alone."""

from __future__ import annotations

from collections.abc import Iterator

from vitan import ModelSpec, hookimpl
from vitan.registry.specs import UrlSource

from .vit import SIZES, FamilyLook, hub, plain_vit, published

_HOST = "https://dl.fbaipublicfiles.com/mae/pretrain"
_LICENCE = "CC-BY-NC-4.0"

#: Beginnings of the md5 digests that the publishers give.
_MD5 = {("B", 16): "8cad7c", ("L", 16): "b8b06e", ("H", 14): "9bdbb0"}


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """Three encoders; their files hold timm's own keys, the fixed position table among them."""
    for (arch, patch), md5 in _MD5.items():
        architecture = plain_vit(arch, patch)
        url = f"{_HOST}/mae_pretrain_vit_{SIZES[arch]}.pth"
        yield published(
            "mae",
            arch,
            patch,
            look=FamilyLook("MAE", "#4040ff", "h"),
            architecture=architecture,
            training="masked autoencoder (MAE), no labels",
            paper="arXiv:2111.06377",
            weights=(UrlSource(url=url, md5=md5, licence=_LICENCE), hub(f"{architecture}.mae", _LICENCE)),
        )
