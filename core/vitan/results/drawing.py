"""Figures on the disk: drawn after the numbers are there, and never in their way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..analysis.encoding import write_frames, write_pixels, write_plot
from ..analysis.figures import Animation, Drawing, File, Picture, unheard
from ..analysis.records import Result
from ..engine.isolation import blaming
from ..engine.progress import Reporter
from ..engine.runner import Outcome
from ..errors import printable
from ..files import naming_refusals, replacing, slug, tag
from .folder import read_figures, write_figures

_VECTORS = ".svg"


def draw(outcome: Outcome, say: Callable[[str], None] = unheard) -> Iterator[Drawing]:
    """The figures of one model, one by one; none where the analysis draws nothing.

    ``say`` is told what they leave out. Raises ``PluginError`` for one that fails.
    """
    figures = outcome.analysis.spec.figures
    with blaming(outcome.analysis.owner, "drawing"):
        yield from figures()([replace(outcome.drawable, say=say)]) if figures else ()


def draw_between(
    outcomes: Sequence[Outcome], result: Result | None, say: Callable[[str], None] = unheard
) -> Iterator[Drawing]:
    """The figures that compare several models, from what was found between them where the analysis computes that."""
    spec, drawables = outcomes[0].analysis.spec, [replace(outcome.drawable, say=say) for outcome in outcomes]
    with blaming(outcomes[0].analysis.owner, "drawing"):
        if result is not None and spec.comparison:
            yield from spec.comparison()(drawables, result)
        elif spec.figures and spec.comparison is None:
            yield from spec.figures()(drawables)


def draw_into(folder: Path, drawings: Iterable[Drawing], what: str, key: str, reporter: Reporter) -> tuple[Path, ...]:
    """Save the figures of ``what`` into a folder one by one, which ``reporter`` is told; returns the pictures.

    Those that were made from what has the digest ``key`` are kept, if all are there. Raises what ``draw`` raises, and
    ``StoreError`` where the disk refuses.
    """
    kept = read_figures(folder, key)
    if kept is not None:
        reporter.note(f"  {what}: figures unchanged")
        return tuple(path for path in kept if path.suffix != _VECTORS)
    reporter.begin_drawing(what)
    try:
        with _saying_warnings(what, reporter.note):
            pictures = save(drawings, folder, reporter.drawn)
    finally:
        reporter.end()
    vectors = [path for picture in pictures if (path := picture.with_suffix(_VECTORS)).is_file()]
    with naming_refusals(folder):
        write_figures(folder, key, [*pictures, *vectors])
    return pictures


@contextmanager
def _saying_warnings(what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Say each thing that libraries warn of inside once and on one line, and not as Python prints it."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for text in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
        say(f"warning: figures of {what}: {printable(text)}")


def files(outcome: Outcome) -> list[File]:
    """The files of numbers of one model. Raises ``PluginError`` for an analysis that fails to make them."""
    make = outcome.analysis.spec.files
    with blaming(outcome.analysis.owner, "making files"):
        return list(make()(outcome.drawable)) if make else []


def save(drawings: Iterable[Drawing | File], folder: Path, saved: Callable[[str], None] = unheard) -> tuple[Path, ...]:
    """Save everything into a folder, each name told to ``saved``; returns the paths of the pictures.

    Warns once of the letters that no font has. Raises ``StoreError`` where the disk refuses.
    """
    paths: list[Path] = []
    lacking: set[str] = set()
    taken = {path.relative_to(folder) for path in folder.rglob("*")}
    for drawing in drawings:
        path = folder / _free(_path_of(drawing), drawing.name, taken)
        with naming_refusals(path):
            lacking |= _save_one(drawing, path)
        saved(path.name)
        if not isinstance(drawing, File):
            paths.append(path)
    if lacking:
        letters = "".join(sorted(lacking))
        warnings.warn(f"no installed font has {letters}, which are written as {ascii(letters)[1:-1]}", stacklevel=2)
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


def _save_one(drawing: Drawing | File, path: Path) -> set[str]:
    """Returns the letters that no font has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as new:
        if isinstance(drawing, Animation):
            write_frames(drawing.frames, drawing.seconds_per_frame, new)
        elif isinstance(drawing, Picture):
            write_pixels(drawing.pixels, new)
        elif isinstance(drawing, File):
            new.write_bytes(drawing.content)
        else:
            with replacing(path.with_suffix(_VECTORS)) as vectors:
                return write_plot(drawing.figure, new, vectors)
    return set()
