"""Videos with their masks: a strip of some frames, and a film of more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image

from vitan.analysis.figures import Animation, Picture
from vitan.analysis.legible import make_legible

from ..plotting import pages as plots
from ..plotting.pixels import Pixels, file_name
from .metrics import VOID, Ids, boundary_map
from .reading import Predictions

_COLUMNS, _WIDE = 5, 300  # frames of a strip, and pixels across a frame
_FILMED, _SECONDS = 40, 0.15  # at most so many frames in a film
_MARGIN, _GAP, _TOP, _LABEL, _DPI = 12, 6, 44, 20, 110  # pixels; the last per inch
_COLOURS = np.array([to_rgb(colour) for i, colour in enumerate(plots.CATEGORIES) if i != 6]) * 255  # without the grey


def draw(found: Predictions) -> Iterator[Picture | Animation]:
    """A strip and a film of some videos, from the worst to the best, with the masks of the best block."""
    if found.best not in found.with_masks:
        return
    scores = {video: _mean(found, rows) for video, rows in found.videos.items()}
    ranked = sorted(scores, key=lambda video: scores[video])
    shown = min(found.drawable.options.shown, len(ranked))
    for place in dict.fromkeys(np.linspace(0, len(ranked) - 1, shown).round().astype(int).tolist()):
        yield from _video(found, ranked[place], scores[ranked[place]])


def _mean(found: Predictions, rows: Sequence[int]) -> float:
    """J & F over the frames that count; below all others where none does."""
    values = found.scores(found.best)[rows[1:-1]]
    return float(np.nanmean(values)) if np.isfinite(values).any() else -1.0


def _video(found: Predictions, video: str, mean: float) -> Iterator[Picture | Animation]:
    rows = found.videos[video]
    said = f"J & F {mean:.3f}" if mean >= 0 else "no frame counts"
    title = f"{video}: {plots.model_label(found.drawable.model)}, block {found.best}, {said}"
    yield Picture(name=f"strip-{file_name(video)}", pixels=_strip(found, _some(rows, _COLUMNS), title))
    if len(rows) > 1:
        frames = _film(found, _some(rows, _FILMED), title)
        yield Animation(name=f"film-{file_name(video)}", frames=frames, seconds_per_frame=_SECONDS)


def _some(rows: Sequence[int], count: int) -> list[int]:
    """At most so many, evenly from the first to the last."""
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    return [rows[place] for place in places]


def _strip(found: Predictions, rows: Sequence[int], title: str) -> Pixels:
    """Annotated above, predicted below, with J and F of each frame as the mean over its objects."""
    cells = [_cells(found, row) for row in rows]
    high, wide = cells[0][0].shape[:2]
    lefts = [_MARGIN + column * (wide + _GAP) for column in range(len(rows))]
    tops = (_TOP + _LABEL, _TOP + 2 * _LABEL + high)
    texts = {}
    for left, row in zip(lefts, rows, strict=True):
        texts[left, tops[0] - 4] = f"annotated, {found.names[row].rpartition('/')[2]}"
        texts[left, tops[1] - 4] = f"predicted, {_said(found, row)}" if row != rows[0] else "given"
    page = _page((max(lefts[-1] + wide + _MARGIN, 480), tops[1] + high + _MARGIN), title, texts)
    for left, pair in zip(lefts, cells, strict=True):
        for top, cell in zip(tops, pair, strict=True):
            _paste(page, cell, (top, left))
    return page


def _said(found: Predictions, row: int) -> str:
    values = found.scores(found.best)[row]
    there = values[np.isfinite(values).all(1)]
    return "J {:.2f}, F {:.2f}".format(*there.mean(0)) if len(there) else "no object"


def _film(found: Predictions, rows: Sequence[int], title: str) -> list[Pixels]:
    """Annotated on the left, predicted on the right."""
    first, _ = _cells(found, rows[0])
    high, wide = first.shape[:2]
    top, lefts = _TOP + _LABEL, (_MARGIN, _MARGIN + wide + _GAP)
    texts = {(lefts[0], top - 4): "annotated", (lefts[1], top - 4): "predicted"}
    page = _page((lefts[1] + wide + _MARGIN, top + high + _MARGIN), title, texts)
    frames = []
    for row in rows:
        frame = page.copy()
        for left, cell in zip(lefts, _cells(found, row), strict=True):
            _paste(frame, cell[:high, :wide], (top, left))
        frames.append(frame)
    return frames


def _cells(found: Predictions, row: int) -> tuple[Pixels, Pixels]:
    """A frame with its annotation, and with its prediction."""
    photo, annotated = found.photo(row)
    size = (_WIDE, max(1, round(photo.shape[0] * _WIDE / photo.shape[1])))
    small = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))
    predicted = found.ids(found.best, row)
    return overlay(small, _small(annotated, size)), overlay(small, _small(predicted, size))


def _small(ids: Ids, size: tuple[int, int]) -> Ids:
    return np.asarray(Image.fromarray(ids).resize(size, Image.Resampling.NEAREST))


def overlay(photo: Pixels, ids: Ids) -> Pixels:
    """A grey photograph (height, width, 3) with every object in a colour of its own, and white where it is void."""
    grey = np.repeat(photo.mean(2, keepdims=True), 3, 2)
    colours = np.where((ids == VOID)[..., None], 255.0, _COLOURS[(ids.astype(int) - 1) % len(_COLOURS)])
    share = np.where(ids > 0, np.where(boundary_map(ids), 1.0, 0.5), 0.0)[..., None]
    mixed: Pixels = ((1 - share) * grey + share * colours).round().astype(np.uint8)
    return mixed


def _page(size: tuple[int, int], title: str, texts: Mapping[tuple[int, int], str]) -> Pixels:
    """A white page with a heading, and texts by the (left, bottom) that they stand at."""
    width, height = size
    figure = plots.Page((width / _DPI, height / _DPI), _DPI)
    canvas = FigureCanvasAgg(figure)
    figure.text(_MARGIN / width, 1 - 10 / height, title, fontsize=plots.HEADING, va="top", color=plots.INK)
    for (x, y), text in texts.items():
        figure.text(x / width, 1 - y / height, text, fontsize=plots.TITLE, va="bottom", color=plots.INK)
    make_legible(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _paste(page: Pixels, pixels: Pixels, corner: tuple[int, int]) -> None:
    y, x = corner
    page[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
