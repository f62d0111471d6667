"""SPair-71k: pairs of pictures of a category with the same points marked in both."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vitan.data.samples import Box, Dataset, Pair, Point, Sample

from ..world.categories import points
from .files import save_jpeg, save_json, save_png, save_text

_POINTS = 30  # as many have a place in the annotation of each image
_SPLITS = ("trn", "test", "val", "test")


def write_spair(dataset: Dataset, folder: Path) -> None:
    """JPEGImages, ImageAnnotation, PairAnnotation (trn, val, test), Layout (large, small) and Segmentation."""
    known: dict[str, dict[str, Any]] = {}
    pairs: list[tuple[Sample, Pair]] = []
    for index in range(len(dataset)):
        sample = dataset[index]
        known[sample.id] = _image(sample)
        _save_image(sample, known[sample.id], folder)
        pairs += [(sample, pair) for pair in sample.pairs]
    lines: dict[tuple[str, str], list[str]] = {}
    for number, (sample, pair) in enumerate(pairs):
        split = _SPLITS[number % len(_SPLITS)]
        source, target = known[sample.id], known[pair.target]
        names = (Path(str(each["filename"])).stem for each in (source, target))
        line = f"{number:06}-{'-'.join(names)}:{sample.group}"
        save_json(_pair(number, line, pair, source, target), folder / "PairAnnotation" / split / f"{line}.json")
        lines.setdefault(("large", split), []).append(line)
        if number // len(_SPLITS) % 2 == 0:
            lines.setdefault(("small", split), []).append(line)
    for (layout, split), found in lines.items():
        save_text("".join(f"{line}\n" for line in found), folder / "Layout" / layout / f"{split}.txt")


def _save_image(sample: Sample, about: dict[str, Any], folder: Path) -> None:
    file = Path(str(about["filename"]))
    save_jpeg(sample.image, folder / "JPEGImages" / sample.group / file)
    save_json(about, folder / "ImageAnnotation" / sample.group / file.with_suffix(".json"))
    mask = np.zeros((sample.image.height, sample.image.width), dtype=np.uint8)
    for segment in sample.segments:
        if segment.id.partition("-")[0] == sample.extra["main"]:
            mask[segment.mask()] = 1
    drawing = Image.fromarray(mask).convert("P")
    drawing.putpalette([0, 0, 0, 128, 0, 0])
    save_png(drawing, folder / "Segmentation" / sample.group / file.with_suffix(".png"))


def _image(sample: Sample) -> dict[str, Any]:
    names = points(sample.label or 0)
    seen = [_whole(sample.keypoints[name], sample) if name in sample.keypoints else None for name in names]
    return {
        "filename": sample.id.rpartition("/")[2].replace("-", "_") + ".jpg",
        "image_width": sample.image.width,
        "image_height": sample.image.height,
        "image_depth": 3,
        "category": sample.group,
        "pose": "Left" if sample.extra["mirrored"] else "Right",
        "truncated": int(sample.extra["truncated"]),
        "occluded": int(sample.extra["occluded"]),
        "difficult": 0,
        "bndbox": _around(sample.box or (0, 0, *sample.image.size)),
        "azimuth_id": 4 if sample.extra["mirrored"] else 0,
        "kps": {str(i): seen[i] if i < len(seen) else None for i in range(_POINTS)},
    }


def _pair(number: int, line: str, pair: Pair, source: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    ids = [i for i in source["kps"] if source["kps"][i] and target["kps"][i]]
    sides: dict[str, Any] = {}
    for side, about in (("src", source), ("trg", target)):
        sides[f"{side}_imname"] = about["filename"]
        sides[f"{side}_imsize"] = [about["image_width"], about["image_height"], 3]
        sides[f"{side}_bndbox"] = about["bndbox"]
        sides[f"{side}_pose"] = about["pose"]
        sides[f"{side}_kps"] = [about["kps"][i] for i in ids]
    facts = {name: int(value) for name, value in pair.facts.items()}
    return (
        {"pair_id": number, "filename": line, "category": source["category"], "mirror": 0, "kps_ids": ids}
        | sides
        | facts
    )


def _whole(point: Point, sample: Sample) -> list[int]:
    """The pixel that a point is in."""
    return [min(math.floor(point[0]), sample.image.width - 1), min(math.floor(point[1]), sample.image.height - 1)]


def _around(box: Box) -> list[int]:
    return [math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])]
