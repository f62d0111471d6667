"""Outlines, and how they are laid into a picture. Coordinates are x, y with y downwards; an outline is (n, 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Outline: TypeAlias = "npt.NDArray[np.float64]"
XY: TypeAlias = "tuple[float, float]"
Box: TypeAlias = "tuple[float, float, float, float]"


def direction(degrees: float) -> XY:
    """Cosine and sine, rounded: the last bit differs between machines, and no pixel may hang on it."""
    angle = math.radians(degrees)
    return round(math.cos(angle), 9), round(math.sin(angle), 9)


def polygon(*points: XY) -> Outline:
    """Straight lines between points."""
    return np.array(points, dtype=np.float64)


def ellipse(
    x: float, y: float, rx: float, ry: float, turn: float = 0.0, start: float = 0, stop: float = 360
) -> Outline:
    """An ellipse, or the piece of it between two angles in degrees (clockwise on screen, from the right)."""
    c, s = _arc(start, stop)
    across, down = direction(turn)
    return np.stack([x + across * rx * c - down * ry * s, y + down * rx * c + across * ry * s], axis=1)


@cache
def _arc(start: float, stop: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Cosines and sines on the way from one angle to another; a whole circle does not end where it began."""
    steps = np.radians(np.linspace(start, stop, 37)[: 36 if stop - start == 360 else 37])
    return np.asarray(np.round(np.cos(steps), 9), np.float64), np.asarray(np.round(np.sin(steps), 9), np.float64)


def disc(at: XY | npt.NDArray[np.float64], radius: float) -> Outline:
    """A circle."""
    return ellipse(float(at[0]), float(at[1]), radius, radius)


def shifted(outline: Outline, by: XY) -> Outline:
    """The same elsewhere."""
    return np.stack([outline[:, 0] + by[0], outline[:, 1] + by[1]], axis=1)


def rotate(outline: Outline, degrees: float, about: XY = (0.0, 0.0)) -> Outline:
    """Turn clockwise on screen about a point."""
    c, s = direction(degrees)
    x, y = outline[:, 0] - about[0], outline[:, 1] - about[1]
    return np.stack([about[0] + c * x - s * y, about[1] + s * x + c * y], axis=1)


def smooth(*points: XY, closed: bool = True, steps: int = 6) -> Outline:
    """A Catmull-Rom curve through points."""
    p = np.array(points, dtype=np.float64)
    n = len(p)
    if closed:
        before, after, far = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
        here = p
    else:
        padded = np.concatenate([p[:1], p, p[-1:]])
        before, here, after, far = padded[: n - 1], padded[1:n], padded[2 : n + 1], padded[3:]
    curve = []
    for step in range(steps):
        t = step / steps
        curve.append(
            0.5
            * (
                2 * here
                + (after - before) * t
                + (2 * before - 5 * here + 4 * after - far) * t**2
                + (3 * here - before - 3 * after + far) * t**3
            )
        )
    made = np.stack(curve, axis=1).reshape(-1, 2)
    return made if closed else np.concatenate([made, p[-1:]])


def symmetric(*points: XY) -> Outline:
    """A smooth outline, given the points of its right half from the middle line back to it."""
    return smooth(*points, *[(-x, y) for x, y in points[::-1] if x])


def box(x1: float, y1: float, x2: float, y2: float) -> Outline:
    """An upright rectangle."""
    return polygon((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def band(line: Outline | Sequence[XY], width: float, end: float | None = None) -> Outline:
    """The outline of a stroke along a line, ``width`` wide at its start and ``end`` (as wide) at its end."""
    p = np.asarray(line, dtype=np.float64)
    along = np.gradient(p, axis=0)
    length = np.maximum(np.sqrt(along[:, :1] ** 2 + along[:, 1:] ** 2), 1e-9)
    normal = np.concatenate([-along[:, 1:], along[:, :1]], axis=1) / length
    half = np.linspace(width, width if end is None else end, len(p))[:, None] / 2
    return np.concatenate([p + normal * half, (p - normal * half)[::-1]])


def mirrored(outline: Outline) -> Outline:
    """The same on the other side of x = 0."""
    return np.stack([-outline[:, 0], outline[:, 1]], axis=1)


@dataclass(frozen=True)
class Placing:
    """Where a figure is in a picture: x' = a x + b y + dx, y' = c x + d y + dy, in pixels."""

    a: float
    b: float
    c: float
    d: float
    dx: float
    dy: float

    @classmethod
    def at(
        cls,
        x: float,
        y: float,
        scale: float,
        turn: float = 0,
        mirror: bool = False,
        squash: float = 1,
        shear: float = 0,
    ) -> Placing:
        """Centre at (x, y), ``scale`` pixels to the unit; mirrored, squashed in width and sheared, then turned."""
        c, s = direction(turn)
        k = scale * squash * (-1 if mirror else 1)
        m = scale * shear
        return cls(c * k, c * m - s * scale, s * k, s * m + c * scale, x, y)

    @property
    def scale(self) -> float:
        """Pixels to the unit, the geometric mean of both directions."""
        return math.sqrt(abs(self.a * self.d - self.b * self.c))

    def apply(self, outline: Outline) -> Outline:
        """From figure to picture."""
        x, y = outline[:, 0], outline[:, 1]
        return np.stack([self.a * x + self.b * y + self.dx, self.c * x + self.d * y + self.dy], axis=1)

    def inverse(self) -> Placing:
        """From picture to figure."""
        det = self.a * self.d - self.b * self.c
        a, b, c, d = self.d / det, -self.b / det, -self.c / det, self.a / det
        return Placing(a, b, c, d, -(a * self.dx + b * self.dy), -(c * self.dx + d * self.dy))
