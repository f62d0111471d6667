"""The places in a block that can be read, and where they are in the modules of a library."""

from __future__ import annotations

from dataclasses import dataclass

#: Every tap, with what it is. Shapes: attention (batch, head, query, key); q, k, v (batch, head, token, channel of the
#: head); the rest (batch, token, channel).
TAPS = {
    "attention": "softmax probabilities, each row sums to 1",
    "q": "queries as they enter the dot product, before the scale",
    "k": "keys as they enter the dot product",
    "v": "values as they are averaged",
    "block_in": "the block's input",
    "norm1": "the first LayerNorm's output",
    "attention_branch": "what the attention branch adds, after LayerScale",
    "mid": "block_in + attention_branch",
    "norm2": "the second LayerNorm's output",
    "mlp_branch": "what the MLP branch adds, after LayerScale",
    "block": "the block's output, mid + mlp_branch",
}


@dataclass(frozen=True, kw_only=True)
class TapMap:
    """Where a model's modules are. Paths are relative to the model (``blocks``) or to a block (the rest).

    ``attention_end`` and ``mlp_end`` are the last modules of the two branches (after LayerScale); where a block has
    none, the branches are the differences of ``block``, ``mid`` and ``block_in``.
    """

    blocks: str = "blocks"
    attention: str = "attn"
    norm1: str = "norm1"
    norm2: str = "norm2"
    attention_end: str = "drop_path1"
    mlp_end: str = "drop_path2"


TIMM = TapMap()
OPEN_CLIP = TapMap(blocks="transformer.resblocks", norm1="ln_1", norm2="ln_2", attention_end="ls_1", mlp_end="ls_2")
