"""The same picture seen by several models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vitan.analysis.figures import Drawable, Plot

from ..plotting import pages as plots
from ..plotting.pixels import Pixels, colour_cells
from .reading import Maps

_STEPS, _CELL = 12, 96


def draw(drawables: Sequence[Drawable]) -> Iterator[Plot]:
    """For each picture that all have seen: models down, depth across, the mean over heads of the leading query.

    Models of one dataset are compared; where results are of several datasets, each dataset has its own pictures.
    """
    for name in dict.fromkeys(drawable.dataset_name for drawable in drawables):
        group = [drawable for drawable in drawables if drawable.dataset_name == name]
        if len(group) < 2:
            continue
        seen = [{image.scene.name: image for image in Maps.of(drawable)} for drawable in group]
        for picture in seen[0]:
            if all(picture in images for images in seen):
                yield _page([images[picture] for images in seen])


def _page(images: Sequence[Maps]) -> Plot:
    steps = min(_STEPS, max(len(image.model.blocks) for image in images))
    side = images[0].cell_size(_CELL)
    rows = [_row(image, steps, side) for image in images]
    figure = plots.map_grid(
        np.stack(rows),
        [plots.model_label(image.model) for image in images],
        ["picture", *(f"{share:.2f}" for share in np.linspace(0, 1, steps))],
        title=f"What {' or '.join(dict.fromkeys(image.first[0] for image in images))} looks at, mean over heads",
        subtitle=f"{images[0].note}; across: depth from the first block (0) to the last (1)",
        gap=6,
    )
    return Plot(name=f"{images[0].scene.name}-models", figure=figure)


def _row(image: Maps, steps: int, side: tuple[int, int]) -> Pixels:
    """The picture and a map for each step of depth, as cells of one size for all models."""
    maps = image.first[1].mean(axis=1)  # (block, row, column)
    blocks = np.linspace(0, len(maps) - 1, steps).round().astype(int)
    cells = colour_cells(maps[blocks], side, image.scale(maps))
    return np.concatenate([image.scene.under_maps(side)[None], cells])
