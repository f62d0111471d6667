"""The real weights, from inside the published package."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vitan.models.model import Model, load_model
from vitan.registry.specs import ModelSpec
from vitan_saliency import vitan_models

pytestmark = pytest.mark.real


def spec_of(name: str) -> ModelSpec:
    return next(spec for spec in vitan_models() if spec.name == name)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(spec_of("saliency-S14"))


@pytest.fixture(scope="module")
def untrained() -> Model:
    torch.manual_seed(0)
    return load_model(replace(spec_of("saliency-S14"), weights=(), formats=()))


def waves() -> torch.Tensor:
    """A made-up picture that any machine can compute: (1, 3, 224, 224)."""
    y, x = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
    return torch.stack([torch.sin((x * (channel + 1) + y * 2) / 17.0) for channel in range(3)])[None]


def disc(column: int, row: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A red disc on green, as pixels (1, 3, 224, 224), and how much of each patch it covers (patch,)."""
    y, x = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
    inside = (x - column) ** 2 + (y - row) ** 2 < 40**2
    red, green = torch.tensor([2.0, -1.0, -1.0]), torch.tensor([0.0, 0.5, 0.0])
    pixels = torch.where(inside, red.view(3, 1, 1), green.view(3, 1, 1))[None]
    return pixels, inside.float().reshape(16, 14, 16, 14).mean(dim=(1, 3)).flatten()


def share_on(cover: torch.Tensor, model: Model, pixels: torch.Tensor, block: int) -> torch.Tensor:
    """How much of the CLS token's attention to patches falls on what is covered: (head,)."""
    caught: list[torch.Tensor] = []
    with model.record({block: ["attention"]}, lambda _, taps: caught.append(taps["attention"].clone())):
        model.forward(pixels)
    attention = caught[0][0, :, 0, 1:]  # (head, patch)
    return (attention @ cover) / attention.sum(dim=-1)


def test_it_is_the_model_it_says(model):
    assert (model.info.depth, model.info.heads, model.info.dim) == (12, 6, 384)
    assert model.info.layout.prefix == ("cls",)
    assert model.info.layout.grid == (16, 16)
    assert model.digest.startswith("198644e3")
    assert "without antialias" in model.origin


def test_the_final_tokens_are_those_of_the_published_graph(model):
    """The first numbers of the normalised CLS token, as ONNX Runtime computed them from the original file."""
    published = [-0.005375, -0.452274, 2.579283, -3.697109, -1.016318, -1.239602, 0.465245, 0.234258]
    with torch.inference_mode():
        tokens = model.module.forward_features(waves())
    torch.testing.assert_close(tokens[0, 0, :8], torch.tensor(published), atol=2e-4, rtol=0)


@pytest.mark.parametrize("place", [(140, 80), (70, 150)])
def test_the_cls_token_looks_at_what_stands_out(model, untrained, place):
    """The disc is a tenth of the picture. Each head of block 8 looks at it; without training, none does."""
    pixels, cover = disc(*place)
    assert 0.09 < cover.mean() < 0.11
    assert share_on(cover, model, pixels, block=8).min() > 0.3
    assert share_on(cover, untrained, pixels, block=8).max() < 0.2


def test_clip_gives_the_tokens_of_the_published_graph():
    """The first numbers of the normalised CLS token of the original file, its products computed on floats."""
    clip = load_model(spec_of("clip-int8-B16"))
    published = [-0.069621, -2.040424, -0.098120, -0.736422, -1.016268, 0.250662, 0.646898, -0.587907]
    with torch.inference_mode():
        tokens = clip.module.forward_features(waves())
    torch.testing.assert_close(tokens[0, 0, :8], torch.tensor(published), atol=2e-4, rtol=0)
