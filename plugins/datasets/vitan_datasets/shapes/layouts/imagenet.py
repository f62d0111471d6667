"""ImageNet: ``train/<wnid>/<wnid>_<n>.JPEG`` and ``val/<wnid>/ILSVRC2012_val_<n>.JPEG``."""

from __future__ import annotations

from pathlib import Path

from vitan.data.samples import Dataset

from ..world.categories import CATEGORIES
from .files import save_jpeg, save_json, save_png


def write_imagenet(dataset: Dataset, folder: Path) -> None:
    """train/ (the bank) and val/ (the queries) in folders of made-up wnids, and imagenet_class_index.json."""
    val = 0
    for index in range(len(dataset)):
        sample = dataset[index]
        wnid = CATEGORIES[sample.label or 0].wnid
        number = sample.id.rpartition("-")[2].lstrip("0") or "0"
        if sample.role == "query":
            val += 1
            save_jpeg(sample.image, folder / "val" / wnid / f"ILSVRC2012_val_{val:08}.JPEG")
        else:
            save_jpeg(sample.image, folder / "train" / wnid / f"{wnid}_{number}.JPEG")
    save_class_index(dataset, folder)


def save_class_index(dataset: Dataset, folder: Path) -> None:
    """``imagenet_class_index.json``, from labels to wnids and names."""
    known = CATEGORIES[: len(dataset.classes())]
    index = {str(label): [category.wnid, category.name] for label, category in enumerate(known)}
    save_json(index, folder / "imagenet_class_index.json")


def write_folder(dataset: Dataset, folder: Path) -> None:
    """A folder of PNG files for each class, which loses nothing."""
    for index in range(len(dataset)):
        sample = dataset[index]
        save_png(sample.image, folder / f"{sample.id}.png")
