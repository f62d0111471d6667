"""Figures on the disk: drawn after the numbers are there, and never in their way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..analysis.figures import Animation, Drawing, File, Picture, Plot
from ..analysis.records import Result
from ..engine.isolation import blaming
from ..engine.runner import Outcome
from ..files import slug

_DPI = 160  # or more, where a figure asks for it
_MARGIN = 0.1  # inches around a figure


def draw(outcome: Outcome) -> list[Drawing]:
    """The figures of one model; none where the analysis draws nothing. Raises ``PluginError`` for one that fails."""
    figures = outcome.analysis.spec.figures
    with blaming(outcome.analysis.owner, "drawing"):
        return list(figures()([outcome.drawable])) if figures else []


def draw_between(outcomes: Sequence[Outcome], result: Result | None) -> list[Drawing]:
    """The figures that compare several models, from what was found between them where the analysis computes that."""
    spec, drawables = outcomes[0].analysis.spec, [outcome.drawable for outcome in outcomes]
    with blaming(outcomes[0].analysis.owner, "drawing"):
        if result is not None and spec.comparison:
            return list(spec.comparison()(drawables, result))
        return list(spec.figures()(drawables)) if spec.figures and spec.comparison is None else []


def save(drawings: Iterable[Drawing], folder: Path) -> tuple[Path, ...]:
    """Save everything into a folder; returns the paths of the pictures."""
    paths: list[Path] = []
    for drawing in drawings:
        if isinstance(drawing, File):
            _save_file(drawing, folder)
        else:
            paths.append(_save_one(drawing, folder / slug(drawing.name)))
    return tuple(paths)


def _save_file(drawing: File, folder: Path) -> None:
    path = folder.joinpath(*(slug(part) for part in drawing.name.split("/")))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawing.content)


def _save_one(drawing: Plot | Picture | Animation, stem: Path) -> Path:
    """Save and return the picture to show; names may hold dots, so suffixes are appended, not replaced."""
    png, svg, gif = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg", "gif"))
    if isinstance(drawing, Plot):
        figure = drawing.figure
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once for both files: laying out takes longer than drawing
        box = figure.get_tightbbox().padded(_MARGIN)
        figure.savefig(png, dpi=max(_DPI, figure.dpi), bbox_inches=box, metadata={"Software": None})
        figure.savefig(svg, bbox_inches=box, metadata={"Date": None})
        return png
    if isinstance(drawing, Picture):
        Image.fromarray(drawing.pixels).save(png, optimize=True)
        return png
    return _save_animation(drawing, gif)


def _save_animation(drawing: Animation, path: Path) -> Path:
    # One palette for all frames, and no dither: what stands still must not flicker, and then takes no space.
    palette, plain = Image.fromarray(np.concatenate(drawing.frames)).quantize(), Image.Dither.NONE
    first, *rest = (Image.fromarray(frame).quantize(palette=palette, dither=plain) for frame in drawing.frames)
    milliseconds = round(1000 * drawing.seconds_per_frame)
    first.save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return path
