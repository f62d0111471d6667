"""SPair-71k in miniature: pictures of noise with points, and pairs of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (40, 30)


def write_picture(root: Path, category: str, name: str, points: Mapping[str, Sequence[float]]) -> None:
    """A picture of 40 × 30 pixels, always the same for a name, and its annotation."""
    picture = root / "JPEGImages" / category / f"{name}.jpg"
    annotation = root / "ImageAnnotation" / category / f"{name}.json"
    for path in (picture, annotation):
        path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(name.encode())
    pixels = np.random.default_rng(seed).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(picture)
    numbers = {str(number): points.get(str(number)) for number in range(30)}
    annotation.write_text(json.dumps({"filename": picture.name, "bndbox": [1, 2, 39, 28], "kps": numbers}))


def write_pair(root: Path, number: int, source: str, target: str, category: str, **more: Any) -> Path:
    """A pair of two pictures that were written before, of the points that both have; named as in the archive."""
    separator, split = more.pop("separator", ":"), more.pop("split", "test")
    both = [_points(root, category, name) for name in (source, target)]
    ids = [key for key in both[0] if both[0][key] and both[1].get(key)]
    content = {
        "pair_id": number,
        "src_imname": f"{source}.jpg",
        "trg_imname": f"{target}.jpg",
        "category": category,
        "src_bndbox": [1, 2, 39, 28],
        "trg_bndbox": [1, 2, 39, 28],
        "kps_ids": ids,
        "src_kps": [both[0][key] for key in ids],
        "trg_kps": [both[1][key] for key in ids],
        "viewpoint_variation": number % 3,
        "scale_variation": 0,
        **more,
    }
    path = root / "PairAnnotation" / split / f"{number:06d}-{source}-{target}{separator}{category}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_tree(root: Path) -> Path:
    """Cats a, b and c with a pair each way between a and b, and one from c to a; buses d and e with one pair."""
    for name, shift in (("a", 0), ("b", 3), ("c", 6)):
        points = {"0": [5 + shift, 6], "1": [30 - shift, 6], "8": [18, 20 - shift], "3": [2, 2]}
        write_picture(root, "cat", name, points)
    write_picture(root, "bus", "d", {"0": [3, 4], "4": [39, 29]})
    write_picture(root, "bus", "e", {"0": [6, 6], "1": [20, 6], "4": [0, 0]})
    for number, (source, target, category) in enumerate(
        [("b", "a", "cat"), ("a", "b", "cat"), ("c", "a", "cat"), ("d", "e", "bus")]
    ):
        write_pair(root, number, source, target, category)
    return root


def _points(root: Path, category: str, name: str) -> dict[str, Any]:
    path = root / "ImageAnnotation" / category / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text())["kps"] if path.exists() else {"0": [1, 1]}
    return found
