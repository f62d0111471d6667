"""The contract of an analysis."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, permutations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..analysis.figures import Drawable
from ..analysis.probe import Probe
from ..analysis.records import Record, Result, identity
from ..anatomy import TAPS, ModelInfo, TokenLayout
from ..data.batch import Batch
from ..data.views import View, make_view
from ..engine.loader import Loader
from ..options import Options
from ..registry.specs import ProbeSpec
from .accelerator import Asked, pretending
from .made_up import PARTS, MadeUp

_DEPTH, _HEADS, _DIM, _PATCH = 3, 4, 16, 8
_N = PARTS[-1].stop
_SLACK = 1e-4  # of a value at the end of its range, for rounding
_LAYOUT = TokenLayout(("cls",), (4, 4))


def check_probe(spec: ProbeSpec, *, draw: bool = True, **options: Any) -> None:
    """Hold an analysis to its contract, on made-up activations of a small model.

    Checks that shards merge to the same bits in any order, that state survives saving, that inputs are left alone, that
    half precision is accepted, that every array has named axes, that its files can be made, and (``draw``) that
    its figures can be drawn.

    Raises ``AssertionError``.
    """
    kind = spec.load()
    assert kind.reads(), f"{spec.name}: it reads no tap"
    unknown = set(kind.reads() - TAPS.keys())
    assert not unknown, f"{spec.name}: the taps are {', '.join(TAPS)}, not {unknown}"
    for name, field in kind.Options.model_fields.items():
        assert field.description, f"{spec.name}: option {name} has no description, and its help would be empty"
    chosen = kind.Options.model_validate(options)
    feed = _Feed(kind, chosen)
    whole = feed.run(range(_N))
    result = whole.compute()
    _check_result(spec, result)
    _check_merging(spec.name, feed, whole, result)
    feed.run(range(_N), dtype=torch.float16).compute()
    if draw and spec.figures:
        drawable = feed.drawable(result)
        draw_them = spec.figures()
        names = [drawing.name for drawing in draw_them([drawable])]
        assert names, f"{spec.name}: it draws nothing"
        assert len(set(names)) == len(names), f"{spec.name}: two figures have one name"
        if spec.comparison is None:
            list(draw_them([drawable, drawable]))
    if spec.files:
        files = [file.name for file in spec.files()(feed.drawable(result))]
        assert len(set(files)) == len(files), f"{spec.name}: two files have one name"
    if spec.comparison:
        between = kind.compare([whole, whole])
        assert between is not None, f"{spec.name}: it draws comparisons, but compares nothing"
        _check_result(spec, between)
        list(spec.comparison()([feed.drawable(result)] * 2, between))


def check_on_accelerator(spec: ProbeSpec, **options: Any) -> Asked:
    """Hold what an analysis does while it watches to a GPU's pace: nothing in its block loop waits for the device.

    Runs on a pretended GPU (see ``pretending``), so what it finds holds of one that is not at hand. ``finish`` may wait
    and is not run. Returns what one batch asked of the device, over three blocks of a small model.

    Raises ``AssertionError`` with the place of what waits, or of tensors of two devices in one operation.
    """
    kind = spec.load()
    feed = _Feed(kind, kind.Options.model_validate(options))
    probe = kind(feed.options, feed.info)
    batch = feed._batch(range(feed.step))
    with pretending("cuda") as asked:
        for block in range(_DEPTH):
            shapes = {name: feed._tap(name, block, batch).shape for name in kind.reads()}
            taps = {name: torch.empty(shape, device="cuda") for name, shape in shapes.items()}
            for recording in probe.recordings():
                recording.update_block(block, {name: taps[name] for name in recording.taps}, batch)
    assert not asked.faults, f"{spec.name}: {asked.faults[0]}"
    return asked


def _group(image: int) -> int:
    return next(number for number, part in enumerate(PARTS) if image in part)


@dataclass
class _Feed:
    """Runs a probe over made-up batches of a few images."""

    kind: type[Probe]
    options: Options
    layout: TokenLayout = _LAYOUT

    @property
    def step(self) -> int:
        """Images in a batch: more where the probe asks for batches of a size, as it may need several."""
        batching = self.kind.batching(self.options)
        return 4 if batching and batching.size else 2

    @property
    def parts(self) -> list[range]:
        """Shards: whole batches, or whole groups."""
        return list(PARTS) if self.step == 2 else [range(0, 4), range(4, 8), range(8, _N)]

    @property
    def n_batches(self) -> int:
        return -(-_N // self.step)

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

    @property
    def view(self) -> View:
        return make_view(self.kind.view_for(self.options), self.info.image_size, _PATCH)

    def run(self, images: Sequence[int], dtype: torch.dtype = torch.float32) -> Probe:
        """A probe that has seen these images; like a pass, group by group where it asks for that."""
        batching = self.kind.batching(self.options)
        if not (batching and batching.grouped):
            return self._shard(images, dtype)
        parts = [self._shard(list(part), dtype) for _, part in groupby(images, _group)]
        for part in parts[1:]:
            _merge(parts[0], part)
        return parts[0]

    def _shard(self, images: Sequence[int], dtype: torch.dtype) -> Probe:
        probe = self.kind(self.options, self.info)
        for start in range(images[0], images[-1] + 1, self.step):
            batch = self._batch([i for i in range(start, start + self.step) if i in images])
            for block in range(_DEPTH):
                taps = {name: self._tap(name, block, batch).to(dtype) for name in sorted(self.kind.reads())}
                kept = {name: tensor.clone() for name, tensor in taps.items()}
                for recording in probe.recordings():
                    recording.update_block(block, {name: taps[name] for name in recording.taps}, batch)
                for name, tensor in taps.items():
                    assert torch.equal(tensor, kept[name]), f"the tap {name} was changed"
        for recording in probe.recordings():
            recording.finish()
        return probe

    def drawable(self, result: Result) -> Drawable:
        return Drawable(
            model=self.info,
            options=self.options,
            result=result,
            dataset=MadeUp(self.info.image_size),
            dataset_name="made-up",
            view=self.view,
        )

    def _batch(self, index: Sequence[int]) -> Batch:
        preparation = self.kind.preparation(self.options)
        loader = Loader(MadeUp(self.info.image_size), self.view, (0.5,) * 3, (0.5,) * 3, self.layout.grid)
        loaded = loader.read(index[0] // self.step, index, {preparation: None} if preparation else {})
        for error in loaded.failed.values():
            raise AssertionError(str(error))
        assert loaded.batch is not None, "made-up images can always be read"
        return loaded.batch

    def _tap(self, name: str, block: int, batch: Batch) -> Tensor:
        tokens = len(self.layout)
        shape: tuple[int, ...] = (tokens, _DIM)
        if name == "attention":
            shape = (_HEADS, tokens, tokens)
        elif name in ("q", "k", "v"):
            shape = (_HEADS, tokens, _DIM // _HEADS)
        made = torch.stack([_noise(batch.index[w.image], w.top, w.left, block, *shape) for w in batch.windows])
        return made.mul(2).softmax(-1) if name == "attention" else made


def _merge(probe: Probe, other: Probe) -> None:
    for mine, theirs in zip(probe.recordings(), other.recordings(), strict=True):
        mine.merge(theirs)


def _noise(image: int, top: int, left: int, block: int, *shape: int) -> Tensor:
    """Values that depend on the image, the window and the block alone, never on the batch."""
    seed = 100_000 * image + 1000 * top + 50 * left + block
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _check_result(spec: ProbeSpec, result: Result) -> None:
    name = spec.name
    assert result.records, f"{name}: compute gave no record"
    for array, values in result.arrays.items():
        axes = result.axes.get(array)
        assert axes is not None, f"{name}: the array {array} has no axes"
        assert len(axes) == values.ndim, f"{name}: the array {array} of shape {values.shape} has axes {axes}"
    _check_records(name, result.records)
    _check_metrics(spec, result.records)
    metrics = {record.metric for record in result.records}
    unknown = set(result.headline) - metrics
    assert not unknown, f"{name}: the headline names {sorted(unknown)}, of which there is no record"


def _check_records(name: str, records: Sequence[Record]) -> None:
    """Each is one value that nothing else identifies, or nan with a reason."""
    keys = Counter(identity(record) for record in records)
    twice = [key for key, count in keys.items() if count > 1]
    assert not twice, f"{name}: {len(twice)} records are told from others by nothing, such as {twice[0]}"
    for record in records:
        bare = math.isnan(record.value) and not record.gap
        assert not bare, f"{name}: {record.metric} is nan and no gap says why: {record}"


def _check_metrics(spec: ProbeSpec, records: Sequence[Record]) -> None:
    """Where an analysis declares its metrics, its records are of these and in their ranges."""
    known = {metric.name: metric for metric in spec.metrics}
    for record in records if known else ():
        assert record.metric in known, f"{spec.name}: {record.metric} is not among the metrics of its spec"
        metric, low, high = known[record.metric], record.low, record.high
        for value in (record.value, low, high):
            if value is not None and not math.isnan(value):
                least = -math.inf if metric.low is None else metric.low
                most = math.inf if metric.high is None else metric.high
                slack = _SLACK * max(1.0, abs(value))
                assert least - slack <= value <= most + slack, (
                    f"{spec.name}: {record.metric} of {value} is out of range"
                )


def _check_merging(name: str, feed: _Feed, whole: Probe, result: Result) -> None:
    for order in permutations(feed.parts):
        merged = feed.kind(feed.options, feed.info)
        for i, part in enumerate(order):
            shard = feed.kind(feed.options, feed.info)
            for mine, seen in zip(shard.recordings(), feed.run(part).recordings(), strict=True):
                mine.load(seen.state())  # as if it had been stored
            if i:
                _merge(merged, shard)
            else:
                merged = shard
        for mine, theirs in zip(merged.recordings(), whole.recordings(), strict=True):
            _same_tensors(name, mine.state(), theirs.state())
        again = merged.compute()
        for array, values in result.arrays.items():
            same = np.array_equal(values, again.arrays[array], equal_nan=values.dtype.kind == "f")
            assert same, f"{name}: the array {array} depends on how the images were sharded"


def _same_tensors(name: str, mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    assert mine.keys() == theirs.keys(), f"{name}: merged state has other parts: {mine.keys() ^ theirs.keys()}"
    for key, tensor in mine.items():
        same = torch.equal(tensor.nan_to_num(), theirs[key].nan_to_num()) if tensor.is_floating_point() else None
        same = torch.equal(tensor, theirs[key]) if same is None else same
        assert same, f"{name}: the state {key} depends on how the images were sharded"
