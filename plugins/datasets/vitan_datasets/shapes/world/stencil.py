"""Which pixel shows what: figures drawn in order onto a grid four times as fine as the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .figure import RGB, Figure, Mark, Paint
from .geometry import XY, Box, Outline, Placing

#: Fine pixels to the pixel, in both directions.
FINE = 4
#: So many of them make a pixel part of a mask.
HALF = FINE * FINE // 2
_SHIFT = 4  # OpenCV takes outlines in sixteenths of a pixel


@dataclass(frozen=True)
class Ink:
    """What one number in the fine grid stands for: a shape of a thing, or the line around it (no paint).

    ``window`` is the rows and columns, in pixels of the picture, outside of which it cannot be.
    """

    thing: int
    part: str
    paint: Paint | None
    line: RGB
    window: tuple[slice, slice]

    @property
    def fine(self) -> tuple[slice, slice]:
        """The window in the fine grid."""
        rows, columns = self.window
        return slice(rows.start * FINE, rows.stop * FINE), slice(columns.start * FINE, columns.stop * FINE)


class Stencil:
    """The fine grid, and what its numbers stand for; number 0 is the background.

    Coverage, and with it every mask, comes from the same numbers that are painted, so the two agree by construction.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.inks: list[Ink] = []
        self._numbers = np.zeros((height * FINE, width * FINE), dtype=np.uint8)

    def draw(self, thing: int, figure: Figure, placing: Placing, line: RGB) -> None:
        """Put a figure in front of everything so far."""
        scale = placing.scale
        for shape in figure.shapes:
            outline = placing.apply(shape.outline)
            edge = shape.edge * scale
            window = self._window(outline, edge)
            if window is None:
                continue
            corners = np.rint((outline * FINE - 0.5) * (1 << _SHIFT)).astype(np.int32)
            self._add(Ink(thing, shape.part, shape.paint, line, window))
            cv2.fillPoly(self._numbers, [corners], len(self.inks), lineType=cv2.LINE_8, shift=_SHIFT)
            if shape.edge:
                self._add(Ink(thing, shape.part, None, line, window))
                thickness = max(1, round(edge * FINE))
                cv2.polylines(
                    self._numbers, [corners], True, len(self.inks), thickness, lineType=cv2.LINE_8, shift=_SHIFT
                )

    def covers(self) -> Covers:
        """How much of each pixel every ink covers."""
        found = []
        for number, ink in enumerate(self.inks, 1):
            here = self._numbers[ink.fine] == number
            if here.any():
                found.append((ink, _count(here)))
        return Covers(self.width, self.height, found)

    def box(self, thing: int) -> Box | None:
        """The mask of a thing lies in x1, y1, x2, y2; None if it is empty."""
        shown, top, left = self._shows(thing)
        mask = _count(shown) >= HALF
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return None
        x, y = left // FINE, top // FINE
        return float(x + columns[0]), float(y + rows[0]), float(x + columns[-1] + 1), float(y + rows[-1] + 1)

    def area(self, thing: int) -> float:
        """How much of a thing is visible, in pixels."""
        return int(np.count_nonzero(self._shows(thing)[0])) / FINE**2

    def shows(self, at: XY, thing: int, part: str) -> bool:
        """Whether a point of the picture lies in it and on that part, or right beside it.

        The thing must also be in its mask there: of what is thinner than half a pixel no point counts as visible.
        """
        x, y = at
        if not (0 <= x < self.width and 0 <= y < self.height):
            return False
        row, column = int(y), int(x)
        rows, columns = slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2)
        near = self._numbers[rows.start * FINE : rows.stop * FINE, columns.start * FINE : columns.stop * FINE]
        whole, own = self._of(thing), self._of(thing, part)
        return bool(np.isin(near, own).any() and (_count(np.isin(near, whole)) >= HALF).any())

    def visible(self, marks: dict[str, Mark], placing: Placing, thing: int) -> dict[str, XY]:
        """The points of a figure that can be seen, in pixels."""
        if not marks:
            return {}
        places = placing.apply(np.array([mark.at for mark in marks.values()]))
        found = {}
        for (name, mark), (x, y) in zip(marks.items(), places, strict=True):
            at = (round(float(x), 3), round(float(y), 3))
            if self.shows(at, thing, mark.part):
                found[name] = at
        return found

    def _of(self, thing: int, part: str | None = None) -> list[int]:
        return [i for i, ink in enumerate(self.inks, 1) if ink.thing == thing and part in (None, ink.part)]

    def _shows(self, thing: int) -> tuple[npt.NDArray[np.bool_], int, int]:
        """The fine pixels that show a thing, within its windows, and the row and column where that begins."""
        numbers = self._of(thing)
        if not numbers:
            return np.zeros((0, 0), dtype=bool), 0, 0
        windows = [self.inks[i - 1].fine for i in numbers]
        rows = slice(min(w[0].start for w in windows), max(w[0].stop for w in windows))
        columns = slice(min(w[1].start for w in windows), max(w[1].stop for w in windows))
        # the numbers of a thing follow one another
        here = self._numbers[rows, columns]
        return (here >= numbers[0]) & (here <= numbers[-1]), rows.start, columns.start

    def _add(self, ink: Ink) -> None:
        self.inks.append(ink)
        if len(self.inks) > np.iinfo(np.uint8).max:
            raise ValueError("a picture has at most 255 shapes and lines")

    def _window(self, outline: Outline, edge: float) -> tuple[slice, slice] | None:
        margin = edge + 1
        left, top = np.floor(outline.min(axis=0) - margin).astype(int)
        right, bottom = np.ceil(outline.max(axis=0) + margin).astype(int)
        rows = slice(max(0, int(top)), min(self.height, int(bottom)))
        columns = slice(max(0, int(left)), min(self.width, int(right)))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _count(fine: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """How many fine pixels of each pixel are set; four neighbours are added at once, as the bytes of one number."""
    quads = np.ascontiguousarray(fine).view(np.uint32)
    rows = quads[0::4] + quads[1::4] + quads[2::4] + quads[3::4]
    return ((rows * np.uint32(0x01010101)) >> np.uint32(24)).astype(np.uint8)


class Covers:
    """How many of the sixteen fine pixels of each pixel each ink covers; only inks that can be seen."""

    def __init__(self, width: int, height: int, covers: Sequence[tuple[Ink, npt.NDArray[np.uint8]]]) -> None:
        self.width, self.height = width, height
        self._covers = covers

    def __iter__(self) -> Iterator[tuple[Ink, npt.NDArray[np.uint8]]]:
        return iter(self._covers)

    def mask(self, thing: int, part: str | None = None) -> npt.NDArray[np.bool_]:
        """The pixels of which a thing, or one part of it, covers at least half: (height, width)."""
        total = np.zeros((self.height, self.width), dtype=np.uint8)
        for ink, cover in self._covers:
            if ink.thing == thing and part in (None, ink.part):
                total[ink.window] += cover
        return total >= HALF

    def parts(self) -> list[tuple[int, str]]:
        """The things and their parts of which something can be seen, in the order in which they were drawn."""
        return list(dict.fromkeys((ink.thing, ink.part) for ink, _ in self._covers))
