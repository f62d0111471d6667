"""Textures: how much of its second colour a place has, in [0, 1]. Only exact arithmetic, so that all machines agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Plane: TypeAlias = "npt.NDArray[np.float32]"


def texture(name: str, u: Plane, v: Plane, pixel: float) -> Plane:
    """The texture of that name at (u, v), in periods; a pixel is ``pixel`` periods wide."""
    return _TEXTURES[name](u, v, np.float32(max(pixel, 1e-3)))


def triangle(x: Plane) -> Plane:
    """A wave of period 1 that goes from 0 up to 1 and back."""
    return np.abs((x - np.floor(x)) * 2 - 1)


def noise(u: Plane, v: Plane, seed: int) -> Plane:
    """Smooth random values in [0, 1]; one independent value for each whole u and v."""
    grid = np.random.default_rng(seed).random((32, 32), dtype=np.float32)
    column, row = np.floor(u), np.floor(v)
    fu, fv = u - column, v - row
    fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
    i, j = row.astype(np.int32) & 31, column.astype(np.int32) & 31
    i1, j1 = (i + 1) & 31, (j + 1) & 31
    top = grid[i, j] + (grid[i, j1] - grid[i, j]) * fu
    low = grid[i1, j] + (grid[i1, j1] - grid[i1, j]) * fu
    return np.asarray(top + (low - top) * fv, dtype=np.float32)


def noise_sheet(height: int, width: int, cell: float, rng: np.random.Generator) -> Plane:
    """``noise`` along the axes of a picture, with cells of that many pixels; much faster."""
    rows, columns = int(height / cell) + 2, int(width / cell) + 2
    grid = rng.random((rows, columns), dtype=np.float32)
    i, f = _between(width, cell)
    wide = grid[:, i] + (grid[:, i + 1] - grid[:, i]) * f
    i, f = _between(height, cell)
    return np.asarray(wide[i] + (wide[i + 1] - wide[i]) * f[:, None], dtype=np.float32)


def _between(length: int, cell: float) -> tuple[npt.NDArray[np.int32], Plane]:
    """For each pixel the cell before it, and how far on to the next it is."""
    at = (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(cell)
    i = at.astype(np.int32)
    f = at - i
    return i, (f * f * (3 - 2 * f)).astype(np.float32)


def step(x: Plane, pixel: np.float32) -> Plane:
    """0 below zero and 1 above, softened over a pixel."""
    return np.asarray(np.clip(x / pixel + np.float32(0.5), 0, 1), dtype=np.float32)


def _plain(u: Plane, v: Plane, pixel: np.float32) -> Plane:  # noqa: ARG001
    return np.zeros_like(u)


def _stripes(u: Plane, v: Plane, pixel: np.float32) -> Plane:  # noqa: ARG001
    return step(triangle(u) - np.float32(0.5), 2 * pixel)


def _checks(u: Plane, v: Plane, pixel: np.float32) -> Plane:
    one, other = _stripes(u, v, pixel), _stripes(v, u, pixel)
    return one + other - 2 * one * other


def _dots(u: Plane, v: Plane, pixel: np.float32) -> Plane:
    row = np.floor(v)
    x = u + np.float32(0.5) * (row - 2 * np.floor(row / 2))
    dx, dy = x - np.floor(x) - np.float32(0.5), v - row - np.float32(0.5)
    return step(np.float32(0.27) - np.sqrt(dx * dx + dy * dy), pixel)


def _speckles(u: Plane, v: Plane, pixel: np.float32) -> Plane:
    return step(noise(2 * u, 2 * v, 5) - np.float32(0.58), 3 * pixel)


def _waves(u: Plane, v: Plane, pixel: np.float32) -> Plane:
    bend = triangle(u * np.float32(0.7))
    bend = bend * bend * (3 - 2 * bend)
    return step(triangle(v + np.float32(0.5) * bend) - np.float32(0.55), 2 * pixel)


def _rings(u: Plane, v: Plane, pixel: np.float32) -> Plane:
    return step(triangle(np.sqrt(u * u + v * v)) - np.float32(0.5), 2 * pixel)


_TEXTURES: dict[str, Callable[[Plane, Plane, np.float32], Plane]] = {
    "plain": _plain,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "speckles": _speckles,
    "waves": _waves,
    "rings": _rings,
}
