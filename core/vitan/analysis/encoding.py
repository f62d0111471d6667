"""Drawings as PNG, SVG and GIF, into files or into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

_DPI = 160  # where a figure asks for no more and no fewer than matplotlib's own
_MARGIN = 0.1  # inches around a figure

Target: TypeAlias = "Path | BinaryIO"


def write_plot(figure: Figure, png: Target, svg: Target | None = None) -> set[str]:
    """Write a matplotlib figure: laid out and drawn once, and once more for an SVG, as drawing takes long.

    The same figure gives the same bytes; what an SVG calls its parts is otherwise new every time. Returns the letters
    of its texts that no font has; see ``make_legible``.
    """
    from matplotlib import rc_context, rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from .legible import make_legible

    lacking = make_legible(figure)
    figure.set_dpi(_DPI if figure.dpi == rcParams["figure.dpi"] else figure.dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    figure.set_layout_engine(None)  # "none" leaves a stand-in, for whose sake every saving begins with one more draw
    box = figure.get_tightbbox()
    across, down = figure.get_size_inches()
    whole = min(box.x0, box.y0, across - box.x1, down - box.y1) >= 0
    box = box.padded(_MARGIN)
    if whole:
        _write_part(canvas, box, png)
    else:  # what lies beyond the page is not among the pixels
        figure.savefig(png, format="png", dpi=figure.dpi, bbox_inches=box, metadata={"Software": None})
    if svg is not None:
        with rc_context({"svg.hashsalt": "vitan"}):
            figure.savefig(svg, format="svg", bbox_inches=box, metadata={"Date": None})
    return lacking


def _write_part(canvas: FigureCanvasAgg, box: Bbox, png: Target) -> None:
    """Write what is drawn within a box, in inches from the lower left; beyond the page it is white."""
    import numpy as np
    from PIL import Image

    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba()))  # type: ignore[no-untyped-call]
    dpi = canvas.figure.dpi
    left, right, bottom, top = (round(side * dpi) for side in (box.x0, box.x1, box.y0, box.y1))
    part = Image.new("RGB", (right - left, top - bottom), "white")
    part.paste(drawn.convert("RGB"), (-left, top - drawn.height))
    part.save(png, format="png", dpi=(dpi, dpi))


def write_pixels(pixels: np.ndarray, png: Target) -> None:
    """Write pixels, uint8 (height, width, 3)."""
    from PIL import Image

    Image.fromarray(pixels).save(png, format="png", optimize=True)


def write_frames(frames: Sequence[np.ndarray], seconds_per_frame: float, gif: Target) -> None:
    """Write an animation that repeats for ever, of frames of one size, each uint8 (height, width, 3).

    One palette serves all frames, without dither: what stands still must not flicker, and then takes no space.
    """
    import numpy as np
    from PIL import Image

    palette, plain = Image.fromarray(np.concatenate(frames)).quantize(), Image.Dither.NONE
    first, *rest = (Image.fromarray(frame).quantize(palette=palette, dither=plain) for frame in frames)
    milliseconds = round(1000 * seconds_per_frame)
    first.save(gif, format="gif", save_all=True, append_images=rest, duration=milliseconds, loop=0)
