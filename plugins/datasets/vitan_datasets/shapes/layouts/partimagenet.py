"""PartImageNet: ``{train,val,test}.json`` and ``{train,val,test}/<wnid>/<wnid>_<n>.JPEG``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vitan.data.samples import Dataset

from ..world.categories import CATEGORIES
from .coco import annotation_entry, image_entry
from .files import save_jpeg, save_json
from .imagenet import save_class_index


def write_partimagenet(dataset: Dataset, folder: Path) -> None:
    """Parts of the main things; each class is in one of the three splits, as published."""
    names = dataset.categories()
    ids = {label: number for number, label in enumerate(names)}  # from 0, as published
    kinds = {category.name: category.kind for category in CATEGORIES}
    categories = [
        {"id": ids[label], "name": name, "supercategory": kinds[name.split(" ")[0]]} for label, name in names.items()
    ]
    splits: dict[str, dict[str, list[Any]]] = {
        split: {"images": [], "annotations": [], "categories": categories} for split in ("train", "val", "test")
    }
    for index in range(len(dataset)):
        sample = dataset[index]
        split, wnid = _split(sample.label or 0), CATEGORIES[sample.label or 0].wnid
        content = splits[split]
        file = f"{wnid}_{sample.id.rpartition('-')[2].lstrip('0') or '0'}.JPEG"
        save_jpeg(sample.image, folder / split / wnid / file)
        image = len(content["images"])
        content["images"].append(image_entry(image, file, sample))
        for segment in sample.segments:
            if segment.id.startswith(f"{sample.extra['main']}-"):
                number = len(content["annotations"])
                content["annotations"].append(annotation_entry(number, image, ids[segment.label], segment.mask()))
    for split, content in splits.items():
        (folder / split).mkdir(exist_ok=True)  # with few categories a split has no picture
        save_json(content, folder / f"{split}.json")
    save_class_index(dataset, folder)


def _split(label: int) -> str:
    return ("train", "train", "val", "train", "test")[label % 5]
