"""CLIP: contrastive language-image pre-training (Radford et al. 2021), the image tower."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vitan import ModelSpec, hookimpl
from vitan.registry.specs import CheckpointFormat, StateDict, UrlSource

from .vit import SIZES, TIMM_WITH_HEAD, FamilyLook, hub, published

_HOST = "https://openaipublic.azureedge.net/clip/models"
_LICENCE = "MIT"
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

#: File and sha256, which is also part of the address.
_FILES = {
    ("B", 32, 224): ("ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    ("B", 16, 224): ("ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    ("L", 14, 224): ("ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    ("L", 14, 336): ("ViT-L-14-336px.pt", "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),
}

#: The text tower and what joins the two towers, by the first part of their keys.
_OTHER_ROOTS = frozenset(
    {"transformer", "token_embedding", "positional_embedding", "ln_final", "text_projection", "logit_scale"}
    | {"input_resolution", "context_length", "vocab_size"}
)

#: OpenAI's names in the image tower, and timm's.
_NAMES = (
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^conv1\.", "patch_embed.proj."),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^transformer\.resblocks\.", "blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)


@hookimpl
def vitan_models() -> Iterator[ModelSpec]:
    """Four image towers, on timm's classes with CLIP's own activation (QuickGELU) and LayerNorm eps (1e-5)."""
    for (arch, patch, size), (file, sha256) in _FILES.items():
        tower = f"vit_{SIZES[arch]}_patch{patch}_clip"
        yield published(
            "clip",
            arch,
            patch,
            size,
            look=FamilyLook("CLIP", "#ff4040", "D"),
            architecture=f"{tower}_quickgelu_{size}",
            training="contrast of images and captions (CLIP)",
            paper="arXiv:2103.00020",
            weights=(
                UrlSource(url=f"{_HOST}/{sha256}/{file}", sha256=sha256, licence=_LICENCE),
                hub(f"{tower}_{size}.openai", _LICENCE),  # the same file serves both activations
            ),
            formats=(CheckpointFormat(name="OpenAI's CLIP", convert=image_tower), TIMM_WITH_HEAD),
            mean=_MEAN,
            std=_STD,
        )


def image_tower(state: StateDict) -> StateDict:
    """The image tower of OpenAI's state dict under timm's names, without its projection into the joint space.

    The text tower is left out; any other key stays, to be refused.
    Raises ``KeyError`` for a file without an image tower.
    """
    converted = {}
    for key, value in state.items():
        root, _, inner = key.partition(".")
        if root in _OTHER_ROOTS or key == "visual.proj":
            continue
        converted[_renamed(inner) if root == "visual" else key] = value
    if "cls_token" not in converted:
        raise KeyError("visual.class_embedding")
    converted["cls_token"] = converted["cls_token"].reshape(1, 1, -1)
    converted["pos_embed"] = converted["pos_embed"].unsqueeze(0)  # (1, token, channel)
    return converted


def _renamed(key: str) -> str:
    for pattern, name in _NAMES:
        key = re.sub(pattern, name, key)
    return key
