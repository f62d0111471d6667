"""A photograph with the place of the maps in it, and what is drawn onto it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from PIL import Image

from vitan.analysis.figures import Drawable

from .pixels import WHITE, Array, Pixels, colour, file_name

#: Pixels of the long side of a photograph in a figure.
PHOTO = 480
_SMALL = 300  # and of a grey one, which is drawn several times in a figure
RED = (230, 20, 20)
Box: TypeAlias = "tuple[float, float, float, float]"


@dataclass(frozen=True)
class Scene:
    """One picture, made smaller, and ``box``: (left, top, right, bottom) of the maps in it, not rounded."""

    name: str
    sample: str
    photo: Pixels
    box: Box
    whole: bool

    def under_maps(self, size: tuple[int, int]) -> Pixels:
        """What the maps lie on, at ``size`` (width, height); black beyond the picture's edge."""
        left, top, right, bottom = (round(side) for side in self.box)
        part = Image.fromarray(self.photo).crop((left, top, right, bottom))
        return np.asarray(part.resize(size, Image.Resampling.LANCZOS))


def scene(drawable: Drawable, index: int, *, whole: bool) -> Scene:
    """The picture at ``index`` of the dataset; ``whole``: maps lie on all of it, as in the published pictures."""
    sample, placement = drawable.picture(index)
    image = sample.image.convert("RGB")
    image.thumbnail((PHOTO, PHOTO), Image.Resampling.LANCZOS)
    across, down = image.width / placement.picture[0], image.height / placement.picture[1]
    left, top, right, bottom = (0, 0, *placement.picture) if whole else placement.box
    box = (left * across, top * down, right * across, bottom * down)
    stem = sample.id.rpartition(".")[0] or sample.id
    return Scene(f"{index:03d}-{file_name(stem)}", sample.id, np.asarray(image), box, whole)


def mark(pixels: Pixels, patch: int | None, grid: tuple[int, int], box: Box | None = None) -> Pixels:
    """``pixels`` with one patch framed in red, and white around; its number is row by row, None frames nothing.

    The patches fill ``box``, by default everything.
    """
    marked = pixels.copy()
    if patch is None:
        return marked
    left, top, right, bottom = box or (0, 0, pixels.shape[1], pixels.shape[0])
    row, column = divmod(patch, grid[1])
    y0, y1 = (max(round(top + (row + i) * (bottom - top) / grid[0]), 0) for i in (0, 1))
    x0, x1 = (max(round(left + (column + i) * (right - left) / grid[1]), 0) for i in (0, 1))
    line = max(1, round(min(pixels.shape[:2]) / 100))
    for shade, out in ((WHITE, 2 * line), (RED, line)):
        frame = np.zeros(pixels.shape[:2], dtype=np.bool_)
        frame[max(y0 - out, 0) : y1 + out, max(x0 - out, 0) : x1 + out] = True
        frame[y0:y1, x0:x1] = False
        marked[frame] = shade
    return marked


def outline(mask: Array, box: Box) -> list[list[tuple[float, float]]]:
    """The borders of a mask (row, column) that fills ``box``, as line segments ((x, y), (x, y))."""
    rows, columns = mask.shape
    left, top, right, bottom = box
    across, down = (right - left) / columns, (bottom - top) / rows
    padded = np.pad(mask.astype(bool), 1)
    segments = []
    for y, x in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1]):  # borders between a row and the one above
        segments.append([(left + x * across, top + y * down), (left + (x + 1) * across, top + y * down)])
    for y, x in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1]):
        segments.append([(left + x * across, top + y * down), (left + x * across, top + (y + 1) * down)])
    return segments


def varied(maps: Array, count: int) -> list[tuple[int, int]]:
    """Up to ``count`` (block, head) indices of maps (block, head, ..., row, column) that differ from one another.

    Farthest first: begin with the map farthest from the mean of all, then always take the one whose nearest among those
    taken is farthest, one head of a block while there are blocks enough. Maps are compared blurred by an eighth of the
    grid, so that a peak one patch aside is no great difference, by half the sum of absolute differences of maps that
    sum to 1. Heads that leave the patches less than a tenth of their attention come last: what is left is mostly noise.
    """
    blocks, heads = maps.shape[:2]
    flat = _blur(maps.astype(np.float64)).reshape(blocks * heads, -1)
    mass = maps.sum(axis=(-2, -1), dtype=np.float64).reshape(blocks * heads, -1).mean(axis=1)
    shares = flat / np.maximum(flat.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    used = np.zeros(blocks)
    taken: list[int] = []
    distance = _distance(shares, shares.mean(axis=0))
    while len(taken) < min(count, len(flat)):
        handicap = 2.0 * (mass < 0.1) + 4.0 * used.repeat(heads)  # a distance is at most 1
        handicap[taken] = np.inf
        best = int((distance - handicap).argmax())
        distance = np.minimum(distance if taken else np.inf, _distance(shares, shares[best]))
        taken.append(best)
        used[best // heads] += 1
    return sorted(divmod(place, heads) for place in taken)


def _distance(shares: Array, one: Array) -> Array:
    distance: Array = np.abs(shares - one).sum(axis=-1) / 2
    return distance


def _blur(maps: Array) -> Array:
    """Maps (..., row, column), each value spread over its neighbours, and none lost at the edges."""
    spread = []
    for side in maps.shape[-2:]:
        step = np.subtract.outer(np.arange(side), np.arange(side)) * 8 / side
        weight = np.exp(-(step**2) / 2)
        spread.append(weight / weight.sum(axis=0))  # (to, from)
    blurred: Array = spread[0] @ maps @ spread[1].T
    return blurred


def over(axes: Axes, scene: Scene, shown: Array, mask: Array) -> None:
    """A map from 0 to 1 over the grey photograph, the stronger the less transparent, and the outline of a mask."""
    photograph(axes, scene, grey=True)
    left, top, right, bottom = scene.box
    rgba = np.dstack([colour(shown, scale=(0.0, 1.0)), (230 * np.sqrt(shown)).astype(np.uint8)])
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(rgba, extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5), interpolation="none")
    draw_outline(axes, scene, mask, "white", 0.8)
    axes.set(xlim=limits[0], ylim=limits[1])


def draw_outline(axes: Axes, scene: Scene, mask: Array, shade: str, width: float) -> None:
    """The border of a mask over what the model saw."""
    left, top, right, bottom = scene.box
    lines = outline(mask, (left - 0.5, top - 0.5, right - 0.5, bottom - 0.5))
    # one path: an SVG would otherwise spend a hundred bytes on each side of a patch
    path = Path(np.asarray(lines).reshape(-1, 2), [Path.MOVETO, Path.LINETO] * len(lines))
    axes.add_patch(PathPatch(path, fill=False, edgecolor=shade, linewidth=width, zorder=2))


def photograph(axes: Axes, scene: Scene, *, grey: bool = False) -> None:
    """The picture, with a frame around what the model saw; what it did not see is pale."""
    height, width = scene.photo.shape[:2]
    photo = Image.fromarray(scene.photo)
    if grey:  # drawn several times in a figure, and small
        photo = photo.convert("L")
        photo.thumbnail((_SMALL, _SMALL), Image.Resampling.LANCZOS)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(np.asarray(photo), extent=extent, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    left, top, right, bottom = scene.box
    for x, y, w, h in (
        (0, 0, left, height),
        (right, 0, width - right, height),
        (left, 0, right - left, top),
        (left, bottom, right - left, height - bottom),
    ):
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), w, h, facecolor="white", alpha=0.6, linewidth=0))
    red = tuple(part / 255 for part in RED)
    axes.add_patch(
        Rectangle(
            (left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor=red, linewidth=0.8, clip_on=False
        )
    )
    axes.set_axis_off()
