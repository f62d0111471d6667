"""The first page of a model: where its heads look, of what type they are, and how that changes with depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from vitan.analysis.figures import Drawable, Plot

from ...plotting import pages as plots
from ...plotting.pixels import Array, colour, own_scale, stretch, tile
from ..geometry import uniform_distance
from .readings import (
    HEAD_METRICS,
    TITLES,
    block_values,
    head_types,
    head_values,
    image_count,
    patch_maps,
    type_colours,
    unit,
)

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

_CURVES = ("attention-distance", "entropy", "patch-to-cls", "position-deviation", "head-deviation", "offset-length")


def draw(drawable: Drawable) -> Iterator[Plot]:
    """One page; nothing for a result without arrays."""
    curves = [name for name in _CURVES if block_values(drawable, name) is not None]
    strips = _strips(drawable)
    if not curves:
        return
    curve_rows = -(-len(curves) // 3)
    heights = [2.5, 1.5 * curve_rows, *([0.45 + 0.57 * len(strips)] if strips else [])]
    figure = plots.page(sum(heights) + 0.45)
    plots.head(figure, f"Attention of {plots.model_label(drawable.model)}", facts(drawable))
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _heat_maps(parts[0], drawable)
    _curves(parts[1], drawable, curves)
    if strips:
        _draw_strips(parts[2], drawable, strips)
    yield Plot(name="overview", figure=figure)


def facts(drawable: Drawable) -> str:
    """One line on what was looked at."""
    model, n = drawable.model, image_count(drawable)
    blocks = f"{len(model.blocks)} of {model.depth}" if len(model.blocks) < model.depth else str(model.depth)
    return (
        f"{n} picture{'s' if n != 1 else ''} of {drawable.dataset_name}, "
        f"view {drawable.view.name}, {model.image_size} px, "
        f"{model.layout.grid[0]} × {model.layout.grid[1]} patches, {blocks} blocks × {model.heads} heads"
    )


def _heat_maps(part: SubFigure, drawable: Drawable) -> None:
    blocks = drawable.model.blocks
    shown = [name for name in ("attention-distance", "entropy") if head_values(drawable, name) is not None]
    types = head_types(drawable)
    panels = part.subplots(1, len(shown) + bool(types), squeeze=False)[0]
    for axes, name in zip(panels, shown, strict=False):
        values = head_values(drawable, name)
        assert values is not None
        plots.heat_map(axes, values, blocks, title=HEAD_METRICS[name], scale=own_scale(values))
        plots.colour_bar(part, axes, own_scale(values), unit(drawable, name))
    if types:
        type_map(panels[-1], types, blocks, drawable.model.heads)


def type_map(axes: Axes, types: dict[tuple[int, int], str], blocks: tuple[int, ...], heads: int) -> None:
    """A colour per head type, (block, head), with a legend below; a head without a type stays white."""
    colours = type_colours(types.values())
    labels = list(colours)
    codes = np.full((len(blocks), heads), np.nan)
    for (block, head), label in types.items():
        codes[blocks.index(block), head] = labels.index(label)
    axes.imshow(
        codes,
        cmap=ListedColormap([*colours.values()]),
        vmin=-0.5,
        vmax=len(labels) - 0.5,
        aspect="auto",
        interpolation="none",
    )
    axes.set_xticks(np.arange(heads - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(blocks) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.5)
    plots.frame(axes, len(blocks), heads, blocks, title="type of head")
    axes.tick_params(which="minor", length=0)
    counts = {label: sum(label == other for other in types.values()) for label in labels}
    handles = [Patch(color=c, label=f"{label} ({counts[label]})") for label, c in colours.items()]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        fontsize=plots.TICK,
        frameon=False,
        handlelength=1,
        handleheight=1,
        borderaxespad=0.2,
    )


def _curves(part: SubFigure, drawable: Drawable, names: list[str]) -> None:
    rows = -(-len(names) // 3)
    grid = part.subplots(rows, min(3, len(names)), sharex=True, squeeze=False).ravel()
    blocks = list(drawable.model.blocks)
    for axes, name in zip(grid, names, strict=False):
        mean, heads = block_values(drawable, name), head_values(drawable, name) if name in HEAD_METRICS else None
        assert mean is not None
        if heads is not None:
            x = np.repeat(blocks, heads.shape[1])
            axes.plot(x, heads.ravel(), ".", color=plots.FAINT, markersize=4, markeredgewidth=0)
        axes.plot(blocks, mean, "-o", color="#0072B2", linewidth=1.2, markersize=2.5)
        plots.tidy(axes, TITLES[name], y=unit(drawable, name))
        plots.number_ticks(axes, blocks)
        if name == "attention-distance":
            uniform = uniform_distance(drawable.model.layout.grid)
            axes.axhline(uniform, color=plots.INK, linewidth=0.6, linestyle=":")
            axes.annotate(
                "uniform",
                (1, uniform),
                xycoords=("axes fraction", "data"),
                fontsize=plots.TICK,
                ha="right",
                va="bottom",
                bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5},
            )
    for axes in grid[len(names) :]:
        axes.set_visible(False)
    for axes in grid[max(0, len(names) - 3) : len(names)]:
        axes.set_xlabel("block", fontsize=plots.LABEL)
        axes.tick_params(labelbottom=True)


def _strips(drawable: Drawable) -> dict[str, Array]:
    """Maps per block averaged over its heads, (block, row, column), by what they show."""
    found = {}
    for label, name in (
        ("CLS looks at", "attention-on-token-cls"),
        ("patches look at", "attention-on-token-patch-only"),
    ):
        if (maps := patch_maps(drawable, name)) is not None:
            found[label] = maps[0].mean(axis=1)
    if (maps := patch_maps(drawable, "rollout")) is not None:
        found["rollout"] = maps[0]
    if (aligned := drawable.result.arrays.get("aligned-attention")) is not None:
        found["relative to\nthe query"] = np.asarray(aligned).mean(axis=1)
    return found


def _draw_strips(part: SubFigure, drawable: Drawable, strips: dict[str, Array]) -> None:
    """A row of maps for each array, one for each of at most twelve blocks."""
    blocks = drawable.model.blocks
    chosen = np.unique(np.linspace(0, len(blocks) - 1, min(len(blocks), 12)).round().astype(int))
    rows = part.subplots(len(strips), 1, squeeze=False)[:, 0]
    for axes, (label, maps) in zip(rows, strips.items(), strict=True):
        gap = max(1, maps.shape[-1] // 12)
        axes.imshow(colour(tile(stretch(maps[chosen])[None], gap), scale=(0.0, 1.0)), interpolation="none")
        axes.set_ylabel(label, fontsize=plots.LABEL, rotation=0, ha="right", va="center")
        axes.set_yticks([])
        pitch = maps.shape[-1] + gap
        axes.set_xticks(np.arange(len(chosen)) * pitch + (pitch - gap - 1) / 2, [str(blocks[i]) for i in chosen])
        axes.tick_params(labelsize=plots.TICK, length=0, labelbottom=axes is rows[-1])
        axes.spines[:].set_visible(False)
    rows[0].set_title("mean over heads and pictures, each map on its own scale", fontsize=plots.TITLE, loc="left")
    rows[-1].set_xlabel("block", fontsize=plots.LABEL)
