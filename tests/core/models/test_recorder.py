"""Every tap against the definition, on untouched modules of every kind."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import timm
import torch
from open_clip.transformer import VisionTransformer as OpenClipTransformer
from torch import nn
from torch.nn import functional as F

from vitan.anatomy import OPEN_CLIP, TAPS, TIMM, TapMap
from vitan.errors import MismatchError, RecordingError
from vitan.models import attention as attention_module
from vitan.models.recorder import Recorder

ALL = frozenset(TAPS)


def _timm(**options: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3, "num_classes": 0}
    model = timm.models.vision_transformer.VisionTransformer(**{**sizes, **options}).eval()
    return _shake(model)


def _beit() -> Any:
    torch.manual_seed(0)
    model = timm.models.beit.Beit(
        img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=3, num_classes=0, init_values=0.1,
        use_abs_pos_emb=False, use_shared_rel_pos_bias=True,
    ).eval()  # fmt: skip
    return _shake(model)


def _shake(model: Any) -> Any:
    """Make every parameter large enough to matter."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.requires_grad_(False)


def _open_clip() -> Any:
    torch.manual_seed(0)
    model = OpenClipTransformer(
        image_size=32, patch_size=8, width=24, layers=3, heads=3, mlp_ratio=4.0, output_dim=8
    ).eval()  # fmt: skip
    return _shake(model)


class _Plain(nn.Module):
    """A ViT written by somebody else: attention through the fused kernel, no names that anybody knows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Conv2d(3, 24, 8, 8)
        self.layers = nn.ModuleList(_PlainBlock() for _ in range(3))

    def forward(self, x: Any) -> Any:
        x = self.embed(x).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        return x.mean(1)


class _PlainBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(24), nn.LayerNorm(24)
        self.mixer = _PlainAttention()
        self.mlp = nn.Linear(24, 24)

    def forward(self, x: Any) -> Any:
        x = x + self.mixer(self.before(x))
        return x + self.mlp(self.after(x))


class _PlainAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.three = nn.Linear(24, 72)

    def forward(self, x: Any) -> Any:
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
def pixels() -> Any:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def _record(model: Any, taps: Any, names: Any, pixels: Any, blocks: Any = (0, 1, 2)) -> Any:
    seen = {}
    with Recorder(model, taps, dict.fromkeys(blocks, names), lambda block, caught: seen.update({block: dict(caught)})):
        out = model(pixels)
    return out, seen


@pytest.mark.parametrize("kind", KINDS)
def test_the_residual_stream_adds_up(kind: Any, pixels: Any) -> None:
    make, taps = KINDS[kind]
    _, seen = _record(make(), taps, ALL, pixels)
    for block, tap in seen.items():
        torch.testing.assert_close(tap["block_in"] + tap["attention_branch"], tap["mid"], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(tap["mid"] + tap["mlp_branch"], tap["block"], atol=1e-5, rtol=1e-5)
        if block:
            assert torch.equal(tap["block_in"], seen[block - 1]["block"])


@pytest.mark.parametrize("kind", KINDS)
def test_attention_times_values_is_the_attention_branch(kind: Any, pixels: Any) -> None:
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
def test_what_is_read_does_not_depend_on_what_else_is_read(kind: Any, pixels: Any) -> None:
    make, taps = KINDS[kind]
    model = make()
    _, whole = _record(model, taps, ALL, pixels)
    for names in ({"attention"}, {"attention", "v"}, {"q", "k"}, {"v"}, {"block"}):
        _, seen = _record(model, taps, names, pixels)
        for block, tap in seen.items():
            assert tap.keys() == names
            for name, value in tap.items():
                assert torch.equal(value, whole[block][name]), (names, name)


def _unfused(model: Any) -> Any:
    """As under TIMM_FUSED_ATTN=0: the modules make their own softmax."""
    for block in model.blocks:
        block.attn.fused_attn = False
    return model


@pytest.mark.parametrize("kind", ["timm", "timm-registers", "beit"])
def test_a_softmax_of_the_modules_own_is_read_as_it_is(kind: Any, pixels: Any) -> None:
    make, taps = KINDS[kind]
    _, fused = _record(make(), taps, ALL, pixels)
    model = _unfused(make())
    plain = model(pixels)
    softmax = []
    model.blocks[0].attn.attn_drop.register_forward_hook(lambda _, __, made: softmax.append(made))
    out, own = _record(model, taps, ALL, pixels)
    assert torch.equal(out, plain)
    assert torch.equal(own[0]["attention"], softmax[0])
    assert not any(block.attn.fused_attn for block in model.blocks)
    for name in ("attention", "q", "k", "v"):
        torch.testing.assert_close(own[0][name], fused[0][name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["timm", "timm-registers", "plain"])
def test_queries_and_keys_make_the_attention(kind: Any, pixels: Any) -> None:
    make, taps = KINDS[kind]
    _, seen = _record(make(), taps, {"attention", "q", "k"}, pixels)
    for tap in seen.values():
        logits = tap["q"] @ tap["k"].transpose(-1, -2) / tap["q"].shape[-1] ** 0.5
        torch.testing.assert_close(logits.softmax(-1), tap["attention"], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_recording_leaves_the_output_and_no_trace(kind: Any, pixels: Any) -> None:
    make, taps = KINDS[kind]
    model = make()
    before = _state(model)
    plain = model(pixels)
    for names in (ALL, {"attention"}, {"q", "k", "v"}, ALL - {"attention", "q", "k", "v"}):
        recorded, _ = _record(model, taps, names, pixels)
        assert torch.equal(recorded, plain), names
    with Recorder(model, taps, dict.fromkeys(range(3), ALL), lambda *_: None, checking=True):
        assert torch.equal(model(pixels), plain)
    assert _state(model) == before


def _state(model: Any) -> Any:
    return [
        (name, len(m._forward_hooks), len(m._forward_pre_hooks), getattr(m, "fused_attn", None))
        for name, m in model.named_modules()
    ]


def test_no_tensor_survives(pixels: Any) -> None:
    model = _timm()
    refs = []
    with Recorder(model, TIMM, {0: {"attention", "v"}, 2: {"attention"}}, lambda _, caught: refs.extend(
        weakref.ref(tensor) for tensor in caught.values()
    )):  # fmt: skip
        model(pixels)
        gc.collect()
        assert refs
        assert not any(ref() is not None for ref in refs)


def test_hooks_are_gone_after_an_error(pixels: Any) -> None:
    model = _timm()
    before = _state(model)

    def fail(block: Any, taps: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Recorder(model, TIMM, {1: ALL}, fail):
        model(pixels)
    assert _state(model) == before
    assert torch.equal(model(pixels), model(pixels))


def test_no_block_leaves_the_fused_kernel(pixels: Any) -> None:
    model = _timm()
    with Recorder(model, TIMM, {1: {"attention"}}, lambda *_: None):
        assert all(block.attn.fused_attn for block in model.blocks)


class _Kernel(_PlainAttention):
    """Calls the kernel as it is told to."""

    def __init__(self, heads: Any = 3, **options: Any) -> None:
        super().__init__()
        self.options, self.heads = options, heads

    def forward(self, x: Any) -> Any:
        q, k, v = self.three(x).unflatten(-1, (3, 3, 8)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k[:, : self.heads], v[:, : self.heads], **self.options)
        return mixed.transpose(1, 2).flatten(2)


def _with(attention: Any) -> Any:
    torch.manual_seed(0)
    model = _Plain().eval()
    for layer in model.layers:
        layer.mixer = attention()
    return _shake(model)


_BIAS = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
_KEPT = (_BIAS > -0.5) | torch.eye(16, dtype=torch.bool)


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": 0.3}, {"attn_mask": _BIAS}, {"attn_mask": _KEPT}, {"attn_mask": _BIAS, "scale": 0.7},
     {"heads": 1, "enable_gqa": True}],
    ids=["plain", "scale", "added mask", "boolean mask", "both", "one key for three queries"],
)  # fmt: skip
def test_what_the_kernel_is_called_with_makes_the_attention(options: Any, pixels: Any) -> None:
    model = _with(lambda: _Kernel(**options))
    plain = model(pixels)
    seen = {}
    with Recorder(model, PLAIN, {1: ALL}, seen.__setitem__, checking=True):
        assert torch.equal(model(pixels), plain)
    tap = seen[1]
    assert tap["attention"].shape == (2, 3, 16, 16)
    mixed = (tap["attention"] @ tap["v"]).transpose(1, 2).flatten(2)
    torch.testing.assert_close(mixed, tap["attention_branch"], atol=1e-4, rtol=1e-4)
    if options.get("attn_mask") is _KEPT:
        assert bool((tap["attention"][:, ~_KEPT[0]] == 0).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_every_dtype_is_read_in_itself(kind: Any, dtype: Any, pixels: Any) -> None:
    make, taps = KINDS[kind]
    model = make().to(dtype)
    plain, seen = model(pixels.to(dtype)), {}
    with Recorder(model, taps, dict.fromkeys(range(3), ALL), seen.__setitem__, checking=True):
        assert torch.equal(model(pixels.to(dtype)), plain)
    assert {tensor.dtype for tap in seen.values() for tensor in tap.values()} == {dtype}


class _Multihead(nn.Module):
    """PyTorch's own attention in either order of its axes, with an even number of heads for its fast path."""

    def __init__(self, mask: Any = None, **options: Any) -> None:
        super().__init__()
        self.inner, self.mask = nn.MultiheadAttention(24, 4, batch_first=True, **options), mask

    def forward(self, x: Any) -> Any:
        return self.inner(x, x, x, need_weights=False, attn_mask=self.mask)[0]


@pytest.mark.parametrize(
    "options",
    [{}, {"bias": False}, {"mask": ~_KEPT[0, 0]}, {"mask": _BIAS[0, 0]}, {"mask": _BIAS[0, :1].repeat(8, 1, 1)}],
    ids=["plain", "no bias", "boolean mask", "added mask", "a mask for each head"],
)
def test_pytorchs_own_attention_keeps_its_fast_path(options: Any, pixels: Any) -> None:
    model = _with(lambda: _Multihead(**options))
    with torch.inference_mode():
        plain, seen = model(pixels), {}
        with Recorder(model, PLAIN, {1: ALL}, seen.__setitem__, checking=True):
            assert torch.equal(model(pixels), plain)
    assert seen[1]["attention"].shape == (2, 4, 16, 16)
    mask = options.get("mask")
    if mask is not None and mask.dtype == torch.bool:
        assert bool((seen[1]["attention"][:, :, mask] == 0).all())


@pytest.mark.parametrize(
    ("attention", "why"),
    [
        (lambda: _Kernel(is_causal=True), "its attention is causal"),
        (lambda: _Kernel(dropout_p=0.1), "its attention has dropout"),
        (lambda: _Multihead(add_bias_kv=True), "its keys are not those of the tokens alone"),
        (lambda: _Multihead(add_zero_attn=True), "its keys are not those of the tokens alone"),
        (lambda: nn.Sequential(_PlainAttention(), _PlainAttention()), "it calls the attention kernel more than once"),
    ],
)
def test_attention_that_is_not_one_softmax_is_refused(attention: Any, why: Any, pixels: Any) -> None:
    with pytest.raises(RecordingError, match=rf"block 0: {why}; vitan reads"):
        _record(_with(attention), PLAIN, {"attention"}, pixels)


def test_attention_that_the_module_does_not_use_is_an_error(pixels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read, times the values, has to be what the kernel returned."""
    model, read = _with(_PlainAttention), attention_module.softmax
    monkeypatch.setattr(attention_module, "softmax", lambda q, k, *_: read(q, k.roll(1, 2)))
    with (
        pytest.raises(RecordingError, match=r"block 0: the attention that was read.* in float32"),
        Recorder(model, PLAIN, {0: {"attention"}}, lambda *_: None, checking=True),
    ):
        model(pixels)


def test_what_catches_nothing_is_an_error(pixels: Any) -> None:
    class Mute(_PlainAttention):
        def forward(self, x: Any) -> Any:
            q, k, v = self.three(x).unflatten(-1, (3, 3, 8)).permute(2, 0, 3, 1, 4)
            return ((q @ k.transpose(-1, -2)).softmax(-1) @ v).transpose(1, 2).flatten(2)

    model = _Plain().requires_grad_(False)
    model.layers[1].mixer = Mute()
    with pytest.raises(RecordingError, match=r"block 1 .* gave nothing for the tap 'attention'"):
        _record(model, PLAIN, {"attention"}, pixels)


def test_rows_that_do_not_sum_to_one_are_an_error(pixels: Any) -> None:
    model = _unfused(_timm(attn_drop_rate=0.5))
    model.blocks[2].attn.attn_drop.train()
    with pytest.raises(RecordingError, match="block 2: the attention rows do not sum to 1"):
        _record(model, TIMM, {"attention"}, pixels)


def test_unknown_taps_and_blocks_are_named() -> None:
    model = _timm()
    with pytest.raises(MismatchError, match="no tap is called 'attn'"), Recorder(model, TIMM, {0: {"attn"}}, print):
        pass
    with pytest.raises(MismatchError, match="blocks 0 to 2"), Recorder(model, TIMM, {3: {"block"}}, print):
        pass
    with pytest.raises(MismatchError, match="no plain Vision Transformer"), Recorder(nn.Linear(2, 2), TIMM, {}, print):
        pass


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("names", [{"attention"}, {"block"}, ALL])
@pytest.mark.parametrize("kind", KINDS)
def test_values_that_are_not_finite_name_block_image_and_dtype(kind: Any, names: Any, value: Any, pixels: Any) -> None:
    """The first block that gives them, read or not, and before anybody is handed any."""
    make, taps = KINDS[kind]
    model, handed = make(), []

    def spoil(_: Any, __: Any, made: Any) -> Any:
        images, tokens = (1, 2) if taps is not OPEN_CLIP or model.transformer.batch_first else (2, 1)
        made[images, tokens, 3] = value
        return made

    model.get_submodule(f"{taps.blocks}.1").register_forward_hook(spoil)
    with (
        pytest.raises(RecordingError, match=r"block 1 gives values that are not finite for b\.png in float32"),
        Recorder(model, taps, {0: names, 2: names}, lambda block, _: handed.append(block), images=["a.png", "b.png"]),
    ):
        model(pixels)
    assert handed == [0]


@pytest.mark.parametrize(
    ("dtype", "instead"),
    [(torch.float16, "run with --dtype bfloat16 or float32"), (torch.float32, "the weights are damaged")],
)
def test_what_is_too_large_for_a_dtype_says_what_to_do(dtype: Any, instead: Any, pixels: Any) -> None:
    model = _timm().to(dtype)
    nn.init.constant_(model.blocks[1].mlp.fc2.bias, torch.finfo(dtype).max)
    nn.init.constant_(model.blocks[1].attn.proj.bias, torch.finfo(dtype).max)
    with pytest.raises(RecordingError, match=f"block 1 gives values .* for image 0 of the batch in .*; {instead}"):
        _record(model, TIMM, {"attention"}, pixels.to(dtype))


def test_large_values_are_no_overflow(pixels: Any) -> None:
    """In half precision the sum over an image is far beyond what a single value can be."""
    model = _timm().half()
    nn.init.constant_(model.blocks[2].mlp.fc2.bias, 6e4)
    _record(model, TIMM, {"block"}, pixels.half())
