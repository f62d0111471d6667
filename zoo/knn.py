"""A quick look at a trunk while it is trained: nearest neighbours on a world that it has never seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.functional import normalize, pil_to_tensor

from vitan.data.views import Crop
from vitan_datasets.shapes.pictures import Shapes, ShapesOptions
from vitan_models.tiny import MEAN, SIZE, STD, build

from .world import HELD_OUT


@torch.inference_mode()
def top1(state: Mapping[str, Tensor], per_class: int = 20) -> dict[str, float]:
    """The share of queries whose nearest picture of the bank is of their class, in percent, by CLS and mean patch."""
    trunk = build().eval()
    trunk.load_state_dict(dict(state))
    pixels, labels, query = _held_out(per_class)
    tokens = _tokens(trunk, pixels)
    features = {"cls": tokens[:, 0], "patches": tokens[:, 1:].mean(1)}
    return {name: _share(rows, labels, query) for name, rows in features.items()}


@cache
def _held_out(per_class: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, their classes, and which of them are queries."""
    dataset = Shapes(ShapesOptions(per_class=per_class, seed=HELD_OUT))
    samples = [dataset[index] for index in range(len(dataset))]
    view = Crop(SIZE)
    pixels = torch.stack([pil_to_tensor(view.place(sample.image)[0]) for sample in samples])
    labels = torch.tensor([sample.label for sample in samples])
    query = torch.tensor([sample.role == "query" for sample in samples])
    return normalize(pixels.float() / 255, list(MEAN), list(STD)), labels, query


def _tokens(trunk: VisionTransformer, pixels: Tensor) -> Tensor:
    return torch.cat([trunk.forward_features(part) for part in torch.split(pixels, 64)])


def _share(rows: Tensor, labels: Tensor, query: Tensor) -> float:
    unit = F.normalize(rows, dim=-1)
    nearest = (unit[query] @ unit[~query].T).argmax(1)
    return round(100 * float((labels[~query][nearest] == labels[query]).float().mean()), 1)
