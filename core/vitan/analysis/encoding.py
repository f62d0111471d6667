"""Drawings as PNG, SVG and GIF, into files or into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

_DPI = 160  # or more, where a figure asks for it
_MARGIN = 0.1  # inches around a figure

Target: TypeAlias = "Path | BinaryIO"


def write_plot(figure: Figure, png: Target, svg: Target | None = None) -> None:
    """Write a matplotlib figure, laid out once for both: laying out takes longer than drawing.

    The same figure gives the same bytes; what an SVG calls its parts is otherwise new every time.
    """
    from matplotlib import rc_context

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    box = figure.get_tightbbox().padded(_MARGIN)
    figure.savefig(png, format="png", dpi=max(_DPI, figure.dpi), bbox_inches=box, metadata={"Software": None})
    if svg is not None:
        with rc_context({"svg.hashsalt": "vitan"}):
            figure.savefig(svg, format="svg", bbox_inches=box, metadata={"Date": None})


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
