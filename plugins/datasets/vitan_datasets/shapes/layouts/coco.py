"""COCO: ``images/val2017/<id>.jpg`` and ``annotations/instances_val2017.json``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from vitan.data.samples import Dataset, Sample

from ..world.categories import CATEGORIES
from .files import Mask, box_of, polygons, run_lengths, save_jpeg, save_json

_CROWD_EVERY = 12  # one annotation in so many stands for a crowd, in run lengths, plain and compressed in turn


def write_coco(dataset: Dataset, folder: Path) -> None:
    """Objects (or with masks=parts, parts) as polygons, and one in twelve as a crowd in run lengths."""
    names = dataset.categories()
    kinds = {category.name: category.kind for category in CATEGORIES}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(len(dataset)):
        sample = dataset[index]
        file = f"{index + 1:012}.jpg"
        save_jpeg(sample.image, folder / "images" / "val2017" / file)
        images.append(image_entry(index + 1, file, sample))
        annotations += _annotations(sample, index + 1, len(annotations) + 1)
    categories = [
        {"id": label, "name": name, "supercategory": kinds[name.split(" ")[0]]} for label, name in names.items()
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    save_json(content, folder / "annotations" / "instances_val2017.json")


def image_entry(number: int, file: str, sample: Sample) -> dict[str, Any]:
    """An image as COCO's JSON has it."""
    return {"id": number, "file_name": file, "width": sample.image.width, "height": sample.image.height}


def annotation_entry(number: int, image: int, category: int, mask: Mask) -> dict[str, Any]:
    """An outlined region as COCO's JSON has it."""
    x1, y1, x2, y2 = box_of(mask)
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": polygons(mask),
        "area": float(mask.sum()),
        "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
        "iscrowd": 0,
    }


def _annotations(sample: Sample, image: int, first: int) -> Iterator[dict[str, Any]]:
    for number, segment in enumerate(sample.segments, first):
        mask = segment.mask()
        entry = annotation_entry(number, image, segment.label, mask)
        if number % _CROWD_EVERY == 0:
            entry |= {"segmentation": _crowd(mask, compressed=number % (2 * _CROWD_EVERY) == 0), "iscrowd": 1}
        yield entry


def _crowd(mask: Mask, *, compressed: bool) -> dict[str, Any]:
    plain = run_lengths(mask)
    if not compressed:
        return plain
    packed = coco_mask.frPyObjects(plain, *mask.shape)
    return {"counts": packed["counts"].decode(), "size": list(packed["size"])}
