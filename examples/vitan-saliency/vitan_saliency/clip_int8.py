"""From CLIP's image tower, as transformers names its tensors, to timm's ``vit_base_patch16_clip_quickgelu_224``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitan.registry.specs import StateDict

_TOWER = "vision_model."
_PARTS = {"norm1": "layer_norm1", "norm2": "layer_norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
_OUT = "self_attn.out_proj"


def convert(tensors: StateDict) -> StateDict:
    """The tower in timm's keys; the projection after it is left out.

    Matrices are named after the products that use them, and multiply from the right. Raises ``KeyError`` if a tensor of
    the tower is not there.
    """
    import torch

    part = {key.removeprefix(_TOWER): value for key, value in tensors.items() if key.startswith(_TOWER)}
    state = {
        "cls_token": part["embeddings.class_embedding"].reshape(1, 1, -1),
        "pos_embed": part["embeddings.position_embedding.weight"][None],
        "patch_embed.proj.weight": part["embeddings.patch_embedding.weight"],
    }
    for ours, theirs in {"norm_pre": "pre_layrnorm", "norm": "post_layernorm"}.items():  # spelled so there
        state |= {f"{ours}.{name}": part[f"{theirs}.{name}"] for name in ("weight", "bias")}
    for block in range(sum(key.endswith(f"{_OUT}.bias") for key in part)):
        here, there = f"blocks.{block}.", f"encoder.layers.{block}."
        for ours, theirs in {**_PARTS, "attn.proj": _OUT}.items():
            state[f"{here}{ours}.bias"] = part[f"{there}{theirs}.bias"]
            norm = ours.startswith("norm")
            state[f"{here}{ours}.weight"] = part[f"{there}{theirs}.{'weight' if norm else 'MatMul'}"]
            if not norm:
                state[f"{here}{ours}.weight"] = state[f"{here}{ours}.weight"].T.contiguous()
        projections = [f"{there}self_attn.{name}_proj." for name in "qkv"]
        state[f"{here}attn.qkv.weight"] = torch.cat([part[name + "MatMul"].T for name in projections])
        state[f"{here}attn.qkv.bias"] = torch.cat([part[name + "bias"] for name in projections])
    return state
