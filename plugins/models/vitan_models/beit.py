"""BEiT: masked image modelling over visual tokens (Bao et al. 2021), pre-trained only."""

from __future__ import annotations

from collections.abc import Iterator

from vitan import ModelSpec, hookimpl
from vitan.specs import CheckpointFormat, StateDict, UrlSource

from .vit import HALVES, SIZES, published

#: The publishers' present address, then their first one, which may no longer answer.
_HOSTS = (
    "https://github.com/addf400/files/releases/download/v1.0",
    "https://conversationhub.blob.core.windows.net/beit-share-public/beit",
)
_LICENCE = "MIT"

_SHARED = "rel_pos_bias.relative_position_bias_table"
#: What pre-training needs beside the encoder, and the index table, which timm computes itself.
_DROPPED = frozenset({"mask_token", "lm_head.weight", "lm_head.bias", "rel_pos_bias.relative_position_index"})


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """Two encoders. timm's own tags are all fine-tuned with labels, so none of them is a source."""
    for arch in ("B", "L"):
        file = f"beit_{SIZES[arch]}_patch16_224_pt22k.pth"
        yield published(
            "beit",
            arch,
            16,
            architecture=f"beit_{SIZES[arch]}_patch16_224",
            training="masked image modelling (BEiT), no labels",
            paper="arXiv:2106.08254",
            weights=tuple(UrlSource(url=f"{host}/{file}", licence=_LICENCE) for host in _HOSTS),
            formats=(CheckpointFormat(name="BEiT pre-training checkpoint", convert=encoder),),
            mean=HALVES,
            std=HALVES,
            # as the checkpoint is: one table of relative positions for all blocks, and a final norm over all tokens
            use_rel_pos_bias=False,
            use_shared_rel_pos_bias=True,
            global_pool="token",
        )


def encoder(state: StateDict) -> StateDict:
    """The encoder of a pre-training checkpoint, with its one shared table of relative positions.

    Raises ``KeyError`` for a file without that table, such as a fine-tuned BEiT.
    """
    if _SHARED not in state:
        raise KeyError(_SHARED)
    return {key: value for key, value in state.items() if key not in _DROPPED}
