"""``Model.read``: what a model holds inside, for images of every kind, against the module run by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import vitan
from toys import toy_plugins
from vitan.data.views import make_view, to_tensor
from vitan.errors import ImageError, MismatchError
from vitan.models.model import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return vitan.load_model("toy-T8", device="cpu", plugins=toy_plugins())


def _array(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 255, (40, 50, 3), dtype=np.uint8)


def _pixels(model: Model, *arrays: np.ndarray[Any, Any]) -> torch.Tensor:
    view = make_view("crop", 32, 8)
    seen = [view.place(Image.fromarray(array))[0] for array in arrays]
    return torch.stack([to_tensor(image, model.spec.mean, model.spec.std) for image in seen])


def test_every_tap_is_the_modules_own(model: Model) -> None:
    """The last block's output is what timm gives, and rows of attention carry values to what the kernel returned."""
    pixels = _pixels(model, _array(0), _array(1))
    seen = model.read(pixels, taps=["block", "attention", "v"], blocks=[0, -1])
    assert set(seen) == {(block, tap) for block in (0, 2) for tap in ("attention", "block", "v")}
    with torch.no_grad():
        expected = model.module.forward_intermediates(
            pixels, indices=[0, 2], return_prefix_tokens=True, norm=False, output_fmt="NLC", intermediates_only=True
        )
    for block, (patches, prefix) in zip((0, 2), expected, strict=True):
        torch.testing.assert_close(seen[block, "block"], torch.cat([prefix, patches], 1), rtol=1e-5, atol=1e-5)
    assert seen[0, "attention"].shape == (2, 3, 17, 17)  # (image, head, query, key)
    torch.testing.assert_close(seen[0, "attention"].sum(-1), torch.ones(2, 3, 17))
    assert torch.equal(seen[-1, "attention"], seen[2, "attention"])
    assert "2, 'v': (2, 3, 17, 8)" in repr(seen)


def test_images_of_every_kind_are_the_same_pixels(model: Model, tmp_path: Path) -> None:
    array = _array(3)
    Image.fromarray(array).save(tmp_path / "a.png")
    kinds: list[Any] = [
        Image.fromarray(array),
        array,
        array[None],
        [array],
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        [Image.fromarray(array).convert("RGBA")],
        _pixels(model, array),
    ]
    first = model.read(kinds[0], blocks="last")[2, "block"]
    assert first.shape == (1, 17, 24)
    for kind in kinds[1:]:
        assert torch.equal(model.read(kind, blocks="last")[2, "block"], first)


def test_what_is_transparent_is_white_whether_opened_or_a_file(model: Model, tmp_path: Path) -> None:
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    white = model.read(Image.new("RGB", (40, 40), "white"), blocks="last")[2, "block"]
    for image in (clear, tmp_path / "clear.png"):
        assert torch.equal(model.read(image, blocks="last")[2, "block"], white)


def test_batches_change_nothing_but_their_size(model: Model) -> None:
    """In the order of the images, on the CPU, and free to be learned from."""
    arrays = [_array(seed) for seed in range(5)]
    whole = model.read(arrays, batch_size=5)
    assert set(whole) == {(0, "block"), (1, "block"), (2, "block")}
    parts = model.read(arrays, batch_size=2)
    for key, tensor in whole.items():
        torch.testing.assert_close(parts[key], tensor, rtol=1e-5, atol=1e-5)
    probe = torch.nn.Linear(24, 2)
    probe(whole[2, "block"][:, 0]).sum().backward()
    assert probe.weight.grad is not None


def test_only_loaded_blocks_are_read_unless_others_are_named() -> None:
    model = vitan.load_model("toy-T8", blocks="last", device="cpu", plugins=toy_plugins())
    assert list(model.read(_array(0))) == [(2, "block")]
    assert list(model.read(_array(0), blocks="0-1")) == [(0, "block"), (1, "block")]


@pytest.mark.parametrize(
    ("images", "asked", "error", "said"),
    [
        (_array(0), {"blocks": [3]}, MismatchError, "there is no block 3: the model has blocks 0 to 2, or -3 to -1"),
        (_array(0), {"blocks": [-4]}, MismatchError, "no block -4"),
        (_array(0), {"blocks": "fifth"}, MismatchError, "--blocks fifth"),
        (_array(0), {"blocks": []}, MismatchError, "names none"),
        (_array(0), {"taps": ["atention"]}, MismatchError, "no tap is called 'atention'"),
        (_array(0), {"view": "dense"}, MismatchError, "cuts an image into windows"),
        (_array(0), {"view": "crp"}, vitan.VitanError, "no view is called 'crp'"),
        ([], {}, MismatchError, "no images"),
        ("none.png", {}, ImageError, r"none\.png"),
        ([7], {}, ImageError, "^image 0: int is no picture"),
        ([_array(0), np.zeros((1, 900, 3), np.uint8)], {}, ImageError, "^image 1: a picture of 900 x 1 pixels"),
        (_array(0).astype(np.float32), {}, ImageError, r"float32 and shape \(40, 50, 3\)"),
        (_array(0)[:, :, 0], {}, ImageError, "uint8 and shape"),
        (torch.zeros(1, 3, 40, 40), {}, MismatchError, r"\(1, 3, 40, 40\).*\(image, 3, 32, 32\)"),
        (torch.zeros(3, 32, 32), {}, MismatchError, r"\(3, 32, 32\)"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), {}, MismatchError, r"torch\.uint8"),
    ],
)
def test_what_does_not_fit_is_named(
    model: Model, images: Any, asked: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        model.read(images, **asked)


def test_what_was_not_read_is_a_key_error_that_says_what_was(model: Model) -> None:
    seen = model.read(_array(0), blocks=[1])
    with pytest.raises(KeyError, match=r"\(1, 'block'\)"):
        seen[0, "block"]
    assert (0, "block") not in seen
    assert (-2, "block") in seen
