"""What is drawn of the attention analysis, and that it shows the numbers that it is given."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import golden
from vitan.analysis.figures import Drawable, Plot
from vitan.analysis.records import Record, Result
from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch
from vitan.data.samples import Dataset, Sample
from vitan.data.views import Crop
from vitan.options import Options
from vitan_analyses.attention.figures import draw
from vitan_analyses.attention.figures.readings import block_values, head_values, patch_maps
from vitan_analyses.attention.probe import AttentionProbe
from vitan_analyses.attention.state import AttentionOptions
from vitan_analyses.plotting import pages as plots
from vitan_analyses.plotting.curves import depth

GOLDEN = golden.arrays("attention.npz")
CASES = sorted(key.partition("__")[0] for key in GOLDEN.files if key.endswith("__meta__avg-att-dist__head"))
SQUARE = TokenLayout(("cls",), (5, 5))
IMAGES = 3


class Nothing(Dataset):
    """Pictures that nobody looks at."""

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> Sample:
        return Sample(id=str(index), image=Image.new("RGB", (40, 40)))

    def fingerprint(self) -> str:
        return "nothing"


LABELS = {"dino": "DINO", "mae": "MAE", "timm": "FS", "clip": "CLIP"}


def model_info(name: str, layout: TokenLayout, blocks: tuple[int, ...], heads: int, patch: int = 16) -> ModelInfo:
    family = name.partition("-")[0]
    names = {
        "name": name,
        "family": family,
        "label": LABELS.get(family, ""),
        "arch": "T",
        "patch": patch,
        "image_size": 80,
    }
    return ModelInfo(**names, depth=max(blocks) + 1, heads=heads, dim=8 * heads, layout=layout, blocks=blocks)


@cache
def measured(layout: TokenLayout, blocks: tuple[int, ...], heads: int) -> Result:
    probe = AttentionProbe(AttentionOptions(), model_info("dino-T16", layout, blocks, heads))
    for block in blocks:
        generator = torch.Generator().manual_seed(block)
        noise = torch.randn(IMAGES, heads, len(layout), len(layout), generator=generator)
        values = torch.randn(IMAGES, heads, len(layout), 8, generator=generator)
        samples = [Sample(id=str(i), image=Image.new("RGB", (8, 8)), label=0) for i in range(IMAGES)]
        batch = Batch(range(IMAGES), samples, [], torch.empty(0))
        probe.update_block(block, {"attention": (3 * noise).softmax(-1), "v": values}, batch)
    return probe.compute()


def drawable(
    name: str = "dino-T16",
    layout: TokenLayout = SQUARE,
    blocks: tuple[int, ...] = (0, 1, 2),
    heads: int = 4,
    result: Result | None = None,
) -> Drawable:
    result = measured(layout, blocks, heads) if result is None else result
    info = model_info(name, layout, blocks, heads)
    parts = {"options": AttentionOptions(), "dataset": Nothing(Options()), "dataset_name": "nothing", "view": Crop(80)}
    return Drawable(model=info, result=result, **parts)


def without(result: Result, *names: str) -> Result:
    arrays = {name: array for name, array in result.arrays.items() if name not in names}
    return replace(result, arrays=arrays, records=() if "records" in names else result.records)


def figures(*drawables: Drawable) -> dict[str, Plot]:
    drawings = list(draw(drawables))
    names = [drawing.name for drawing in drawings]
    assert len(set(names)) == len(names)
    assert all(isinstance(drawing, Plot) for drawing in drawings)
    return dict(zip(names, drawings, strict=True))


@cache
def usual() -> dict[str, Plot]:
    """The pages of the usual model."""
    return figures(drawable())


def texts(plot: Plot) -> str:
    return "\n".join(text.get_text() for text in plot.figure.findobj(match=lambda artist: hasattr(artist, "get_text")))


MODEL_PAGES = {
    "overview",
    "heads",
    "heads-sorted",
    "heads-by-rank",
    "heads-scatter",
    "offsets",
    "maps-cls",
    "maps-cls-one-scale",
    "maps-patch",
    "maps-patch-only",
    "maps-patch-only-one-scale",
    "maps-aligned",
    "maps-aligned-one-scale",
    "maps-value-weighted",
}


def test_the_pages_of_a_model() -> None:
    drawn = usual()
    assert drawn.keys() == MODEL_PAGES
    assert next(iter(drawn)) == "overview"
    assert "Attention of DINO T/16" in texts(drawn["overview"])
    assert "3 pictures of nothing" in texts(drawn["overview"])


def test_blocks_keep_their_numbers_where_only_some_were_asked_for() -> None:
    drawn = figures(drawable(blocks=(2, 7)))
    grid = drawn["maps-aligned"].figure.axes[0]
    assert [label.get_text() for label in grid.get_yticklabels()] == ["block 2", "block 7"]
    assert [label.get_text() for label in grid.get_xticklabels()] == ["head 0", "head 1", "head 2", "head 3"]
    assert "2 of 8 blocks" in texts(drawn["overview"])


def test_a_heat_map_shows_the_mean_over_the_images() -> None:
    shown = drawable()
    distance = shown.result.arrays["attention-distance"].mean(axis=0)
    native, ranked = (usual()[name].figure.axes[0] for name in ("heads", "heads-sorted"))
    np.testing.assert_allclose(native.images[0].get_array(), distance, rtol=1e-6)
    np.testing.assert_allclose(ranked.images[0].get_array(), np.sort(distance, axis=1), rtol=1e-6)
    assert native.images[0].get_clim() == pytest.approx((distance.min(), distance.max()))


def test_every_value_of_a_map_is_a_square_of_whole_dots() -> None:
    figure = usual()["maps-cls"].figure
    axes = figure.axes[0]
    pixels = axes.images[0].get_array()
    box = axes.get_window_extent()
    times = box.width / pixels.shape[1]
    assert pixels.shape[:2] == (3 * 7 - 2, 4 * 7 - 2)
    assert times == pytest.approx(round(times))
    assert box.height / pixels.shape[0] == pytest.approx(times)


def test_offsets_point_down_and_right_as_in_the_picture() -> None:
    axes = usual()["offsets"].figure.subfigs[0].axes[0]
    assert axes.yaxis_inverted()
    assert not axes.xaxis_inverted()


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(drawable(layout=TokenLayout((), (4, 6))), id="no cls, not square"),
        pytest.param(drawable(layout=TokenLayout(("cls", "register"), (3, 3))), id="registers"),
        pytest.param(drawable(blocks=(0,), heads=1), id="one head"),
        pytest.param(drawable(blocks=tuple(range(24)), heads=16), id="large"),
    ],
)
def test_other_models_are_drawn_too(shown: Drawable, tmp_path: Path) -> None:
    drawn = figures(shown)
    assert ("maps-cls" in drawn) == (shown.model.layout.cls is not None)
    for name in ("overview", "maps-patch-only-one-scale"):
        drawn[name].figure.savefig(tmp_path / f"{name}.png", dpi=40)


def test_what_is_not_there_is_not_drawn() -> None:
    full = measured(SQUARE, (0, 1, 2), 4)
    few = without(full, *(name for name in full.arrays if name not in ("attention-distance", "aligned-attention")))
    assert len(full.arrays) > 10
    kept = {"overview", "heads", "heads-sorted", "heads-by-rank", "maps-aligned", "maps-aligned-one-scale"}
    assert figures(drawable(result=few)).keys() == kept
    assert figures(drawable(result=without(full, *full.arrays, "records"))) == {}
    assert figures(*[drawable(result=without(full, *full.arrays, "records"))] * 2) == {}


def test_a_type_of_head_that_is_not_known_is_drawn_last() -> None:
    made_up = Record(metric="head-type", value=1.0, block=0, head=0, label="made up")
    result = replace(measured(SQUARE, (0, 1, 2), 4), records=(made_up,))
    assert "made up (1)" in texts(figures(drawable(result=result))["overview"])


# Comparisons


def test_models_are_compared_over_normalised_depth() -> None:
    shown = [
        drawable(),
        drawable("mae-T16", blocks=(0, 1, 2, 3, 4)),
        drawable("mine-T16", layout=TokenLayout((), (4, 4))),
    ]
    drawn = figures(*shown)
    assert drawn.keys() == {
        "compare-blocks",
        "compare-head-types",
        *(f"compare-heads-{n}" for n in ("attention-distance", "entropy", "patch-to-cls", "position-deviation")),
    }
    lines = drawn["compare-blocks"].figure.axes[0].lines
    for line, one in zip(lines, shown, strict=True):
        np.testing.assert_allclose(line.get_xdata(), depth(one))
        np.testing.assert_allclose(
            line.get_ydata(), one.result.arrays["attention-distance"].mean(axis=(0, 2)), rtol=1e-6
        )
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 3
    titles = [axes.get_title(loc="left") for axes in drawn["compare-heads-patch-to-cls"].figure.axes]
    assert titles == ["DINO T/16", "MAE T/16"]  # the third has no CLS


def test_types_of_heads_are_shares_of_each_block() -> None:
    labels = {(0, 0): "strict", (0, 1): "strict", (0, 2): "soft", (0, 3): "other", **{(2, h): "sink" for h in range(4)}}
    records = [Record(metric="head-type", value=1.0, block=b, head=h, label=label) for (b, h), label in labels.items()]
    typed = drawable(result=replace(measured(SQUARE, (0, 1, 2), 4), records=tuple(records)))
    figure = figures(typed, drawable("mae-T16", result=Result(records=())))["compare-head-types"].figure
    (axes,) = (axes for axes in figure.axes if axes.get_visible())  # a model without types has no panel
    bars = {container[0].get_facecolor(): [bar.get_width() for bar in container] for container in axes.containers}
    assert sorted(bars.values()) == [[0, 0, 1], [0.25, 0, 0], [0.25, 0, 0], [0.5, 0, 0]]
    for row in range(3):  # they stand side by side, and fill a block whose heads all have a type
        ends = sorted((c[row].get_x(), c[row].get_x() + c[row].get_width()) for c in axes.containers)
        assert all(left[1] == right[0] for left, right in itertools.pairwise(ends))
        assert ends[-1][1] == (0 if row == 1 else 1)
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "block 0 is on top"


def test_distance_is_also_shown_against_uniform_attention() -> None:
    layout = TokenLayout(("cls",), (4, 4))
    steps = [math.dist(divmod(a, 4), divmod(b, 4)) / 3 for a in range(16) for b in range(16)]
    uniform = np.full((2, 3, 4), np.mean(steps))  # (image, block, head)
    result = Result(
        records=(), arrays={"attention-distance": uniform}, axes={"attention-distance": ("image", "block", "head")}
    )
    page = figures(*[drawable(layout=layout, result=result)] * 2)["compare-blocks"].figure
    widths, multiples = page.axes[:2]
    np.testing.assert_allclose(widths.lines[0].get_ydata(), np.mean(steps))
    np.testing.assert_allclose(multiples.lines[0].get_ydata(), 1, atol=1e-9)


def test_the_dataset_is_named_where_there_are_several() -> None:
    other = replace(drawable(), dataset_name="other")
    legend = figures(drawable(), other)["compare-blocks"].figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["DINO T/16, nothing", "DINO T/16, other"]


def test_no_two_models_look_alike() -> None:
    names = [
        f"{family}-{arch}{patch}" for family in ("dino", "mae", "mine", "yours") for arch in "SBL" for patch in (8, 16)
    ]
    models = [model_info(name, SQUARE, (0,), 2, patch=int(name.split("-")[1][1:])) for name in names]
    looks = plots.looks(models)
    assert len({(look.colour, look.marker, look.dashes, look.hollow) for look in looks}) == len(names)
    by_family = {
        family: {looks[i].marker for i, m in enumerate(models) if m.family == family} for family in ("dino", "mine")
    }
    assert all(len(markers) == 1 for markers in by_family.values())
    assert by_family["dino"] != by_family["mine"]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("dino-T16", "DINO T/16"),
        ("timm-T16-384", "FS T/16 384"),
        ("clip-T16@clip-0915", "CLIP T/16 (clip-0915)"),
        ("dinov2-T16", "dinov2-T16"),
        ("dino:x", "dino:x"),
    ],
)
def test_display_names(name: str, label: str) -> None:
    info = replace(model_info(name, SQUARE, (0,), 2), family=name.partition("-")[0].partition(":")[0])
    assert plots.model_label(info) == label


# What figures read


def test_maps_over_patches_leave_the_other_tokens_out() -> None:
    layout = TokenLayout(("cls", "register"), (2, 3))
    values = np.arange(8.0).reshape(1, 1, 8)
    result = Result(records=(), arrays={"attention-on-token-cls": values})
    found = patch_maps(drawable(layout=layout, blocks=(0,), heads=1, result=result), "attention-on-token-cls")
    assert found is not None
    np.testing.assert_array_equal(found[0][0, 0], [[2, 3, 4], [5, 6, 7]])
    assert found[1][0, 0] == 0


def test_a_number_that_is_never_defined_is_no_number() -> None:
    result = Result(
        records=(), arrays={"head-deviation": np.full((3, 3), math.nan)}, axes={"head-deviation": ("image", "block")}
    )
    assert block_values(drawable(result=result), "head-deviation") is None


@pytest.mark.golden
@pytest.mark.parametrize("case", CASES)
def test_reductions_are_the_published_ones(case: str) -> None:
    distance = GOLDEN[f"{case}__avg-att-dist"]
    axes = {"attention-distance": ("image", "block", "head")}
    result = Result(records=(), arrays={"attention-distance": distance}, axes=axes)
    side = math.isqrt(GOLDEN[f"{case}__attn"].shape[-1] - 1)
    blocks = tuple(range(distance.shape[1]))
    shown = drawable(layout=TokenLayout(("cls",), (side, side)), blocks=blocks, heads=distance.shape[2], result=result)
    heads, curve = head_values(shown, "attention-distance"), block_values(shown, "attention-distance")
    assert heads is not None
    assert curve is not None
    published = {what: GOLDEN[f"{case}__meta__avg-att-dist__{what}"] for what in ("head", "block", "network")}
    np.testing.assert_allclose(heads, published["head"], atol=1e-6)
    np.testing.assert_allclose(curve, published["block"], atol=1e-6)
    assert curve.mean() == pytest.approx(float(published["network"]), abs=1e-6)
    along = np.interp(np.linspace(0, 1, 500), depth(shown), curve)
    np.testing.assert_allclose(along, GOLDEN[f"{case}__meta__interp500"], atol=1e-6)


def test_ticks_of_values_that_hardly_differ_are_written_out() -> None:
    figure = plots.Figure()
    axes = figure.subplots()
    axes.plot([0, 1], [2.83312, 2.83314])
    plots.tidy(axes, "entropy", "block", "nats")
    plots.colour_bar(figure, axes, (2.83312, 2.83314), "nats")
    figure.canvas.draw()
    assert [each.yaxis.get_offset_text().get_text() for each in figure.axes] == ["", ""]
