"""Colours for a stencil: each pixel is the mean of what it shows, by coverage."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .figure import RGB, Paint
from .geometry import Placing, direction
from .scene import Backdrop, Scene, stream
from .stencil import FINE, Covers, Stencil
from .texture import Plane, noise_sheet, step, texture, triangle

_FULL = np.float32(1 / FINE**2)


def draw(scene: Scene) -> Stencil:
    """Lay the things of a scene down, from back to front."""
    stencil = Stencil(scene.width, scene.height)
    for number, thing in enumerate(scene.things):
        stencil.draw(number, thing.figure(), thing.placing, thing.look.line)
    return stencil


def paint(scene: Scene, covers: Covers) -> npt.NDArray[np.uint8]:
    """The picture, (height, width, 3)."""
    back = _backdrop(scene.backdrop, scene.height, scene.width)  # (3, height, width)
    made = back.copy()
    for ink, cover in covers:
        rows, columns = ink.window
        share = cover.astype(np.float32) * _FULL
        if ink.paint is None:
            colour = _column(ink.line)
        else:
            colour = _shaded(ink.paint, scene.things[ink.thing].placing, rows, columns)
        made[:, rows, columns] += share * (colour - back[:, rows, columns])
    return np.clip(np.rint(made), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def _shaded(paint: Paint, placing: Placing, rows: slice, columns: slice) -> Plane:
    """The texture of a shape in the window, with light from the upper left: (3, height, width)."""
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None] + np.float32(0.5)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5)
    scale = np.float32(placing.scale)
    light = (
        1 - np.float32(0.16) * ((y - np.float32(placing.dy)) + (x - np.float32(placing.dx)) * np.float32(0.5)) / scale
    )
    colour = _column(paint.colour)
    if paint.texture != "plain":
        back = placing.inverse()
        c, s = direction(paint.turn)
        k = 1 / paint.period
        a, b = k * (c * back.a + s * back.c), k * (c * back.b + s * back.d)
        p, q = k * (-s * back.a + c * back.c), k * (-s * back.b + c * back.d)
        e, f = k * (c * back.dx + s * back.dy), k * (-s * back.dx + c * back.dy)
        u = np.float32(a) * x + (np.float32(b) * y + np.float32(e))
        v = np.float32(p) * x + (np.float32(q) * y + np.float32(f))
        share = texture(paint.texture, u, v, k / float(scale))
        colour = colour + share * (_column(paint.second) - colour)
    return np.clip(colour * light, 0, 255)


def _backdrop(back: Backdrop, height: int, width: int) -> Plane:
    rng = stream(*back.seed)
    x = np.arange(width, dtype=np.float32)[None] + np.float32(0.5)
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)
    clouds = noise_sheet(height, width, 90, rng)
    clouds += np.float32(0.45) * noise_sheet(height, width, 26, rng)
    grain = noise_sheet(height, width, 2.2, rng)
    slope = np.clip(y / height + np.float32(0.5) * (clouds - np.float32(0.72)), 0, 1)
    made = _column(back.top) + slope * (_column(back.bottom) - _column(back.top))
    if back.kind in ("ground", "hills"):
        line = np.full_like(x, back.horizon * height)
        if back.kind == "hills":
            swell = triangle(x / np.float32(width) * 2 + np.float32(back.turn / 180))
            line = line - np.float32(0.16 * height) * swell * swell * (3 - 2 * swell)
        below = step(y - line, np.float32(2))
        depth = np.float32(0.8) + np.float32(0.25) * np.clip((y - line) / height, 0, 1) + np.float32(0.12) * clouds
        made = made + below * (_column(back.pattern) * depth - made)
    elif back.kind != "plain":
        c, s = direction(back.turn)
        k = 1 / back.period
        u, v = np.float32(k * c) * x + np.float32(k * s) * y, np.float32(-k * s) * x + np.float32(k * c) * y
        share = texture(back.kind, u, v, 2.5 * k) * (np.float32(0.35) + np.float32(0.35) * clouds)
        made = made + share * (_column(back.pattern) - made)
    return np.asarray(made + (grain - np.float32(0.5)) * 12, dtype=np.float32)


def _column(colour: RGB) -> Plane:
    return np.array(colour, dtype=np.float32)[:, None, None]
