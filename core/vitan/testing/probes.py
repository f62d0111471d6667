"""The contract of an analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data import Batch, Dataset, Sample
from ..figures import Drawable
from ..options import Options
from ..probe import ModelInfo, Probe
from ..results import Result
from ..specs import ProbeSpec
from ..taps import TAPS
from ..tokens import TokenLayout
from ..views import Crop

_DEPTH, _HEADS, _DIM, _PATCH, _N = 3, 4, 16, 8, 7
_CLASSES = 2
_LAYOUT = TokenLayout(("cls",), (4, 4))


def check_probe(spec: ProbeSpec, *, draw: bool = True, **options: Any) -> None:
    """Hold an analysis to its contract, on made-up activations of a small model.

    Checks that shards merge to the same bits in any order, that state survives saving, that inputs are left alone, that
    half precision is accepted, that every array has named axes, and (``draw``) that the figures can be drawn.

    Raises ``AssertionError``.
    """
    kind = spec.load()
    assert kind.taps, f"{spec.name}: it reads no tap"
    assert kind.taps <= TAPS.keys(), f"{spec.name}: the taps are {', '.join(TAPS)}, not {set(kind.taps - TAPS.keys())}"
    for name, field in kind.Options.model_fields.items():
        assert field.description, f"{spec.name}: option {name} has no description, and its help would be empty"
    chosen = kind.Options.model_validate(options)
    feed = _Feed(kind, chosen)
    whole = feed.run(range(_N))
    result = whole.compute(feed.n_batches)
    _check_result(spec.name, result)
    _check_merging(spec.name, feed, whole, result)
    feed.run(range(_N), dtype=torch.float16).compute(feed.n_batches)
    if draw and spec.figures:
        drawable = feed.drawable(result)
        draw_them = spec.figures()
        names = [drawing.name for drawing in draw_them([drawable])]
        assert names, f"{spec.name}: it draws nothing"
        assert len(set(names)) == len(names), f"{spec.name}: two figures have one name"
        if spec.comparison is None:
            list(draw_them([drawable, drawable]))
    if spec.comparison:
        between = kind.compare([whole, whole])
        assert between is not None, f"{spec.name}: it draws comparisons, but compares nothing"
        _check_result(spec.name, between)
        list(spec.comparison()([feed.drawable(result)] * 2, between))


@dataclass
class _Feed:
    """Runs a probe over made-up batches of two images."""

    kind: type[Probe]
    options: Options
    layout: TokenLayout = _LAYOUT
    n_batches: int = -(-_N // 2)

    @property
    def info(self) -> ModelInfo:
        size = self.layout.grid[0] * _PATCH
        return ModelInfo(
            name="made-up-T8",
            family="made-up",
            arch="T",
            patch=_PATCH,
            image_size=size,
            depth=_DEPTH,
            heads=_HEADS,
            dim=_DIM,
            layout=self.layout,
            blocks=tuple(range(_DEPTH)),
        )

    def run(self, images: Sequence[int], dtype: torch.dtype = torch.float32) -> Probe:
        probe = self.kind(self.options, self.info)
        for start in range(images[0], images[-1] + 1, 2):
            batch = self._batch([i for i in (start, start + 1) if i in images])
            for block in range(_DEPTH):
                taps = {name: self._tap(name, block, batch).to(dtype) for name in sorted(self.kind.taps)}
                kept = {name: tensor.clone() for name, tensor in taps.items()}
                probe.update_block(block, taps, batch)
                for name, tensor in taps.items():
                    assert torch.equal(tensor, kept[name]), f"the tap {name} was changed"
        return probe

    def drawable(self, result: Result) -> Drawable:
        return Drawable(
            model=self.info,
            options=self.options,
            result=result,
            dataset=_MadeUp(self.info.image_size),
            dataset_name="made-up",
            view=Crop(self.info.image_size),
        )

    def _batch(self, index: Sequence[int]) -> Batch:
        dataset, view = _MadeUp(self.info.image_size), Crop(self.info.image_size)
        samples = [dataset[i] for i in index]
        placements = [view.place(sample.image)[1] for sample in samples]
        pixels = torch.zeros(len(index), 3, self.info.image_size, self.info.image_size)
        return Batch(tuple(index), samples, placements, pixels)

    def _tap(self, name: str, block: int, batch: Batch) -> Tensor:
        tokens = len(self.layout)
        if name == "attention":
            return torch.stack([_noise(i, block, _HEADS, tokens, tokens).mul(2).softmax(-1) for i in batch.index])
        if name in ("q", "k", "v"):
            return torch.stack([_noise(i, block, _HEADS, tokens, _DIM // _HEADS) for i in batch.index])
        return torch.stack([_noise(i, block, tokens, _DIM) for i in batch.index])


def _noise(image: int, block: int, *shape: int) -> Tensor:
    """Values that depend on the image and the block alone, never on the batch."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1000 * image + block))


class _MadeUp(Dataset):
    """Pictures half as wide again as they are high."""

    def __init__(self, size: int) -> None:
        super().__init__(Options())
        self._size = size

    def __len__(self) -> int:
        return _N

    def __getitem__(self, index: int) -> Sample:
        shape = (self._size, self._size * 3 // 2, 3)
        pixels = np.random.default_rng(index).integers(0, 255, shape, dtype=np.uint8)
        return Sample(id=f"picture-{index}", image=Image.fromarray(pixels), label=index % _CLASSES)

    def fingerprint(self) -> str:
        return f"made-up {self._size}"

    def classes(self) -> Sequence[str]:
        return tuple(f"class {label}" for label in range(_CLASSES))


def _check_result(name: str, result: Result) -> None:
    assert result.records, f"{name}: compute gave no record"
    for array, values in result.arrays.items():
        axes = result.axes.get(array)
        assert axes is not None, f"{name}: the array {array} has no axes"
        assert len(axes) == values.ndim, f"{name}: the array {array} of shape {values.shape} has axes {axes}"
    metrics = {record.metric for record in result.records}
    unknown = set(result.headline) - metrics
    assert not unknown, f"{name}: the headline names {sorted(unknown)}, of which there is no record"


def _check_merging(name: str, feed: _Feed, whole: Probe, result: Result) -> None:
    parts = [range(0, 2), range(2, 6), range(6, _N)]
    for order in permutations(parts):
        merged = feed.kind(feed.options, feed.info)
        for i, part in enumerate(order):
            shard = feed.kind(feed.options, feed.info)
            shard.load(feed.run(part).state())  # as if it had been stored
            if i:
                merged.merge(shard)
            else:
                merged = shard
        _same_tensors(name, merged.state(), whole.state())
        again = merged.compute(feed.n_batches)
        for array, values in result.arrays.items():
            same = np.array_equal(values, again.arrays[array], equal_nan=values.dtype.kind == "f")
            assert same, f"{name}: the array {array} depends on how the images were sharded"


def _same_tensors(name: str, mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    assert mine.keys() == theirs.keys(), f"{name}: merged state has other parts: {mine.keys() ^ theirs.keys()}"
    for key, tensor in mine.items():
        same = torch.equal(tensor.nan_to_num(), theirs[key].nan_to_num()) if tensor.is_floating_point() else None
        same = torch.equal(tensor, theirs[key]) if same is None else same
        assert same, f"{name}: the state {key} depends on how the images were sharded"
