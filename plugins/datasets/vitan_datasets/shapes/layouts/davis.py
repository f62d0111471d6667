"""DAVIS 2017: frames, indexed masks, and the list of the sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vitan.data.samples import Dataset

from .files import save_jpeg, save_png, save_text


def write_davis(dataset: Dataset, folder: Path) -> None:
    """JPEGImages/480p, Annotations/480p (pixels are object numbers, with a palette) and ImageSets/2017/val.txt."""
    palette = _palette()
    for index in range(len(dataset)):
        sample = dataset[index]
        save_jpeg(sample.image, folder / "JPEGImages" / "480p" / f"{sample.id}.jpg")
        if sample.id_mask is None:
            raise ValueError(f"{sample.id} has no mask")
        mask = Image.fromarray(sample.id_mask()).convert("P")
        mask.putpalette(palette)
        save_png(mask, folder / "Annotations" / "480p" / f"{sample.id}.png")
    sequences = dict.fromkeys(dataset.groups())
    save_text("".join(f"{name}\n" for name in sequences), folder / "ImageSets" / "2017" / "val.txt")


def _palette() -> list[int]:
    """256 colours: the bits of the index, three at a time, are the highest bits of red, green and blue."""
    index = np.arange(256)
    colours = np.zeros((256, 3), dtype=int)
    for level in range(8):
        for channel in range(3):
            colours[:, channel] |= ((index >> (3 * level + channel)) & 1) << (7 - level)
    return [int(value) for value in colours.ravel()]
