"""What the layouts share: JPEG and JSON files, outlines as polygons, and masks as run lengths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL.Image import Image

_FINE = 4  # outlines are traced on a grid that much finer, along the edges of pixels rather than through their centres
_OFF = 1.2  # fine pixels; how far a polygon may run beside the edge

Mask = npt.NDArray[np.bool_]


def save_jpeg(image: Image, path: Path) -> None:
    """Write a photograph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=95, subsampling=0)


def save_png(image: Image, path: Path) -> None:
    """Write a drawing or a mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG")


def save_json(value: Any, path: Path) -> None:
    """Write JSON on one line, as the published files have it."""
    save_text(json.dumps(value), path)


def save_text(text: str, path: Path) -> None:
    """Write a text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 around the pixels of a mask that has some."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def polygons(mask: Mask) -> list[list[float]]:
    """Outlines of a mask in pixels, x and y in turn, one for each piece, the largest first.

    A hole is joined to its outline by a cut of no width, so that it stays a hole when the polygon is filled.
    """
    x1, y1, x2, y2 = box_of(mask)
    fine = mask[y1:y2, x1:x2].repeat(_FINE, axis=0).repeat(_FINE, axis=1)
    found, tree = cv2.findContours(fine.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    pieces = []
    for i, outer in enumerate(found):
        if tree[0, i, 3] < 0:  # not a hole
            line = _simple(outer)
            for j, hole in enumerate(found):
                if tree[0, j, 3] == i:
                    line = _joined(line, _simple(hole))
            pieces.append((cv2.contourArea(outer), line))
    pieces.sort(key=lambda piece: -piece[0])
    placed = [(line + 0.5) / _FINE + np.array([x1, y1]) for _, line in pieces]
    return [[round(float(value), 2) for value in line.ravel()] for line in placed]


def _simple(contour: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(points, 2), with fewer points along lines that are almost straight."""
    fewer = cv2.approxPolyDP(contour, _OFF, closed=True)
    return np.asarray(fewer if len(fewer) > 2 else contour, dtype=np.float64).reshape(-1, 2)


def _joined(outer: npt.NDArray[np.float64], hole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    apart = ((outer[:, None] - hole[None]) ** 2).sum(axis=2)
    i, j = np.unravel_index(int(apart.argmin()), apart.shape)
    around = np.concatenate([hole[j:], hole[: j + 1]])
    return np.concatenate([outer[: i + 1], around, outer[i:]])


def run_lengths(mask: Mask) -> dict[str, Any]:
    """A mask as COCO's uncompressed run lengths: down the columns, beginning with the zeros."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff([0, *changes.tolist(), flat.size]).tolist()
    return {"counts": [0, *counts] if flat[0] else counts, "size": list(mask.shape)}
