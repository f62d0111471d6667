"""Views: the pixels equal torchvision's and the published preprocessing, and points find their way back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

import golden
from golden_toys import toy_tokens
from vitan.data.batch import Batch
from vitan.data.images import open_image
from vitan.data.views import VIEWS, Crop, Dense, DensePaper, Letterbox, Squash, Thumbnail, View, make_view, to_tensor
from vitan.engine.loader import cut_grid
from vitan.errors import ImageError, UnknownNameError

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
def test_to_tensor_is_torchvisions_to_tensor_and_normalize(mean: Any, std: Any) -> None:
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
    assert make_view("crop", 32, 8) == Crop(32)
    with pytest.raises(UnknownNameError, match="crop"):
        make_view("corp", 32, 8)


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


VIEWS_32 = [make_view(name, 32, 8) for name in VIEWS]


@pytest.mark.parametrize("view", VIEWS_32, ids=lambda view: view.name)
@pytest.mark.parametrize("shape", [(90, 64), (64, 90), (64, 64), (33, 57), (20, 10)], ids=str)
def test_points_go_to_the_view_and_back_and_windows_lie_inside(view: Any, shape: Any) -> None:
    seen, placement = view.place(noise(*shape))
    assert seen.size == placement.pixels
    for x, y in [(0.0, 0.0), (7.5, 3.25), (shape[0] - 1.0, shape[1] - 1.0)]:
        assert placement.to_picture(*placement.to_view(x, y)) == pytest.approx((x, y))
    corners = view.windows(placement)
    assert all(0 <= left <= seen.width - 32 and 0 <= top <= seen.height - 32 for left, top in corners)
    assert len(set(corners)) == len(corners)


def test_a_letterbox_has_margins_and_a_squash_none() -> None:
    seen, placement = Letterbox(8).place(Image.new("RGB", (40, 20), "white"))
    assert np.asarray(seen)[:, 0, 0].tolist() == [0, 0, 255, 255, 255, 255, 0, 0]
    assert placement.to_view(0, 0) == (0, 2)
    assert placement.to_view(40, 20) == (8, 6)
    _, placement = Squash(8).place(noise(40, 20))
    assert placement.to_view(10, 10) == (2, 4)


def test_a_thumbnail_is_a_crop_of_a_small_picture() -> None:
    _, placement = Thumbnail(8).place(noise(32, 16))  # 8 x 4, then 16 x 8, of which columns 4 to 12
    assert placement.box == (8, 0, 24, 16)


def test_windows_of_a_hand_computed_dense_view() -> None:
    view = Dense(4, 2)
    _, placement = view.place(noise(22, 16))  # 11 x 8, rounded down to 10 x 8
    assert placement.pixels == (10, 8)
    assert view.windows(placement) == ((0, 0), (4, 0), (6, 0), (0, 4), (4, 4), (6, 4))
    owned = [window.own.tolist() for window in cut_grid(view.windows(placement), (4, 5), (2, 2), 4)]
    assert owned[2] == [[False, True], [False, True]]  # its first column was seen by the window before
    assert owned[3] == [[True, True], [True, True]]


def test_pictures_that_are_all_length_are_refused() -> None:
    for view in VIEWS_32:
        with pytest.raises(ImageError, match="too long and thin"):
            view.place(noise(2000, 2))


FEATURES = golden.arrays("features_seg.npz")
GEOMETRY = golden.arrays("downstream/geometry.npz")


@pytest.mark.golden
@pytest.mark.skipif(not [n for n in FEATURES.files if n.startswith("dense/")], reason="this set has no dense arrays")
def test_the_published_sizes_of_dense_pictures() -> None:
    for width, height, patch, wide, high in FEATURES["dense/resize_table_w_h_patch_W_H"].tolist():
        assert DensePaper(224, patch).scaled(width, height) == (wide, high), (width, height, patch)
        exact = Dense(224, patch).scaled(width, height)
        assert 0 <= exact[0] - wide <= patch
        assert 0 <= exact[1] - high <= patch


def stitched(view: View, image: Image.Image, patch: int) -> torch.Tensor:
    """Toy features of a picture in a divided view, stitched: (row, column, 9)."""
    seen, placement = view.place(image)
    corners = view.windows(placement)
    pixels = to_tensor(seen, *IMAGENET)
    windows = torch.stack([pixels[:, t : t + view.size, left : left + view.size] for left, t in corners])
    grid = (placement.pixels[1] // patch, placement.pixels[0] // patch)
    side = view.size // patch
    batch = Batch((0,), (), (placement,), windows, cut_grid(corners, grid, (side, side), view.size))
    return batch.stitch(toy_tokens(windows, patch))[0]


@pytest.mark.golden
@pytest.mark.parametrize("case", sorted({n.rsplit("/", 1)[0] for n in FEATURES.files if n.endswith("/acts")}))
def test_the_published_dense_features(case: str) -> None:
    name, _, patch = case.removeprefix("dense/").partition("_p")
    view = DensePaper(224, int(patch))
    image = open_image(golden.FOLDER / "features_seg_data" / "dense" / f"{name}.png")
    seen, placement = view.place(image)
    assert list(seen.size)[::-1] == FEATURES[f"{case}/resized_hw"].tolist()
    assert [[top, left] for left, top in view.windows(placement)] == FEATURES[f"{case}/starts"].tolist()
    np.testing.assert_allclose(np.asarray(seen).mean((0, 1)), FEATURES[f"{case}/resized_mean"], atol=2)
    tokens = stitched(view, image, int(patch))
    for block, expected in enumerate(FEATURES[f"{case}/acts"]):
        np.testing.assert_allclose(torch.tanh(tokens * (0.5 + 0.5 * block)), expected, atol=2e-5)


@pytest.mark.golden
@pytest.mark.parametrize("name", sorted(n.removeprefix("pad_") for n in GEOMETRY.files if n.startswith("pad_")))
def test_the_published_geometry_of_the_downstream_tasks(name: str) -> None:
    image = open_image(golden.FOLDER / "downstream" / "images" / f"{name}.png")
    size = GEOMETRY[f"pad_{name}"].shape[0]
    for prefix, view in (("std", Crop(size)), ("ret", Thumbnail(size))):
        found = to_tensor(view.place(image)[0], *IMAGENET) * torch.tensor(IMAGENET[1]).view(3, 1, 1)
        expected = GEOMETRY[f"{prefix}_{name}"] * np.array(IMAGENET[1])[:, None, None]
        np.testing.assert_allclose(found, expected, atol=2 / 255)
    seen, placement = Letterbox(size).place(image)
    assert np.abs(np.asarray(seen).astype(int) - GEOMETRY[f"pad_{name}"]).max() <= 2
    for given, expected in zip(GEOMETRY[f"kps_in_{name}"], GEOMETRY[f"kps_out_{name}"], strict=True):
        if given[2]:  # visible
            assert placement.to_view(*given[:2].tolist()) == pytest.approx(expected[:2].tolist(), abs=1e-4)


@pytest.mark.golden
@pytest.mark.parametrize("tiles", [2, 3])
@pytest.mark.parametrize("name", sorted(n.removeprefix("pad_") for n in GEOMETRY.files if n.startswith("pad_")))
def test_the_published_tiles(name: str, tiles: int) -> None:
    view = DensePaper(32, 8, tiles)
    _, placement = view.place(open_image(golden.FOLDER / "downstream" / "images" / f"{name}.png"))
    assert sorted(placement.pixels) == sorted(GEOMETRY[f"dense{tiles}_resized_{name}"].tolist())
    expected = GEOMETRY[f"dense{tiles}_coords_{name}"].tolist()
    found = [list(corner) for corner in view.windows(placement)]
    assert found == expected or [corner[::-1] for corner in found] == expected
