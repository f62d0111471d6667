"""What names of models say, in whatever spelling."""

from __future__ import annotations

import pytest

from vitan.registry.spelling import Spelled, read_name, same_model


@pytest.mark.parametrize(
    ("name", "words", "size", "patch", "pixels", "owner"),
    [
        ("dino-B16", "dino", "base", 16, 0, ""),
        ("DINOv2-S14", "dino2", "small", 14, 0, ""),
        ("dino-v2-S14", "dino2", "small", 14, 0, ""),
        ("clip-L14@336", "clip", "large", 14, 336, ""),
        ("ViT-L/14@336px", "vit", "large", 14, 336, ""),
        ("ViT-B-16-SigLIP-384/webli", "vit siglip webli", "base", 16, 384, ""),
        ("facebook/dino-vitb16", "dino vit", "base", 16, 0, "facebook"),
        ("google/vit-base-patch16-224", "vit", "base", 16, 224, "google"),
        ("hf-hub:timm/vit_base_patch16_224.dino", "vit dino", "base", 16, 224, "timm"),
        ("vit_so400m_patch14_siglip_384.webli", "vit siglip webli", "so400m", 14, 384, ""),
        ("dino_deitsmall8", "dino deit", "small", 8, 0, ""),
        ("ViT-B-32/laion2b_s34b_b79k", "vit laion2b s34b b79k", "base", 32, 0, ""),
        ("vit_ti16", "vit", "tiny", 16, 0, ""),
        ("", "", "", 0, 0, ""),
        ("::/-_ ü漢", "ü漢", "", 0, 0, ""),
        ("DINO/B16", "dino", "base", 16, 0, ""),
    ],
)
def test_a_name_is_read(name: str, words: str, size: str, patch: int, pixels: int, owner: str) -> None:
    read = read_name(name)
    assert (read.words, read.size, read.patch, read.pixels) == (frozenset(words.split()), size, patch, pixels)
    assert read.owner == owner


def test_what_is_not_said_is_empty() -> None:
    assert read_name("nothing") == Spelled(frozenset({"nothing"}))


KNOWN = ("dino-S16", "dino-B16", "dino-B8", "clip-L14", "clip-L14-336", "vit_base_patch16_224.mae")


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("dino_vitb16", ["dino-B16"]),
        ("dino", ["dino-S16", "dino-B16", "dino-B8"]),
        ("clip_l14", ["clip-L14", "clip-L14-336"]),
        ("clip_l14_336", ["clip-L14-336"]),
        ("dino-B32", []),
        ("beit-B16", []),
        ("vit-b16", ["vit_base_patch16_224.mae", "dino-B16"]),
        ("vit", []),
        ("", []),
    ],
)
def test_the_same_model_is_found_among_others(name: str, same: list[str]) -> None:
    assert same_model(name, KNOWN) == same
