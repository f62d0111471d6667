"""Every tap against the definition, on untouched modules of every kind."""

from __future__ import annotations

import gc
import weakref

import pytest
import timm
import torch
from open_clip.transformer import VisionTransformer as OpenClipTransformer
from torch import nn
from torch.nn import functional as F

from vitan.anatomy import OPEN_CLIP, TAPS, TIMM, TapMap
from vitan.errors import MismatchError, RecordingError
from vitan.models.recorder import Recorder

ALL = frozenset(TAPS)


def _timm(**options):
    torch.manual_seed(0)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3, "num_classes": 0}
    model = timm.models.vision_transformer.VisionTransformer(**{**sizes, **options}).eval()
    return _shake(model)


def _beit():
    torch.manual_seed(0)
    model = timm.models.beit.Beit(
        img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=3, num_classes=0, init_values=0.1,
        use_abs_pos_emb=False, use_shared_rel_pos_bias=True,
    ).eval()  # fmt: skip
    return _shake(model)


def _shake(model):
    """Make every parameter large enough to matter."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.requires_grad_(False)


def _open_clip():
    torch.manual_seed(0)
    model = OpenClipTransformer(
        image_size=32, patch_size=8, width=24, layers=3, heads=3, mlp_ratio=4.0, output_dim=8
    ).eval()  # fmt: skip
    return _shake(model)


class _Plain(nn.Module):
    """A ViT written by somebody else: attention through the fused kernel, no names that anybody knows."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Conv2d(3, 24, 8, 8)
        self.layers = nn.ModuleList(_PlainBlock() for _ in range(3))

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        return x.mean(1)


class _PlainBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.after = nn.LayerNorm(24), nn.LayerNorm(24)
        self.mixer = _PlainAttention()
        self.mlp = nn.Linear(24, 24)

    def forward(self, x):
        x = x + self.mixer(self.before(x))
        return x + self.mlp(self.after(x))


class _PlainAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.three = nn.Linear(24, 72)

    def forward(self, x):
        q, k, v = self.three(x).unflatten(-1, (3, 3, 8)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


PLAIN = TapMap(
    blocks="layers", attention="mixer", norm1="before", norm2="after", attention_end="none", mlp_end="none"
)  # fmt: skip
KINDS = {
    "timm": (_timm, TIMM),
    "timm-layerscale": (lambda: _timm(init_values=0.5), TIMM),
    "timm-registers": (lambda: _timm(reg_tokens=2, qk_norm=True), TIMM),
    "beit": (_beit, TIMM),
    "open_clip": (_open_clip, OPEN_CLIP),
    "plain": (lambda: _Plain().eval().requires_grad_(False), PLAIN),
}


@pytest.fixture
def pixels():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def _record(model, taps, names, pixels, blocks=(0, 1, 2)):
    seen = {}
    with Recorder(model, taps, dict.fromkeys(blocks, names), lambda block, caught: seen.update({block: dict(caught)})):
        out = model(pixels)
    return out, seen


@pytest.mark.parametrize("kind", KINDS)
def test_the_residual_stream_adds_up(kind, pixels):
    make, taps = KINDS[kind]
    _, seen = _record(make(), taps, ALL, pixels)
    for block, tap in seen.items():
        torch.testing.assert_close(tap["block_in"] + tap["attention_branch"], tap["mid"], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(tap["mid"] + tap["mlp_branch"], tap["block"], atol=1e-5, rtol=1e-5)
        if block:
            assert torch.equal(tap["block_in"], seen[block - 1]["block"])


@pytest.mark.parametrize("kind", KINDS)
def test_attention_times_values_is_the_attention_branch(kind, pixels):
    """The strongest check there is: probabilities and values must reproduce what the module makes of them."""
    make, taps = KINDS[kind]
    model = make()
    _, seen = _record(model, taps, ALL, pixels)
    for block, tap in seen.items():
        mixed = (tap["attention"] @ tap["v"]).transpose(1, 2).flatten(2)  # (batch, token, channel)
        module = model.get_submodule(f"{taps.blocks}.{block}")
        attention = module.get_submodule(taps.attention)
        project = getattr(attention, "proj", None) or getattr(attention, "out_proj", nn.Identity())
        branch = project(mixed)
        if kind == "timm-layerscale":
            branch = module.ls1(branch)
        if kind == "beit":
            branch = branch * module.gamma_1
        torch.testing.assert_close(branch, tap["attention_branch"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_to_read_attention_agree(kind, pixels):
    """Asking for q as well sends the attention through interception instead of the module's own softmax."""
    make, taps = KINDS[kind]
    model = make()
    _, alone = _record(model, taps, {"attention"}, pixels)
    _, intercepted = _record(model, taps, {"attention", "q", "k"}, pixels)
    _, with_values = _record(model, taps, {"attention", "v"}, pixels)
    for block in alone:
        assert torch.allclose(alone[block]["attention"].sum(-1), torch.ones(()), atol=1e-6)
        torch.testing.assert_close(alone[block]["attention"], intercepted[block]["attention"], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(alone[block]["attention"], with_values[block]["attention"], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["timm", "timm-registers", "plain"])
def test_queries_and_keys_make_the_attention(kind, pixels):
    make, taps = KINDS[kind]
    _, seen = _record(make(), taps, {"attention", "q", "k"}, pixels)
    for tap in seen.values():
        logits = tap["q"] @ tap["k"].transpose(-1, -2) / tap["q"].shape[-1] ** 0.5
        torch.testing.assert_close(logits.softmax(-1), tap["attention"], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_recording_leaves_the_output_and_no_trace(kind, pixels):
    make, taps = KINDS[kind]
    model = make()
    before = _state(model)
    plain = model(pixels)
    features, _ = _record(model, taps, ALL - {"attention", "q", "k", "v"}, pixels)
    assert torch.equal(features, plain)  # nothing left its kernel
    recorded, _ = _record(model, taps, ALL, pixels)
    assert (recorded - plain).abs().max() <= 5e-5 * plain.abs().max()
    assert torch.equal(model(pixels), plain)
    assert _state(model) == before


def _state(model):
    return [
        (name, len(m._forward_hooks), len(m._forward_pre_hooks), getattr(m, "fused_attn", None))
        for name, m in model.named_modules()
    ]


def test_no_tensor_survives(pixels):
    model = _timm()
    refs = []
    with Recorder(model, TIMM, {0: {"attention", "v"}, 2: {"attention"}}, lambda _, caught: refs.extend(
        weakref.ref(tensor) for tensor in caught.values()
    )):  # fmt: skip
        model(pixels)
        gc.collect()
        assert refs
        assert not any(ref() is not None for ref in refs)


def test_hooks_are_gone_after_an_error(pixels):
    model = _timm()
    before = _state(model)

    def fail(block, taps):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Recorder(model, TIMM, {1: ALL}, fail):
        model(pixels)
    assert _state(model) == before
    assert torch.equal(model(pixels), model(pixels))


def test_only_the_asked_block_leaves_the_fused_kernel(pixels):
    model = _timm()
    with Recorder(model, TIMM, {1: {"attention"}}, lambda *_: None):
        assert [block.attn.fused_attn for block in model.blocks] == [True, False, True]


def test_a_model_that_never_fuses_is_read_as_well(pixels):
    """As under TIMM_FUSED_ATTN=0."""
    model = _timm()
    for block in model.blocks:
        block.attn.fused_attn = False
    _, seen = _record(model, TIMM, ALL, pixels)
    assert seen.keys() == {0, 1, 2}
    assert not any(block.attn.fused_attn for block in model.blocks)


def test_what_catches_nothing_is_an_error(pixels):
    class Mute(_PlainAttention):
        def forward(self, x):
            q, k, v = self.three(x).unflatten(-1, (3, 3, 8)).permute(2, 0, 3, 1, 4)
            return ((q @ k.transpose(-1, -2)).softmax(-1) @ v).transpose(1, 2).flatten(2)

    model = _Plain().requires_grad_(False)
    model.layers[1].mixer = Mute()
    with pytest.raises(RecordingError, match=r"block 1 .* gave nothing for the tap 'attention'"):
        _record(model, PLAIN, {"attention"}, pixels)


def test_rows_that_do_not_sum_to_one_are_an_error(pixels):
    model = _timm(attn_drop_rate=0.5)
    model.blocks[2].attn.attn_drop.train()
    with pytest.raises(RecordingError, match="rows of block 2 do not sum to 1"):
        _record(model, TIMM, {"attention"}, pixels)


def test_unknown_taps_and_blocks_are_named():
    model = _timm()
    with pytest.raises(MismatchError, match="no tap is called 'attn'"), Recorder(model, TIMM, {0: {"attn"}}, print):
        pass
    with pytest.raises(MismatchError, match="blocks 0 to 2"), Recorder(model, TIMM, {3: {"block"}}, print):
        pass
    with pytest.raises(MismatchError, match="no plain Vision Transformer"), Recorder(nn.Linear(2, 2), TIMM, {}, print):
        pass
