"""Checkpoints as they were published, in small: every converter against an independent way to the same numbers."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from timm.layers import QuickGELU
from timm.models.beit import Beit
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from vitan import ModelSpec
from vitan.errors import WeightsMismatchError
from vitan.models.weights import fit
from vitan_models import beit, clip, moco, timm_vit
from vitan_models.vit import TIMM_WITH_HEAD

SIZE = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 0}
PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def shaken(module: Any, seed: Any = 0) -> Any:
    """Every parameter and statistic large enough to matter."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2, generator=generator)
    return module.eval().requires_grad_(False)


def load(module: Any, spec: Any, state: Any, path: Any) -> Any:
    """Save a state dict as it is, and load it through the formats of one of our models."""
    np.savez(path, **state) if path.suffix == ".npz" else torch.save(state, path)
    small = ModelSpec(
        name="small", summary="small", family="f", arch="T", patch=8, build=lambda: module, formats=spec.formats
    )
    return fit(module.eval(), small, path)


def first(plugin: Any) -> Any:
    return next(iter(plugin.vitan_models()))


# CLIP


def _clip() -> Any:
    """A whole CLIP of open_clip, which names its parts as OpenAI does."""
    vision = CLIPVisionCfg(layers=2, width=64, head_width=16, patch_size=8, image_size=32)
    text = CLIPTextCfg(context_length=7, vocab_size=11, width=16, heads=2, layers=1)
    return shaken(CLIP(embed_dim=8, vision_cfg=vision, text_cfg=text, quick_gelu=True))


def _clip_tower() -> Any:
    size = {**SIZE, "embed_dim": 64, "num_heads": 4}
    return VisionTransformer(**size, pre_norm=True, norm_layer=nn.LayerNorm, act_layer=QuickGELU)


def _clip_file(whole: Any) -> Any:
    state = OrderedDict(whole.state_dict())
    for name, value in (("input_resolution", 32), ("context_length", 7), ("vocab_size", 11)):
        state[name] = torch.tensor(value)
    return state


def test_clip_runs_as_in_open_clip(tmp_path: Path) -> None:
    whole, tower = _clip(), _clip_tower()
    fitted = load(tower, first(clip), _clip_file(whole), tmp_path / "clip.pt")
    assert fitted.format == "OpenAI's CLIP"
    torch.testing.assert_close(tower(PIXELS) @ whole.visual.proj, whole.encode_image(PIXELS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("key", ["visual.surprise", "surprise.weight"])
def test_clip_refuses_what_it_does_not_know(tmp_path: Path, key: Any) -> None:
    state = {**_clip_file(_clip()), key: torch.zeros(1)}
    with pytest.raises(WeightsMismatchError, match=r"1 unknown to the model: .*surprise"):
        load(_clip_tower(), first(clip), state, tmp_path / "clip.pt")


def test_clip_refuses_a_file_that_lacks_something(tmp_path: Path) -> None:
    state = _clip_file(_clip())
    del state["visual.ln_pre.bias"]
    with pytest.raises(WeightsMismatchError, match=r"1 missing from the file: norm_pre\.bias"):
        load(_clip_tower(), first(clip), state, tmp_path / "clip.pt")


def test_a_text_tower_alone_is_no_clip() -> None:
    with pytest.raises(KeyError, match=r"visual\.class_embedding"):
        clip.image_tower({"transformer.resblocks.0.ln_1.weight": torch.zeros(2), "logit_scale": torch.zeros(())})


# AugReg


def _jax(model: Any) -> Any:
    """The arrays that a JAX checkpoint of this model holds."""
    own = {key: value.numpy() for key, value in model.state_dict().items()}
    heads, dim = model.blocks[0].attn.num_heads, model.embed_dim
    made = {
        "cls": own["cls_token"],
        "Transformer/posembed_input/pos_embedding": own["pos_embed"],
        "embedding/kernel": own["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": own["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": own["norm.weight"],
        "Transformer/encoder_norm/bias": own["norm.bias"],
        "head/kernel": np.ones((dim, 5), np.float32),
        "head/bias": np.ones(5, np.float32),
    }
    for i in range(len(model.blocks)):
        ours, theirs = f"blocks.{i}.", f"Transformer/encoderblock_{i}/"
        for part, rows in zip(("query", "key", "value"), range(3), strict=True):
            weight = own[f"{ours}attn.qkv.weight"].reshape(3, heads, -1, dim)[rows]  # (head, channel, in)
            made[f"{theirs}MultiHeadDotProductAttention_1/{part}/kernel"] = weight.transpose(2, 0, 1)
            bias = own[f"{ours}attn.qkv.bias"].reshape(3, heads, -1)[rows]
            made[f"{theirs}MultiHeadDotProductAttention_1/{part}/bias"] = bias
        out = own[f"{ours}attn.proj.weight"].reshape(dim, heads, -1)
        made[f"{theirs}MultiHeadDotProductAttention_1/out/kernel"] = out.transpose(1, 2, 0)
        made[f"{theirs}MultiHeadDotProductAttention_1/out/bias"] = own[f"{ours}attn.proj.bias"]
        for dense in (0, 1):
            made[f"{theirs}MlpBlock_3/Dense_{dense}/kernel"] = own[f"{ours}mlp.fc{dense + 1}.weight"].T
            made[f"{theirs}MlpBlock_3/Dense_{dense}/bias"] = own[f"{ours}mlp.fc{dense + 1}.bias"]
        for norm, number in ((1, 0), (2, 2)):
            made[f"{theirs}LayerNorm_{number}/scale"] = own[f"{ours}norm{norm}.weight"]
            made[f"{theirs}LayerNorm_{number}/bias"] = own[f"{ours}norm{norm}.bias"]
    return made


@pytest.mark.parametrize("prefix", ["", "opt/target/"])
def test_augreg_as_timm_itself_reads_it(tmp_path: Path, prefix: Any) -> None:
    arrays = {prefix + key: value for key, value in _jax(shaken(VisionTransformer(**SIZE))).items()}
    ours, theirs = VisionTransformer(**SIZE), VisionTransformer(**SIZE)
    path = tmp_path / "augreg.npz"
    assert load(ours, first(timm_vit), arrays, path).format == "AugReg (JAX .npz)"
    theirs.load_pretrained(str(path))
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key


def test_augreg_refuses_a_file_with_something_more(tmp_path: Path) -> None:
    arrays = _jax(shaken(VisionTransformer(**SIZE))) | {"pre_logits/bias": np.ones(4, np.float32)}
    with pytest.raises(WeightsMismatchError, match="1 unknown to the model: pre_logits/bias"):
        load(VisionTransformer(**SIZE), first(timm_vit), arrays, tmp_path / "augreg.npz")


def test_a_block_that_breaks_off_is_named(tmp_path: Path) -> None:
    arrays = _jax(shaken(VisionTransformer(**SIZE)))
    lost = "Transformer/encoderblock_1/MlpBlock_3/Dense_1/kernel"
    del arrays[lost]
    with pytest.raises(WeightsMismatchError, match=f"has no '{lost}'"):
        load(VisionTransformer(**SIZE), first(timm_vit), arrays, tmp_path / "augreg.npz")


def test_a_timm_file_with_its_head_is_as_good(tmp_path: Path) -> None:
    source = shaken(VisionTransformer(**{**SIZE, "num_classes": 5}))
    target = VisionTransformer(**SIZE)
    assert load(target, first(timm_vit), source.state_dict(), tmp_path / "timm.pth").format == TIMM_WITH_HEAD.name
    assert torch.equal(target(PIXELS), source.forward_features(PIXELS)[:, 0])


# MoCo-v3


def _moco(encoder: Any, momentum: Any) -> Any:
    def under(prefix: Any, module: Any) -> Any:
        return {f"module.{prefix}.{key}": value for key, value in module.state_dict().items()}

    others = {"module.base_encoder.head.0.weight": torch.zeros(2, 2), "module.predictor.0.weight": torch.zeros(2, 2)}
    state = {**under("base_encoder", encoder), **under("momentum_encoder", momentum), **others}
    return {"epoch": 300, "arch": "vit_small", "state_dict": state}


def test_moco_takes_the_base_encoder(tmp_path: Path) -> None:
    base, momentum = shaken(VisionTransformer(**SIZE)), shaken(VisionTransformer(**SIZE), seed=1)
    target = VisionTransformer(**SIZE)
    assert load(target, first(moco), _moco(base, momentum), tmp_path / "moco.pth.tar").format.startswith("MoCo-v3")
    assert torch.equal(target(PIXELS), base(PIXELS))
    assert not torch.allclose(target(PIXELS), momentum(PIXELS))


def test_moco_names_what_it_does_not_know_beside_the_encoder_and_refuses_it_inside(tmp_path: Path) -> None:
    base = shaken(VisionTransformer(**SIZE))
    file = _moco(base, shaken(VisionTransformer(**SIZE), seed=1))
    file["state_dict"]["module.queue"] = torch.zeros(3)
    target = VisionTransformer(**SIZE)
    fitted = load(target, first(moco), file, tmp_path / "moco.pth.tar")
    assert fitted.taken == "state_dict.module.base_encoder"
    assert "module.queue (1 tensor)" in fitted.left
    assert torch.equal(target(PIXELS), base(PIXELS))
    for name in ("base_encoder", "momentum_encoder"):
        file["state_dict"][f"module.{name}.blocks.0.ls1.gamma"] = torch.zeros(3)
    with pytest.raises(WeightsMismatchError, match=r"unknown to the model: .*blocks\.0\.ls1\.gamma"):
        load(VisionTransformer(**SIZE), first(moco), file, tmp_path / "moco.pth.tar")


def test_an_encoder_of_another_training_is_no_moco() -> None:
    with pytest.raises(KeyError, match=r"module\.base_encoder\.cls_token"):
        moco.base_encoder({"module.momentum_encoder.cls_token": torch.zeros(1, 1, 2)})


# BEiT


def _beit(**tables: Any) -> Any:
    return Beit(**SIZE, init_values=0.1, use_abs_pos_emb=False, global_pool="token", **tables)


def _shared() -> Any:
    return _beit(use_rel_pos_bias=False, use_shared_rel_pos_bias=True)


def _beit_file(model: Any) -> Any:
    extra = {"mask_token": torch.zeros(1, 1, 48), "lm_head.weight": torch.zeros(9, 48), "lm_head.bias": torch.zeros(9)}
    index = {"rel_pos_bias.relative_position_index": model.rel_pos_bias.relative_position_index}
    return {"model": {**model.state_dict(), **extra, **index}}


def test_beit_keeps_its_shared_table(tmp_path: Path) -> None:
    source, target = shaken(_shared()), _shared()
    load(target, first(beit), _beit_file(source), tmp_path / "beit.pth")
    assert torch.equal(target(PIXELS), source(PIXELS))
    table = "rel_pos_bias.relative_position_bias_table"
    each = shaken(_beit(use_rel_pos_bias=True))  # the published code gave every block a copy of the table
    copies = {f"blocks.{i}.attn.relative_position_bias_table": source.state_dict()[table] for i in range(2)}
    rest = {key: value for key, value in source.state_dict().items() if not key.startswith("rel_pos_bias")}
    each.load_state_dict({**each.state_dict(), **rest, **copies})
    torch.testing.assert_close(target(PIXELS), each(PIXELS))


def test_a_fine_tuned_beit_is_refused(tmp_path: Path) -> None:
    tuned = shaken(_beit(use_rel_pos_bias=True))
    with pytest.raises(WeightsMismatchError, match=r"(?s)missing from the file: rel_pos_bias.*a fine-tuned BEiT"):
        load(_shared(), first(beit), {"model": tuned.state_dict()}, tmp_path / "beit.pth")
