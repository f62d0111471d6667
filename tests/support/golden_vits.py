"""The tiny transformers of the published features: their weights, images and batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import timm
import torch
from torch import Tensor, nn

import golden
from vitan.anatomy import TIMM, ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Sample
from vitan.models.recorder import Recorder
from vitan_models.clip import image_tower
from watching import watch

GOLDEN = golden.arrays("features_seg.npz")


def dino() -> Any:
    """The model of ``vit/state``, and its images."""
    size, patch, dim, depth, heads, ratio = (int(value) for value in GOLDEN["vit/config"])
    model = timm.models.vision_transformer.VisionTransformer(
        img_size=size, patch_size=patch, embed_dim=dim, depth=depth, num_heads=heads, mlp_ratio=ratio, num_classes=0
    )
    model.load_state_dict(_state("vit/state/"), strict=True)
    return model.eval(), GOLDEN["vit/images"]


def clip() -> Any:
    """The model of ``vit/clip_state``, and its images."""
    size, patch, dim, depth, heads, _ = (int(value) for value in GOLDEN["vit/clip_config"])
    model = timm.models.vision_transformer.VisionTransformer(
        img_size=size, patch_size=patch, embed_dim=dim, depth=depth, num_heads=heads, num_classes=0, pre_norm=True,
        act_layer="quick_gelu", norm_layer=lambda channels, **_: nn.LayerNorm(channels, eps=1e-5),
    )  # fmt: skip
    state = image_tower({f"visual.{key}": tensor for key, tensor in _state("vit/clip_state/").items()})
    model.load_state_dict(state, strict=True)
    return model.eval(), GOLDEN["vit/clip_images"]


def info(model: nn.Module, name: str) -> ModelInfo:
    """What a probe is told of such a model."""
    depth, grid = len(model.blocks), model.patch_embed.grid_size
    return ModelInfo(
        name=name, family="toy", arch="T", patch=8, image_size=32, depth=depth, heads=1, dim=model.embed_dim,
        layout=TokenLayout(("cls",), grid), blocks=tuple(range(depth)),
    )  # fmt: skip


def batches(images: Any, labels: Any = None) -> Iterator[Batch]:
    """The images in the published batches, the last one smaller."""
    size = int(GOLDEN["vit/batch_size"])
    for number, start in enumerate(range(0, len(images), size)):
        index = range(start, min(start + size, len(images)))
        samples = [Sample(id=str(i), image=None, label=None if labels is None else int(labels[i])) for i in index]
        yield Batch(tuple(index), samples, (), torch.from_numpy(images[start : start + size]), number=number)


def show(probe: Any, model: nn.Module, images: Any, labels: Any = None) -> Any:
    """Let a probe see a model at all the images, from pixels through the recorder; gives it back."""
    for batch in batches(images, labels):

        def on_block(block: int, taps: dict[str, Tensor], batch: Batch = batch) -> None:
            watch(probe, block, taps, batch)

        wanted = dict.fromkeys(range(len(model.blocks)), probe.reads())
        with Recorder(model, TIMM, wanted, on_block), torch.inference_mode():
            model(batch.pixels)
    return probe


def _state(prefix: str) -> dict[str, Tensor]:
    keys = [key for key in GOLDEN.files if key.startswith(prefix)]
    return {key.removeprefix(prefix): torch.from_numpy(GOLDEN[key]) for key in keys}
