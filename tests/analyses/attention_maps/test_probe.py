"""The attention-maps analysis and the composition of pictures, against hand-made cases and the published pictures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

import golden
from vitan.analysis.figures import Animation, Drawable, Plot
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Dataset, Sample
from vitan.data.views import Crop
from vitan.errors import MismatchError
from vitan.options import Options
from vitan_analyses.attention_maps import vitan_probes
from vitan_analyses.attention_maps.figures import draw
from vitan_analyses.attention_maps.probe import AttentionMapsOptions, AttentionMapsProbe, queries
from vitan_analyses.plotting import pixels as drawing
from vitan_analyses.plotting.photographs import RED, mark, outline, scene, varied

GOLDEN = golden.arrays("attention.npz")
ALL = {key.partition("__")[0] for key in GOLDEN.files if key.endswith("__attn")}
CASES = sorted(case for case in ALL if f"{case}__positions" in GOLDEN.files)
OURS = {"spcagg": "all"}  # published name of a position: ours, where it differs
LAYOUT = TokenLayout(("cls",), (4, 4))


def attention(images: int, heads: int, layout: TokenLayout, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(images, heads, len(layout), len(layout), generator=torch.Generator().manual_seed(seed))
    return (2 * noise).softmax(-1)


def enlarged(pixels: np.ndarray, times: int) -> np.ndarray:
    """Every pixel as a square of ``times`` by ``times``, as the published code saves maps."""
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


LABELS = {"dino": "DINO", "mae": "MAE", "timm": "FS", "clip": "CLIP"}


def model_info(layout: TokenLayout, blocks: tuple[int, ...], heads: int = 3, name: str = "dino-T8") -> ModelInfo:
    size = 8 * max(layout.grid)
    family = name.partition("-")[0]
    names = {
        "name": name,
        "family": family,
        "label": LABELS.get(family, ""),
        "arch": "T",
        "patch": 8,
        "image_size": size,
    }
    return ModelInfo(**names, depth=max(blocks) + 1, heads=heads, dim=24, layout=layout, blocks=blocks)


def batch(*index: int) -> Batch:
    return Batch(index, [], [], torch.empty(0))


class Photos(Dataset):
    """Pictures twice as wide as high."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Sample:
        pixels = np.random.default_rng(index).integers(0, 255, (40, 80, 3), dtype=np.uint8)
        return Sample(id=f"a class/n 0{index}.JPEG", image=Image.fromarray(pixels))

    def fingerprint(self) -> str:
        return "photos"


def drawable(layout: TokenLayout = LAYOUT, name: str = "dino-T8", **options: object) -> Drawable:
    blocks = (1, 4)
    info = model_info(layout, blocks, name=name)
    probe = AttentionMapsProbe(AttentionMapsOptions(**{"images": 2, **options}), info)
    for block in blocks:
        probe.update_block(block, {"attention": attention(3, 3, layout, block)}, batch(0, 1, 2))
    parts = {"model": info, "options": probe.options, "result": probe.compute(), "dataset": Photos(Options())}
    return Drawable(**parts, dataset_name="photos", view=Crop(8 * max(layout.grid)))


def paint(values: list[list[float]], scale: tuple[float, float]) -> np.ndarray:
    return drawing.colour(np.array(values), scale=scale)


# The probe


def test_maps_are_the_rows_of_the_queries_over_the_patches() -> None:
    seen = attention(2, 3, LAYOUT)
    probe = AttentionMapsProbe(AttentionMapsOptions(), model_info(LAYOUT, (0,)))
    probe.update_block(0, {"attention": seen}, batch(0, 1))
    arrays = probe.compute().arrays
    expected = [seen[:, :, 0], *(seen[:, :, 1 + patch] for patch in (1, 4, 5, 7, 13)), seen[:, :, 1:].mean(2)]
    np.testing.assert_allclose(arrays["maps"][:, 0], torch.stack(expected, 2)[..., 1:], atol=1e-7)
    np.testing.assert_array_equal(arrays["diagonal-maps"][:, 0], seen[:, :, [1, 6, 11, 16], 1:])


def test_only_the_first_pictures_of_the_dataset_are_kept_however_they_come() -> None:
    probe, other = (AttentionMapsProbe(AttentionMapsOptions(images=3), model_info(LAYOUT, (0,))) for _ in range(2))
    seen = attention(5, 3, LAYOUT)
    other.update_block(0, {"attention": seen[[2, 4]]}, batch(2, 4))
    probe.update_block(0, {"attention": seen[[3, 1, 0]]}, batch(3, 1, 0))
    probe.update_block(0, {"attention": seen[[3, 4]]}, batch(3, 4))
    probe.merge(other)
    arrays = probe.compute().arrays
    np.testing.assert_array_equal(arrays["image-index"], [0, 1, 2])
    np.testing.assert_array_equal(arrays["maps"][:, 0, :, 0], seen[:3, :, 0, 1:])


def test_records_tell_how_few_patches_hold_the_mass() -> None:
    row = torch.tensor([0.2, *[0.4, 0.2, 0.1, 0.1], *[0.0] * 12])  # what CLS looks at: 0.8 of it on patches
    seen = row.expand(1, 1, 17, 17)
    probe = AttentionMapsProbe(AttentionMapsOptions(mass=0.6), model_info(LAYOUT, (2,), heads=1))
    probe.update_block(2, {"attention": seen}, batch(0))
    result = probe.compute()
    area, mean_area, peak, mean_peak = result.records
    assert (area.metric, area.token, area.block, area.head) == ("mask-area", "cls", 2, 0)
    assert (area.of, area.name, area.parameter, area.at) == ("image", "0", "mass", 0.6)
    assert area.value == pytest.approx(2 / 16)
    assert (peak.metric, peak.value) == ("peak", pytest.approx(0.5))
    assert (mean_area.head, mean_area.of, mean_area.value) == (None, "", area.value)
    assert result.headline == (mean_area.metric, mean_peak.metric)


def test_half_precision_and_a_map_without_any_mass() -> None:
    seen = torch.zeros(1, 1, 17, 17, dtype=torch.bfloat16)
    seen[..., 0] = 1
    probe = AttentionMapsProbe(AttentionMapsOptions(), model_info(LAYOUT, (0,), heads=1))
    probe.update_block(0, {"attention": seen}, batch(0))
    result = probe.compute()
    assert result.arrays["maps"].dtype == np.float32
    assert {record.value for record in result.records} == {0.0}


def test_without_cls_the_other_positions_are_kept() -> None:
    layout = TokenLayout((), (2, 3))
    named, along = queries(AttentionMapsOptions().positions, layout)
    assert list(named) == ["top", "left", "center", "right", "bottom", "all"]
    assert len(along) == 3
    with pytest.raises(MismatchError, match="cls"):
        queries(("cls",), layout)


def test_options_are_checked_and_what_only_draws_is_no_part_of_the_pass() -> None:
    assert AttentionMapsOptions().seen().keys() == {"images", "positions"}
    for wrong in ({"images": 0}, {"images": 201}, {"mass": 0}, {"mass": 1.1}, {"positions": ()}, {"scale": "row"}):
        with pytest.raises(ValidationError):
            AttentionMapsOptions(**wrong)


def test_the_spec_names_the_analysis() -> None:
    (spec,) = vitan_probes()
    assert spec.name == "attention-maps"
    assert spec.load() is AttentionMapsProbe
    assert spec.figures is not None
    assert spec.figures() is draw


# Pictures as arrays


def test_colours_are_those_of_the_table_and_nan_is_white() -> None:
    table = drawing.palette("viridis")
    pixels = paint([[0.0, 0.5, 1.0, 2.0, math.nan, -1.0]], (0.0, 1.0))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[0], [table[0], table[128], table[255], table[255], (255,) * 3, table[0]])
    np.testing.assert_array_equal(drawing.colour(np.full((2, 2), 7.0)), np.broadcast_to(table[0], (2, 2, 3)))


def test_stretch_uses_each_map_alone_and_leaves_a_constant_one() -> None:
    maps = np.array([[[1.0, 3.0], [2.0, 5.0]], [[0.3, 0.3], [0.3, 0.3]], [[math.nan] * 2] * 2])
    stretched = drawing.stretch(maps)
    np.testing.assert_allclose(stretched[0], [[0, 0.5], [0.25, 1]])
    np.testing.assert_allclose(stretched[1], 0.3)
    assert np.isnan(stretched[2]).all()


def test_tile_puts_cells_in_rows_with_gaps_between_them_only() -> None:
    cells = np.arange(4.0).reshape(2, 2, 1, 1)
    np.testing.assert_array_equal(drawing.tile(cells, 1), [[0, np.nan, 1], [np.nan] * 3, [2, np.nan, 3]])
    assert drawing.tile(np.zeros((2, 3, 5, 4, 3), np.uint8), 2).shape == (12, 16, 3)
    np.testing.assert_array_equal(drawing.tile(cells, 0), [[0, 1], [2, 3]])


@pytest.mark.parametrize("size", [(3, 5), (9, 14), (23, 15), (480, 331)])
def test_resize_takes_the_cells_that_pillow_takes(size: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random((4, 7), dtype=np.float32)
    expected = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.NEAREST))
    np.testing.assert_array_equal(drawing.resize(values, size), expected)


def test_one_scale_begins_at_zero_and_may_leave_out_peaks() -> None:
    values = np.array([0.5] * 99 + [9.0])
    assert drawing.scale_from_zero(values) == (0.0, 9.0)
    assert drawing.scale_from_zero(values, 0.9) == (0.0, 0.5)
    assert drawing.scale_from_zero(np.array([0.0] * 99 + [9.0]), 0.9) == (0.0, 9.0)
    assert drawing.scale_from_zero(np.array([math.nan])) == (0.0, 0.0)


def test_file_names_are_clean() -> None:
    assert drawing.file_name("n01/a b+c.JPEG") == "n01_a_b_c.JPEG"
    assert drawing.file_name("../..") == "unnamed"
    assert len(drawing.file_name("x" * 300)) == 80


# Photographs


def test_maps_lie_in_the_crop_or_in_the_whole_picture() -> None:
    cropped, whole = (scene(drawable(), 1, whole=whole) for whole in (False, True))
    assert cropped.name == "001-a_class_n_01"
    assert cropped.photo.shape == (40, 80, 3)
    assert cropped.box == pytest.approx((20, 0, 60, 40))
    assert whole.box == (0, 0, 80, 40)
    np.testing.assert_array_equal(cropped.under_maps((40, 40)), cropped.photo[:, 20:60])


def test_the_query_is_framed_where_it_lies() -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    marked = mark(picture, 5, (4, 4), (20, 0, 60, 40))  # row 1, column 1: x 30 to 40, y 10 to 20
    assert (marked[10:20, 30:40] == 0).all()
    for y, x in ((9, 35), (20, 35), (15, 29), (15, 40)):
        assert tuple(marked[y, x]) == RED
    assert (marked[:, :28] == 0).all()
    np.testing.assert_array_equal(mark(picture, None, (4, 4)), picture)


def test_the_outline_of_a_patch_has_four_sides() -> None:
    mask = np.zeros((2, 2), bool)
    mask[0, 1] = True
    sides = {tuple(sorted(side)) for side in outline(mask, (10, 0, 30, 20))}
    assert sides == {((20, 0), (30, 0)), ((20, 10), (30, 10)), ((20, 0), (20, 10)), ((30, 0), (30, 10))}
    assert len(outline(np.ones((2, 2)), (0, 0, 1, 1))) == 8


def test_varied_heads_differ_and_come_from_different_blocks() -> None:
    maps = np.full((2, 3, 8, 8), 1.0)
    maps[0, 1, 0, 0] = maps[1, 2, 7, 7] = 1000
    maps[1, 0, 7, 6] = 1000  # close to the one in the corner
    assert varied(maps, 2) == [(0, 1), (1, 2)]
    assert len(varied(maps, 50)) == 6
    weak = maps.copy()
    weak[0, 1] *= 1e-7
    assert (0, 1) not in varied(weak, 2)


# Figures


def test_five_figures_for_each_picture() -> None:
    drawings = list(draw([drawable()]))
    kinds = ["heads", "blocks-by-position", "heads-by-position", "overlay", "diagonal"]
    assert [d.name for d in drawings] == [f"00{i}-a_class_n_0{i}-{kind}" for i in (0, 1) for kind in kinds]
    film = drawings[4]
    assert isinstance(film, Animation)
    assert len(film.frames) == 4
    assert len({frame.shape for frame in film.frames}) == 1
    assert not np.array_equal(film.frames[0], film.frames[1])


def test_pictures_that_are_not_drawn_are_told_of() -> None:
    said: list[str] = []
    list(draw([replace(drawable(LAYOUT, images=1), say=said.append)]))
    assert said == ["  attention-maps: 1 of 3 pictures are drawn; --images N draws the first N"]
    list(draw([replace(drawable(LAYOUT, images=3), say=said.append)]))
    assert len(said) == 1, "there is nothing to say of what is complete"


@pytest.mark.parametrize(
    ("layout", "options", "missing"),
    [
        (TokenLayout((), (3, 5)), {}, set()),
        (TokenLayout(("cls", "register"), (4, 4)), {"protocol": "paper", "scale": "global"}, set()),
        (LAYOUT, {"positions": ("cls",)}, {"blocks-by-position", "heads-by-position", "diagonal"}),
        (LAYOUT, {"positions": ("diagonal",), "scale": "global"}, {"blocks-by-position", "heads-by-position"}),
    ],
)
def test_what_is_there_is_drawn(
    layout: TokenLayout, options: dict[str, object], missing: set[str], tmp_path: Path
) -> None:
    drawings = list(draw([drawable(layout, **{"images": 1, **options})]))
    kinds = {"heads", "blocks-by-position", "heads-by-position", "overlay", "diagonal"}
    assert {d.name.removeprefix("000-a_class_n_00-") for d in drawings} == kinds - missing
    for plot in drawings:
        if isinstance(plot, Plot):
            plot.figure.savefig(tmp_path / "figure.png", dpi=50)


def test_models_are_shown_side_by_side() -> None:
    drawings = list(draw([drawable(name="dino-T8"), drawable(TokenLayout((), (6, 6)), name="mae-T8", images=1)]))
    assert [d.name for d in drawings] == ["000-a_class_n_00-models"]
    assert [label.get_text() for label in drawings[0].figure.axes[0].get_yticklabels()] == ["DINO T/8", "MAE T/8"]


def test_models_are_compared_on_the_pictures_that_all_have_seen() -> None:
    one, other = drawable(), drawable()
    arrays = {**other.result.arrays, "image-index": np.array([1, 2])}  # as if the first could not be read
    other = replace(other, result=replace(other.result, arrays=arrays))
    assert [d.name for d in draw([one, other])] == ["001-a_class_n_01-models"]


# The published pictures


def published(case: str, what: str) -> np.ndarray:
    return GOLDEN[f"{case}__{what}"]


def golden_maps(case: str, image: int) -> dict[str, np.ndarray]:
    """(block, head, row, column) for each published position, through the probe."""
    seen = torch.from_numpy(published(case, "attn"))
    side = math.isqrt(seen.shape[-1] - 1)
    layout = TokenLayout(("cls",), (side, side))
    probe = AttentionMapsProbe(AttentionMapsOptions(), model_info(layout, tuple(range(seen.shape[1])), seen.shape[2]))
    for block in range(seen.shape[1]):
        probe.update_block(block, {"attention": seen[:, block]}, batch(*range(len(seen))))
    maps = probe.compute().arrays["maps"][image]
    named = queries(AttentionMapsOptions().positions, layout)[0]
    return {name: maps[:, :, i].reshape(*maps.shape[:2], side, side) for i, name in enumerate(named)}


def size_of(case: str) -> tuple[int, int]:
    width, height = published(case, "attn-img-size-wh")
    return int(width), int(height)


def assert_same_picture(pixels: np.ndarray, expected: np.ndarray) -> None:
    """Up to one grey level, which another matplotlib may make."""
    assert pixels.shape == expected[..., :3].shape
    assert np.abs(pixels.astype(int) - expected[..., :3]).max() <= 1
    assert (expected[..., 3:] == 255).all()


@pytest.mark.golden
@pytest.mark.parametrize("case", CASES)
def test_the_positions_are_the_published_ones(case: str) -> None:
    side = math.isqrt(published(case, "attn").shape[-1] - 1)
    named, along = queries(AttentionMapsOptions().positions, TokenLayout(("cls",), (side, side)))
    theirs = dict(zip(published(case, "position-names").tolist(), published(case, "positions").tolist(), strict=True))
    assert {OURS.get(name, name): token for name, token in theirs.items()} == named
    diagonal = dict(
        zip(published(case, "diag-names").tolist(), published(case, "diag-positions").tolist(), strict=True)
    )
    assert diagonal == along


@pytest.mark.golden
@pytest.mark.parametrize("case", CASES)
def test_single_maps_are_the_published_ones(case: str) -> None:
    maps, size = golden_maps(case, 0), size_of(case)
    for name in published(case, "position-names").tolist():
        ours = drawing.resize(maps[OURS.get(name, name)], size)
        np.testing.assert_allclose(ours, published(case, f"attn-img__{name}"), atol=1e-6, rtol=1e-5)
    assert_same_picture(
        drawing.colour_cells(maps["cls"], size)[0, 0], published(case, "attn-img__cls__blk0-head0__RGBA")
    )


TOKEN_PLOTS = sorted(key.split("__", 1) for key in GOLDEN.files if "__tokenplot__" in key)


@pytest.mark.golden
@pytest.mark.parametrize(("case", "key"), TOKEN_PLOTS)
def test_token_plots_are_the_published_ones(case: str, key: str) -> None:
    _, what, *variants, scale = key.split("__")
    if what == "cls":
        values = published(case, "avg-cls-att-on-token")
        side = math.isqrt(values.shape[-1] - 1)
        maps, cls = values[..., 1:].reshape(*values.shape[:2], side, side), values[..., 0]
        maps = drawing.with_cls(maps, cls) if "with-cls" in variants else maps
    else:
        maps = published(case, "avg-aligned-att-on-token__REF_ONE_BATCH")
    own = "pre-scaled" in variants
    joined = drawing.tile(drawing.stretch(maps) if own else maps, 2)
    pixels = drawing.colour(joined, scale=(0.0, 1.0) if own else drawing.scale_from_zero(maps))
    assert_same_picture(enlarged(pixels, int(scale.removeprefix("RGBA_sf"))), published(case, key))


SUMMARIES = sorted(key.split("__", 1) for key in GOLDEN.files if "__summary__" in key and "RGBA" in key)


@pytest.mark.golden
@pytest.mark.parametrize(("case", "key"), SUMMARIES)
def test_summaries_are_the_published_ones(case: str, key: str) -> None:
    _, metric, order, scale = key.split("__")
    values = published(case, metric).mean(axis=0)  # (block, head)
    np.testing.assert_array_equal(values.argsort(axis=1), published(case, f"summary__{metric}__order"))
    pixels = drawing.colour(np.sort(values, axis=1) if order == "sorted" else values, drawing.NUMBERS, (0.0, 0.65))
    assert_same_picture(enlarged(pixels, int(scale.removeprefix("RGBA_sf"))), published(case, key))


SUPERGRIDS = sorted(
    key.split("__", 1) for key in GOLDEN.files if "__supergrid__" in key and not key.endswith("__filenames")
)


@pytest.mark.golden
@pytest.mark.parametrize(("case", "key"), SUPERGRIDS)
def test_grids_of_single_maps_are_the_published_ones(case: str, key: str) -> None:
    _, axes, fixed = key.split("__")
    columns, rows = axes.split("-v-")
    maps = golden_maps(case, 1)
    five = np.stack([maps[name] for name in ("top", "left", "center", "right", "bottom")])
    name, _, value = fixed.partition("-")
    if name == "pos":
        chosen, order = maps[OURS.get(value, value)], ("blk", "head")
    elif name == "head":
        chosen, order = five[:, :, int(value.removeprefix("attn"))], ("pos", "blk")
    else:
        chosen, order = five[:, int(value.removeprefix("blk"))], ("pos", "head")
    chosen = chosen if order == (rows, columns) else chosen.swapaxes(0, 1)
    assert_same_picture(drawing.tile(drawing.colour_cells(chosen, size_of(case)), 10), published(case, key))
