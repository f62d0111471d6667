"""Views: the pixels equal torchvision's and the published preprocessing, and points find their way back."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

import golden
from vitan.errors import UnknownNameError
from vitan.images import open_image
from vitan.views import Crop, make_view, to_tensor

GOLDEN = golden.FOLDER / "models"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CONSTANTS = {"dino": IMAGENET, "mae": IMAGENET, "moco": IMAGENET, "clip": CLIP, "timm": HALF, "beit": HALF}
SIZES = [(1, 1), (1, 9), (9, 1), (3, 2), (2, 3), (32, 32), (33, 32), (32, 33), (47, 31), (451, 300), (300, 451)]


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3))
    return Image.fromarray(values.astype(np.uint8))


def torchvision_crop(size: int) -> transforms.Compose:
    bicubic = transforms.InterpolationMode.BICUBIC
    return transforms.Compose([transforms.Resize(size, bicubic), transforms.CenterCrop(size)])


def assert_same_pixels(image: Image.Image, size: int) -> None:
    seen, placement = Crop(size).place(image)
    assert seen.size == placement.pixels == (size, size)
    assert placement.picture == image.size
    np.testing.assert_array_equal(np.asarray(seen), np.asarray(torchvision_crop(size)(image)))


@pytest.mark.parametrize("size", [1, 16, 31, 32, 224])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_crop_is_torchvisions_resize_and_centre_crop(shape: tuple[int, int], size: int) -> None:
    assert_same_pixels(noise(*shape), size)


def test_crop_equals_torchvision_for_many_odd_sizes() -> None:
    for width, height in np.random.default_rng(0).integers(1, 120, (150, 2)).tolist():
        assert_same_pixels(noise(width, height), 24)


@pytest.mark.parametrize(("mean", "std"), CONSTANTS.values())
def test_to_tensor_is_torchvisions_to_tensor_and_normalize(mean, std) -> None:
    image = Image.fromarray(np.arange(16 * 16 * 3, dtype=np.int64).astype(np.uint8).reshape(16, 16, 3))
    expected = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])(image)
    found = to_tensor(image, mean, std)
    assert found.dtype == torch.float32
    assert found.shape == (3, 16, 16)
    assert torch.equal(found, expected)


def test_placement_of_a_hand_computed_crop() -> None:
    _, placement = Crop(2).place(noise(8, 4))  # halved to 4 x 2; columns 1 and 2 are seen
    assert placement.box == (2.0, 0.0, 6.0, 4.0)
    assert placement.to_picture(0, 0) == (2.0, 0.0)
    assert placement.to_picture(2, 2) == (6.0, 4.0)
    assert placement.to_picture(0.5, 1.5) == (3.0, 3.0)


def test_placement_where_the_long_side_is_rounded_down() -> None:
    _, placement = Crop(1).place(noise(3, 2))  # scaled to 1.5 x 1, so to 1 x 1: nothing is cut off
    assert placement.to_picture(1, 1) == (3.0, 2.0)


@pytest.mark.parametrize(("width", "height"), [(500, 333), (333, 500), (211, 211), (97, 240)])
def test_a_point_seen_by_the_model_is_found_again_in_the_picture(width: int, height: int) -> None:
    columns, rows = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    image = Image.fromarray(np.stack([columns, rows, 0 * rows], axis=-1).round().astype(np.uint8))
    seen, placement = Crop(112).place(image)
    for x, y in [(20, 30), (56, 56), (90, 17)]:
        at = placement.to_picture(x + 0.5, y + 0.5)  # centre of that pixel
        red, green, _ = seen.getpixel((x, y))
        assert red == pytest.approx((at[0] - 0.5) * 255 / (width - 1), abs=1.1)
        assert green == pytest.approx((at[1] - 0.5) * 255 / (height - 1), abs=1.1)


def test_make_view_knows_crop_and_names_what_it_knows() -> None:
    assert make_view("crop", 32) == Crop(32)
    with pytest.raises(UnknownNameError, match="crop"):
        make_view("corp", 32)


def golden_photos() -> list:
    files = sorted(GOLDEN.glob("*.json"))
    return [
        pytest.param(file, photo, id=f"{file.stem}-{photo}")
        for file in files
        for photo in json.loads(file.read_text())["preprocess"]
    ]


@pytest.mark.golden
@pytest.mark.parametrize(("file", "photo"), golden_photos())
def test_preprocessing_is_the_published_one(file: Path, photo: str) -> None:
    golden = json.loads(file.read_text())
    expected = golden["preprocess"][photo]
    image = open_image(GOLDEN / "images" / f"{photo}.png")
    pixels = to_tensor(Crop(golden["imsize"]).place(image)[0], *CONSTANTS[golden["family"]]).double()

    assert list(pixels.shape) == expected["shape"]
    height, width = pixels.shape[1:]
    points = {
        "tl": pixels[:, 0, 0],
        "tr": pixels[:, 0, -1],
        "bl": pixels[:, -1, 0],
        "br": pixels[:, -1, -1],
        "centre": pixels[:, height // 2, width // 2],
    }
    for name, values in expected["corners"].items():
        assert points[name].tolist() == pytest.approx(values, abs=1e-6), name
    numbers = {
        "mean": pixels.mean().item(),
        "std": pixels.std(correction=0).item(),
        "min": pixels.min().item(),
        "max": pixels.max().item(),
        "channel_mean": pixels.mean((1, 2)).tolist(),
        "channel_std": pixels.std((1, 2), correction=0).tolist(),
    }
    for name, found in numbers.items():
        assert found == pytest.approx(expected[name], abs=1e-6), name
