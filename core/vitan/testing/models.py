"""The contract of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..anatomy import TAPS, TIMM
from ..models.layout import check_patch, describe, find_blocks, find_layout
from ..models.model import Model, as_built, load_model
from ..registry.specs import ModelSpec

_RESIDUAL = ("block_in", "attention_branch", "mid", "mlp_branch", "block")


def check_model(spec: ModelSpec, *, weights: Path | None = None, forward: bool = True) -> None:
    """Hold a model to its contract.

    ``weights`` is a checkpoint to load; without it the model keeps the values that ``build`` gives it, so that nothing
    is downloaded. ``forward=False`` checks only what can be seen without running the model, for very large ones.

    Raises ``AssertionError``.
    """
    assert len(spec.mean) == len(spec.std) == 3, f"{spec.name}: mean and std have one value per colour"
    assert min(spec.std) > 0, f"{spec.name}: a standard deviation is not positive"
    assert spec.image_size > 0, f"{spec.name}: image_size is {spec.image_size}"
    if not forward:
        _check_structure(spec)
        return
    model = load_model(spec, weights=weights) if weights else as_built(spec)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, 3, spec.image_size, spec.image_size, generator=generator)
    everything = frozenset(TAPS)
    wanted = {0: everything, model.info.depth - 1: everything - {"q", "k"}}  # both ways to read attention
    seen: dict[int, Mapping[str, Tensor]] = {}
    model.check_recording(wanted, pixels, seen.__setitem__)
    _check_shapes(model, seen)
    _check_values(model, seen)
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.module.modules()]
    assert not any(any(pair) for pair in hooks), f"{spec.name}: a hook survived the recording"


def _check_structure(spec: ModelSpec) -> None:
    with torch.device("meta"):  # shapes without memory
        module = spec.build()
    blocks = find_blocks(module, spec.taps or TIMM)
    depth, heads, dim = describe(module, spec.taps or TIMM)
    assert depth == len(blocks), f"{spec.name}: {len(blocks)} blocks, described as {depth}"
    assert dim % heads == 0, f"{spec.name}: {dim} channels do not split into {heads} heads"
    layout = spec.tokens(module) if spec.tokens else find_layout(module, spec.image_size)
    check_patch(spec.patch, spec.image_size, layout)


def _check_shapes(model: Model, seen: Mapping[int, Mapping[str, Tensor]]) -> None:
    info = model.info
    batch, tokens, channels = 1, len(info.layout), info.dim // info.heads
    for block, taps in seen.items():
        expected = {"attention": (batch, info.heads, tokens, tokens)}
        expected |= dict.fromkeys(("q", "k", "v"), (batch, info.heads, tokens, channels))
        for name, tensor in taps.items():
            shape = expected.get(name, (batch, tokens, info.dim))
            found = tuple(tensor.shape)
            assert found == shape, f"{info.name}: {name} of block {block} is {found}, expected {shape}"
            assert bool(tensor.isfinite().all()), f"{info.name}: {name} of block {block} is not finite"


def _check_values(model: Model, seen: Mapping[int, Mapping[str, Tensor]]) -> None:
    for block, taps in seen.items():
        before, attention, mid, mlp, after = (taps[name] for name in _RESIDUAL)
        size = float(after.abs().max())
        for what, made, sum_ in (("mid", mid, before + attention), ("block", after, mid + mlp)):
            off = float((made - sum_).abs().max())
            assert off <= 1e-4 * size, f"{model.info.name}: {what} of block {block} is off its two parts by {off:.1e}"
