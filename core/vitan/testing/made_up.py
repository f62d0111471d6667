"""A dataset of noise that offers everything an analysis can ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..data.samples import Dataset, Pair, Sample, Segment
from ..options import Options

#: The groups, and shards of whole groups that a probe is shown.
PARTS = (range(0, 2), range(2, 6), range(6, 9))
_CLASSES = 2
_POINTS = ("left-eye", "right-eye", "nose")


class MadeUp(Dataset):
    """Pictures half as wide again as they are high, of noise, with two objects, points, roles and neighbours."""

    def __init__(self, size: int) -> None:
        super().__init__(Options())
        self._size = size

    def __len__(self) -> int:
        return PARTS[-1].stop

    def __getitem__(self, index: int) -> Sample:
        """See ``Dataset``."""
        high, wide = self._size, self._size * 3 // 2
        pixels = np.random.default_rng(index).integers(0, 255, (high, wide, 3), dtype=np.uint8)
        ids = self._ids(index)
        group = self._group(index)
        others = [other for other in group if other != index]
        return Sample(
            id=_name(index),
            image=Image.fromarray(pixels),
            label=self.labels()[index],
            role=self.roles()[index],
            group=self.groups()[index],
            box=(1.0, 1.0, wide - 1.0, high - 1.0),
            segments=[Segment(label=number, decode=partial(_is, ids, number), id=f"{number}") for number in (1, 2)],
            keypoints=self._points(index),
            pairs=[self._pair(index, other) for other in others],
            relevant={"easy": others[:1], "hard": others[1:2], "junk": others[2:3]} if index == group[0] else {},
            id_mask=partial(np.copy, ids),
        )

    def fingerprint(self) -> str:
        """See ``Dataset``."""
        return f"made-up {self._size}"

    def classes(self) -> Sequence[str]:
        """See ``Dataset``."""
        return tuple(f"class {label}" for label in range(_CLASSES))

    def categories(self) -> Mapping[int, str]:
        """See ``Dataset``."""
        return {1: "upper", 2: "lower"}

    def groups(self) -> Sequence[str]:
        """See ``Dataset``."""
        return [f"group {number}" for number, part in enumerate(PARTS) for _ in part]

    def labels(self) -> Sequence[int]:
        """See ``Dataset``."""
        return [index % _CLASSES for index in range(len(self))]

    def roles(self) -> Sequence[str]:
        """See ``Dataset``."""
        return ["query" if index == self._group(index)[0] else "bank" for index in range(len(self))]

    def _group(self, index: int) -> range:
        return next(part for part in PARTS if index in part)

    def _ids(self, index: int) -> npt.NDArray[np.uint8]:
        """Two rectangles that move with the index."""
        high, wide = self._size, self._size * 3 // 2
        ids = np.zeros((high, wide), np.uint8)
        ids[2 : high // 2, 4 + index : wide // 2 + index] = 1
        ids[high // 2 :, wide // 3 - index : wide - 8] = 2
        return ids

    def _points(self, index: int) -> Mapping[str, tuple[float, float]]:
        values = np.random.default_rng(100 + index).uniform(2, self._size - 2, (len(_POINTS), 2))
        return {name: (float(x), float(y)) for name, (x, y) in zip(_POINTS, values, strict=True)}

    def _pair(self, index: int, other: int) -> Pair:
        whole: Any = (1.0, 1.0, self._size * 1.5 - 1, self._size - 1.0)
        return Pair(
            id=f"{index}-{other}",
            target=_name(other),
            names=_POINTS,
            source=tuple(self._points(index).values()),
            points=tuple(self._points(other).values()),
            source_box=whole,
            target_box=whole,
            facts={"viewpoint_variation": index % 3},
        )


def _name(index: int) -> str:
    return f"picture-{index}"


def _is(ids: npt.NDArray[np.uint8], number: int) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = ids == number
    return found
