"""The pictures that the zoo is trained on: the drawn world of ``shapes``, of seeds that no evaluation uses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from vitan import Sample
from vitan_datasets.shapes.pictures import Shapes, ShapesOptions
from vitan_datasets.shapes.world.pictures import view

#: Seeds of worlds: those from 0 to 9 are for evaluation, and never trained on.
TRAINING, HELD_OUT = range(100, 112), 7
#: Pictures of each class in a world; their longer side when drawn, and the side of the squares that are kept.
PER_CLASS, DRAWN, KEPT_SIDE = 96, 128, 80
#: The side of a square around the main thing, in those of its box.
AROUND = 1.3


@dataclass(frozen=True)
class Pictures:
    """Squares of pixels (picture, 3, side, side), uint8, with the class of the main thing and three captions each."""

    pixels: npt.NDArray[np.uint8]
    labels: Tensor
    captions: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.pixels)

    def square(self, index: int) -> Tensor:
        """One picture, (3, side, side)."""
        return torch.from_numpy(np.array(self.pixels[index]))


def render(folder: Path) -> None:
    """Draw all training pictures once; about three minutes on two cores."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        worlds = list(pool.map(_world, TRAINING))
    np.save(folder / "pixels.npy", np.concatenate([pixels for pixels, _, _ in worlds]))
    known = {
        "labels": [label for _, labels, _ in worlds for label in labels],
        "captions": [words for _, _, captions in worlds for words in captions],
    }
    (folder / "known.json").write_text(json.dumps(known), encoding="utf-8")


def load(folder: Path) -> Pictures:
    """What ``render`` has drawn; the pixels stay on the disk until they are looked at."""
    known = json.loads((folder / "known.json").read_text(encoding="utf-8"))
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    return Pictures(pixels, torch.tensor(known["labels"]), known["captions"])


def _world(seed: int) -> tuple[npt.NDArray[np.uint8], list[int], list[list[str]]]:
    """Every picture but those that hardly show their main thing, twice: whole, and from nearer."""
    dataset = Shapes(ShapesOptions(per_class=PER_CLASS, size=DRAWN, seed=seed))
    numbers = [index for index in range(len(dataset)) if view(index % PER_CLASS) != "junk"]
    samples = [sample for index in numbers for sample in (dataset[index],) * 2]
    pixels = [_square(sample, near=bool(i % 2)) for i, sample in enumerate(samples)]
    labels = [int(sample.label or 0) for sample in samples]
    return np.stack(pixels), labels, [list(sample.extra["captions"]) for sample in samples]


def _square(sample: Sample, *, near: bool) -> npt.NDArray[np.uint8]:
    """The middle of a picture, or the main thing with a little around it, (3, side, side)."""
    width, height = sample.image.size
    side, middle = float(min(width, height)), (width / 2, height / 2)
    if near and sample.box is not None:
        left, top, right, bottom = sample.box
        side = min(side, AROUND * max(right - left, bottom - top))
        middle = ((left + right) / 2, (top + bottom) / 2)
    x, y = (min(max(centre - side / 2, 0), whole - side) for centre, whole in zip(middle, (width, height), strict=True))
    seen = sample.image.resize((KEPT_SIDE, KEPT_SIDE), Image.Resampling.BICUBIC, (x, y, x + side, y + side))
    return np.asarray(seen).transpose(2, 0, 1)
