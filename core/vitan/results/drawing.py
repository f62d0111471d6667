"""Figures on the disk: drawn after the numbers are there, and never in their way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..analysis.encoding import write_frames, write_pixels, write_plot
from ..analysis.figures import Animation, Drawing, Drawings, File, Picture, Plot
from ..analysis.records import Result
from ..engine.isolation import blaming
from ..engine.runner import Outcome
from ..files import naming_refusals, replacing, slug


def draw(outcome: Outcome) -> Drawings:
    """The figures of one model; none where the analysis draws nothing. Raises ``PluginError`` for one that fails."""
    figures = outcome.analysis.spec.figures
    with blaming(outcome.analysis.owner, "drawing"):
        return Drawings(figures()([outcome.drawable]) if figures else ())


def draw_between(outcomes: Sequence[Outcome], result: Result | None) -> list[Drawing]:
    """The figures that compare several models, from what was found between them where the analysis computes that."""
    spec, drawables = outcomes[0].analysis.spec, [outcome.drawable for outcome in outcomes]
    with blaming(outcomes[0].analysis.owner, "drawing"):
        if result is not None and spec.comparison:
            return list(spec.comparison()(drawables, result))
        return list(spec.figures()(drawables)) if spec.figures and spec.comparison is None else []


def save(drawings: Iterable[Drawing], folder: Path) -> tuple[Path, ...]:
    """Save everything into a folder; returns the paths of the pictures.

    Raises ``StoreError`` where the disk refuses.
    """
    paths: list[Path] = []
    for drawing in drawings:
        with naming_refusals(folder / drawing.name):
            if isinstance(drawing, File):
                _save_file(drawing, folder)
            else:
                paths.append(_save_one(drawing, folder / slug(drawing.name)))
    return tuple(paths)


def _save_file(drawing: File, folder: Path) -> None:
    path = folder.joinpath(*(slug(part) for part in drawing.name.split("/")))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as new:
        new.write_bytes(drawing.content)


def _save_one(drawing: Plot | Picture | Animation, stem: Path) -> Path:
    """Save and return the picture to show; names may hold dots, so suffixes are appended, not replaced."""
    png, svg, gif = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg", "gif"))
    if isinstance(drawing, Animation):
        with replacing(gif) as new:
            write_frames(drawing.frames, drawing.seconds_per_frame, new)
        return gif
    if isinstance(drawing, Plot):
        with replacing(png) as new, replacing(svg) as vectors:
            write_plot(drawing.figure, new, vectors)
    else:
        with replacing(png) as new:
            write_pixels(drawing.pixels, new)
    return png
