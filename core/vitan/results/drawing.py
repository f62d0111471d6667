"""Figures on the disk: drawn after the numbers are there, and never in their way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..analysis.encoding import write_frames, write_pixels, write_plot
from ..analysis.figures import Animation, Drawing, Drawings, File, Picture
from ..analysis.records import Result
from ..engine.isolation import blaming
from ..engine.runner import Outcome
from ..files import naming_refusals, replacing, slug, tag


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


def files(outcome: Outcome) -> list[File]:
    """The files of numbers of one model. Raises ``PluginError`` for an analysis that fails to make them."""
    make = outcome.analysis.spec.files
    with blaming(outcome.analysis.owner, "making files"):
        return list(make()(outcome.drawable)) if make else []


def save(drawings: Iterable[Drawing | File], folder: Path) -> tuple[Path, ...]:
    """Save everything into a folder; returns the paths of the pictures.

    Raises ``StoreError`` where the disk refuses.
    """
    paths: list[Path] = []
    taken = {path.relative_to(folder) for path in folder.rglob("*")}
    for drawing in drawings:
        path = folder / _free(_path_of(drawing), drawing.name, taken)
        with naming_refusals(path):
            _save_one(drawing, path)
        if not isinstance(drawing, File):
            paths.append(path)
    return tuple(paths)


def _path_of(drawing: Drawing | File) -> Path:
    """Where a drawing goes below its folder; names may hold dots, so suffixes are appended, not replaced."""
    if isinstance(drawing, File):
        return Path(*(slug(part) for part in drawing.name.split("/")))
    return Path(f"{slug(drawing.name)}.{'gif' if isinstance(drawing, Animation) else 'png'}")


def _free(path: Path, name: str, taken: set[Path]) -> Path:
    """A path that nothing else of the folder has, numbers included; a tag of the name tells apart what would share."""
    free = path.with_name(f"{path.stem}-{tag(name)}{path.suffix}") if path in taken else path
    taken.add(free)
    return free


def _save_one(drawing: Drawing | File, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as new:
        if isinstance(drawing, Animation):
            write_frames(drawing.frames, drawing.seconds_per_frame, new)
        elif isinstance(drawing, Picture):
            write_pixels(drawing.pixels, new)
        elif isinstance(drawing, File):
            new.write_bytes(drawing.content)
        else:
            with replacing(path.with_suffix(".svg")) as vectors:
                write_plot(drawing.figure, new, vectors)
