"""BEiT: masked image modelling over visual tokens (Bao et al. 2021), pre-trained only."""

from __future__ import annotations

from collections.abc import Iterator

from vitan import ModelSpec, hookimpl
from vitan.registry.specs import CheckpointFormat, UrlSource

from .vit import HALVES, SIZES, FamilyLook, published

#: The publishers' present address, then their first one, which may no longer answer.
_HOSTS = (
    "https://github.com/addf400/files/releases/download/v1.0",
    "https://conversationhub.blob.core.windows.net/beit-share-public/beit",
)
_LICENCE = "MIT"

#: timm's own keys, and what pre-training needs beside the encoder; timm computes the index table itself.
_FORMAT = CheckpointFormat(
    name="BEiT pre-training checkpoint",
    unused=frozenset({"mask_token", "lm_head.weight", "lm_head.bias", "rel_pos_bias.relative_position_index"}),
)


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """Two encoders. timm's own tags are all fine-tuned with labels, so none of them is a source."""
    for arch in ("B", "L"):
        file = f"beit_{SIZES[arch]}_patch16_224_pt22k.pth"
        yield published(
            "beit",
            arch,
            16,
            look=FamilyLook("BEiT", "#34ced1", "o"),
            architecture=f"beit_{SIZES[arch]}_patch16_224",
            training="masked image modelling (BEiT), no labels",
            paper="arXiv:2106.08254",
            weights=tuple(UrlSource(url=f"{host}/{file}", licence=_LICENCE) for host in _HOSTS),
            formats=(_FORMAT,),
            mean=HALVES,
            std=HALVES,
            # as the checkpoint is: one table of relative positions for all blocks, and a final norm over all tokens
            use_rel_pos_bias=False,
            use_shared_rel_pos_bias=True,
            global_pool="token",
        )
