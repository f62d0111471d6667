"""The models that learned nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vitan.anatomy import TIMM
from vitan.models.recorder import Recorder
from vitan.registry.plugins import installed
from vitan.testing import check_model
from vitan_models._noise import NoiseViT
from vitan_models.random import build_untrained

TINY = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}
ARCHITECTURE = "vit_tiny_patch16_224"


def untrained(seed: Any = 0) -> Any:
    return build_untrained(ARCHITECTURE, seed=seed, **TINY).state_dict()


# Initial weights


def test_the_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = untrained()
    torch.manual_seed(2)
    again, other = untrained(), untrained(seed=5)
    assert all(torch.equal(again[key], value) for key, value in first.items())
    assert not torch.equal(other["blocks.0.attn.qkv.weight"], first["blocks.0.attn.qkv.weight"])


def test_two_matrices_of_one_shape_differ() -> None:
    state = untrained()
    assert not torch.equal(state["blocks.0.mlp.fc1.weight"], state["blocks.1.mlp.fc1.weight"])


def test_untrained_architectures_have_nothing_but_parameters() -> None:
    """They are built without values, and then parameters alone get some."""
    untrained_ones = [
        spec for _, spec in installed().models if spec.name.startswith("random-") and "noise" not in spec.name
    ]
    assert len(untrained_ones) == 9
    for spec in untrained_ones:
        with torch.device("meta"):
            assert [name for name, _ in spec.build().named_buffers()] == [], spec.name


def test_global_random_numbers_are_left_as_they_were() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    untrained()
    assert torch.equal(torch.rand(4), expected)


def test_the_weights_are_the_usual_initial_ones() -> None:
    for name, value in untrained().items():
        if value.ndim > 1 and value.numel() > 500:
            assert value.abs().max() <= 0.04, name
            assert value.std().item() == pytest.approx(0.0176, rel=0.1), name  # normal, 0.02, cut at two of them
        elif value.ndim == 1:
            assert set(value.tolist()) == {1.0 if name.endswith("weight") else 0.0}, name


def test_every_architecture_at_224_has_its_untrained_twin() -> None:
    models = [spec for _, spec in installed().models]
    study = {"dino", "clip", "mae", "timm", "moco", "beit"}
    needed = {(spec.arch, spec.patch) for spec in models if spec.family in study and spec.image_size == 224}
    twins = {(spec.arch, spec.patch) for spec in models if spec.name.startswith("random-") and "noise" not in spec.name}
    assert twins == needed


# Noise


def noise(seed: Any = 0) -> Any:
    return NoiseViT(seed=seed, image_size=32, patch=8, dim=24, depth=3, heads=3).eval()


def pictures(n: Any, seed: Any = 0) -> Any:
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def recorded(module: Any, pixels: Any, taps: Any = ("attention", "block")) -> Any:
    seen = {}
    with Recorder(module, TIMM, dict.fromkeys(range(3), frozenset(taps)), seen.__setitem__):
        module(pixels)
    return seen


def test_noise_has_the_shapes_of_a_vit_and_its_published_name() -> None:
    spec = installed().model("RANDOM-ViT-B-16-224")
    assert spec.name == "random-noise-B16"
    assert spec.weights == ()
    check_model(spec, forward=False)


def test_noise_is_uniform() -> None:
    for block in recorded(noise(), pictures(8)).values():
        values = block["block"].flatten()  # 8 * 17 * 24 = 3264 of them
        assert values.min() >= -1e-6
        assert values.max() <= 1 + 1e-6
        assert values.mean().item() == pytest.approx(0.5, abs=0.02)
        assert values.var().item() == pytest.approx(1 / 12, abs=0.005)


def test_attention_is_uniform_noise_whose_rows_sum_to_one() -> None:
    attention = recorded(noise(), pictures(8))[1]["attention"]  # (picture, head, query, key)
    torch.testing.assert_close(attention.sum(-1), torch.ones(8, 3, 17))
    spread = (attention * 17).flatten()  # close to U(0, 2)
    assert spread.std().item() == pytest.approx(2 / 12**0.5, abs=0.05)
    assert (attention.sum(-2) - 1).abs().max() > 0.1, "columns are not normalised"


def test_noise_does_not_depend_on_the_batch() -> None:
    pixels = pictures(3)
    together, alone = recorded(noise(), pixels), recorded(noise(), pixels[1:2])
    for block, taps in together.items():
        for name, value in taps.items():
            assert torch.equal(value[1:2], alone[block][name]), (block, name)


def test_noise_differs_with_the_picture_the_block_and_the_seed() -> None:
    pixels = pictures(2)
    seen, other = recorded(noise(), pixels), recorded(noise(seed=1), pixels)
    for name in ("attention", "block"):
        value = seen[0][name]
        assert not torch.allclose(value[0], value[1], atol=0.1)
        assert not torch.allclose(value, seen[1][name], atol=0.1)
        assert not torch.allclose(value, other[0][name], atol=0.1)


def test_noise_leaves_global_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    noise()(pictures(1))
    assert torch.equal(torch.rand(4), expected)


def test_recording_the_same_attention_either_way() -> None:
    """Alone it is read from the module's own softmax, with queries from the call of the kernel."""
    direct = recorded(noise(), pictures(2), ("attention",))
    kernel = recorded(noise(), pictures(2), ("attention", "q", "k", "v"))
    for block in direct:
        torch.testing.assert_close(direct[block]["attention"], kernel[block]["attention"])
