"""The token layout that a module tells, against the tokens that really run through its blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from open_clip.transformer import VisionTransformer as OpenClipTransformer
from timm.models import beit, deit, eva, vision_transformer
from torch import nn

from toys import TOY
from vitan.anatomy import OPEN_CLIP, TIMM, TokenLayout
from vitan.errors import MismatchError
from vitan.models.layout import check_patch, describe, find_layout
from vitan.models.model import as_built

SIZE = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 0}
VIT = vision_transformer.VisionTransformer
GRID = (4, 4)

TIMM_MODULES = {
    "plain": (lambda: VIT(**SIZE), ("cls",)),
    "no CLS, as SigLIP": (lambda: VIT(**SIZE, class_token=False, global_pool="map"), ()),
    "registers, as DINOv2": (lambda: VIT(**SIZE, reg_tokens=2, no_embed_class=True), ("cls", *["register"] * 2)),
    "registers alone": (lambda: VIT(**SIZE, class_token=False, reg_tokens=1, global_pool="avg"), ("register",)),
    "DeiT distilled": (lambda: deit.VisionTransformerDistilled(**SIZE), ("cls", "distillation")),
    "BEiT": (lambda: beit.Beit(**SIZE), ("cls",)),
    "EVA": (lambda: eva.Eva(**SIZE), ("cls",)),
    "EVA with registers, as DINOv3": (lambda: eva.Eva(**SIZE, num_reg_tokens=3), ("cls", *["register"] * 3)),
}


def _tokens(module: Any, blocks: Any, pixels: Any) -> Any:
    """How many tokens come out of each block."""
    seen = []
    for block in blocks:
        block.register_forward_hook(lambda _, __, made: seen.append(made.shape[1]))
    with torch.inference_mode():
        module.eval()(pixels)
    return seen


@pytest.mark.parametrize("name", TIMM_MODULES)
def test_timm_modules(name: Any) -> None:
    build, prefix = TIMM_MODULES[name]
    module = build()
    layout = find_layout(module, 32)
    assert layout == TokenLayout(prefix, GRID)
    assert describe(module, TIMM) == (2, 3, 24)
    assert _tokens(module, module.blocks, torch.zeros(1, 3, 32, 32)) == [len(layout)] * 2


def test_the_order_of_the_prefix_is_that_of_the_sequence() -> None:
    module = VIT(**SIZE, reg_tokens=2, no_embed_class=True).eval()
    nn.init.constant_(module.cls_token, 7.0)
    nn.init.constant_(module.reg_token, 5.0)
    seen = []
    module.blocks[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    module(torch.zeros(1, 3, 32, 32))
    roles = {"cls": 7.0, "register": 5.0}
    assert [roles[role] for role in find_layout(module, 32).prefix] == seen[0][0, :3, 0].tolist()


def test_a_module_of_any_size_has_the_grid_of_the_size_asked_for() -> None:
    module = VIT(**SIZE, dynamic_img_size=True)
    assert find_layout(module, 48).grid == (6, 6)
    assert _tokens(module, module.blocks, torch.zeros(1, 3, 48, 48)) == [37, 37]


def test_open_clip() -> None:
    module = OpenClipTransformer(
        image_size=32, patch_size=8, width=24, layers=2, heads=3, mlp_ratio=4.0, output_dim=8
    )  # fmt: skip
    assert find_layout(module, 32) == TokenLayout(("cls",), GRID)
    assert describe(module, OPEN_CLIP) == (2, 3, 24)
    assert _tokens(module, module.transformer.resblocks, torch.zeros(1, 3, 32, 32)) == [17, 17]
    with pytest.raises(MismatchError, match="built for 32 x 32 pixels, not for 48"):
        find_layout(module, 48)


def test_a_module_of_another_size_is_refused() -> None:
    with pytest.raises(MismatchError, match="VisionTransformer is built for 32 x 32 pixels, not for 224"):
        find_layout(VIT(**SIZE), 224)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("convnext_atto", "keeps no fixed grid of patches at 224 pixels"),
        ("pit_ti_224", "keeps its patches as a map"),
        ("swin_tiny_patch4_window7_224", "tells nothing of tokens before its patches"),
        ("cait_xxs24_224", "its CLS token joins after most of the blocks"),
        ("convit_tiny", "its CLS token joins after most of the blocks"),
        ("samvit_base_patch16", "keeps its patches as a map"),
    ],
)
def test_what_is_no_plain_vision_transformer_is_refused(name: Any, why: Any) -> None:
    with torch.device("meta"):
        module = timm.create_model(name, pretrained=False)
    with pytest.raises(MismatchError, match=why):
        find_layout(module, module.pretrained_cfg["input_size"][1])


def test_tokens_that_nobody_told_of_are_refused() -> None:
    module = VIT(**SIZE)
    module.num_prefix_tokens = 3
    with pytest.raises(MismatchError, match=r"has 3 tokens before its patches, of which 1 are known \(cls\)"):
        find_layout(module, 32)


def test_blocks_without_one_attention_are_refused() -> None:
    module = VIT(**SIZE, block_fn=vision_transformer.ParallelScalingBlock)
    with pytest.raises(MismatchError, match="are not one attention and then one MLP"):
        describe(module, TIMM)


@pytest.mark.parametrize(
    ("patch", "image_size", "grid"), [(8, 32, (4, 4)), (14, 518, (37, 37)), (14, 224, (16, 16)), (13, 224, (17, 17))]
)
def test_a_patch_that_makes_the_grid(patch: int, image_size: int, grid: tuple[int, int]) -> None:
    check_patch(patch, image_size, TokenLayout((), grid))


@pytest.mark.parametrize(("patch", "grid"), [(16, (4, 4)), (4, (4, 4)), (8, (4, 5)), (33, (4, 4))])
def test_a_patch_that_is_not_the_modules_is_refused_at_load(patch: int, grid: tuple[int, int]) -> None:
    with pytest.raises(MismatchError, match=f"ModelSpec says patch={patch}; it should be 8"):
        check_patch(patch, 32, TokenLayout((), grid))
    if grid == (4, 4):
        with pytest.raises(MismatchError, match=f"4 x 4 patches at 32 pixels, and its ModelSpec says patch={patch}"):
            as_built(replace(TOY, patch=patch))
