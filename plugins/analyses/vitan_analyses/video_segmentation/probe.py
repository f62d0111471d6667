"""The ``video-segmentation`` analysis: follows objects through videos, with the tokens of every block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from vitan.analysis.accumulators import Ragged
from vitan.analysis.probe import Batching, Probe
from vitan.analysis.records import Record, Result
from vitan.analysis.sweep import Sweep, best_blocks, records_of
from vitan.anatomy import ModelInfo
from vitan.data.batch import Batch
from vitan.data.samples import Dataset, Sample
from vitan.errors import DataError, RecordingError
from vitan.options import Options, summary

from .evaluation import Evaluation, annotation, frame_name, scores_of
from .masks import final_mask, first_labels, to_png
from .metrics import Floats, Ids, objects_of, score
from .propagation import Propagation, Trail, normalise

_FEWEST_FRAMES = 3  # of a video: the first and the last do not count
_MASK_BYTES = 6000  # about what the mask of a frame takes as PNG


class VideoSegmentationOptions(Options):
    """Options of the ``video-segmentation`` analysis."""

    view: Literal["dense", "squash"] = Field(
        "dense", description="dense: windows of the enlarged frame; squash: the whole frame as one square input"
    )
    protocol: Literal["default", "paper"] = Field(
        "default", description="paper: frames are scaled by the published rule, which may lose a row of patches"
    )
    window: int = Field(12, ge=0, le=1000, description="how many tokens away a source may be; 0: anywhere")
    top_k: int = Field(5, ge=1, le=1000, description="how many of the most similar sources label a token")
    context: int = Field(7, ge=0, le=1000, description="how many earlier frames are sources, besides the first one")
    temperature: float = Field(0.1, gt=0, le=10, description="of the weights exp(cosine / temperature)")
    masks: Literal["best", "all", "none"] = summary(
        "best", description="of which blocks the predicted masks are written: best in J & F, all, or none"
    )
    shown: int = summary(6, ge=0, le=1000, description="how many videos are drawn, from the worst to the best")


#: The measure that blocks are compared by.
SWEPT = "j-and-f-mean"


class VideoSegmentationProbe(Probe[VideoSegmentationOptions]):
    """Carries the first masks of each video on by label propagation, and keeps J, F and the mask of every frame."""

    Options: ClassVar[type[Options]] = VideoSegmentationOptions
    taps: ClassVar[frozenset[str]] = frozenset({"block"})
    needs: ClassVar[frozenset[str]] = frozenset({"video"})
    view: ClassVar[str] = "dense"
    version: ClassVar[str] = "2"

    def __init__(self, options: VideoSegmentationOptions, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.scores, self.masks = Ragged(), Ragged()  # by block: (object, 2) and bytes of a PNG
        self.names = Ragged()  # bytes of "VIDEO/FRAME"
        self.finish()

    @classmethod
    def view_for(cls, options: VideoSegmentationOptions) -> str:
        """Dense frames follow the published size rule in the protocol ``paper``."""
        return "dense-paper" if (options.view, options.protocol) == ("dense", "paper") else str(options.view)

    @classmethod
    def batching(cls, options: VideoSegmentationOptions) -> Batching:  # noqa: ARG003  # whatever the options
        """Video by video, in order."""
        return Batching(grouped=True)

    @classmethod
    @override
    def check(cls, options: VideoSegmentationOptions, dataset: Dataset, n: int) -> None:
        """Raise ``DataError`` where no video has three frames among the first images."""
        super().check(options, dataset, n)
        if groups := dataset.groups()[:n]:
            _check_long_enough(max(Counter(groups).values()) >= _FEWEST_FRAMES)

    def bytes_per_image(self) -> int:
        """The masks."""
        return _MASK_BYTES * len(self.model.blocks)

    def finish(self) -> None:
        """The video is over: forget its frames."""
        self._trails: dict[int, Trail] = {}
        self._objects = 0
        self._grid: tuple[int, int] | None = None
        self._annotated: list[Ids] = []

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """Follow the objects through the frames of the batch; raises ``DataError`` for a frame of another shape."""
        if block == self.model.blocks[0]:
            self._begin(batch)
        found = batch.stitch(taps["block"][:, self.model.layout.patches])  # of each frame (row, column, channel)
        scores, masks = [], []
        for sample, annotated, tokens in zip(batch.samples, self._annotated, found, strict=True):
            if not bool(tokens.isfinite().all()):
                raise RecordingError(
                    f"block {block} has tokens that are not finite at {sample.id}; try --dtype float32"
                )
            ids, values = self._frame(block, normalise(tokens), annotated)
            scores.append(torch.from_numpy(values))
            masks.append(torch.frombuffer(bytearray(to_png(ids)), dtype=torch.uint8))
        self.scores.add(block, batch.index, scores)
        self.masks.add(block, batch.index, masks)

    def _begin(self, batch: Batch) -> None:
        """Read the annotations of a batch, once for all blocks, and check that its frames go on from those before."""
        self._annotated = [annotation(sample) for sample in batch.samples]
        for sample, annotated, grid in zip(batch.samples, self._annotated, batch.grids, strict=True):
            if self._grid is None:
                self._grid, self._objects = grid, int(objects_of(annotated).max())
            _check(sample, annotated, grid, self._grid)
        names = [f"{sample.group}/{frame_name(sample.id)}".encode() for sample in batch.samples]
        self.names.add(0, batch.index, [torch.frombuffer(bytearray(name), dtype=torch.uint8) for name in names])

    def _frame(self, block: int, tokens: Tensor, annotated: Ids) -> tuple[Ids, Floats]:
        """The mask of the next frame, and J and F of its objects. The first frame keeps the mask that is given."""
        rows, columns = grid = (tokens.shape[0], tokens.shape[1])
        if block not in self._trails:
            labels = first_labels(annotated, grid).to(tokens.device)
            self._trails[block] = Trail(self._propagation(rows, columns, tokens), self.options.context, tokens, labels)
            return annotated, _given(annotated, self._objects)
        labels = self._trails[block].follow(tokens)
        high, wide = annotated.shape
        ids = final_mask(labels, grid, self.model.patch, (wide, high))
        return ids, score(objects_of(annotated), ids, self._objects)

    def _propagation(self, rows: int, columns: int, tokens: Tensor) -> Propagation:
        options = self.options
        return _propagation((rows, columns), options.window, options.top_k, options.temperature, str(tokens.device))

    def compute(self) -> Result:
        """J & F of every block, overall and of each object (``group``), as the official evaluator counts them.

        Which block is best is bootstrapped over videos. Arrays hold J and F of every frame, the first and the last
        included (1 in the first, whose mask is given; NaN where it has no such object), and the masks that
        ``masks`` asks for, as PNG files one after another. Raises ``DataError`` where there is no object to follow.
        """
        names = [bytes(name.tolist()).decode() for name in self.names.rows(0)]
        blocks = self.model.blocks
        values = [_padded(self.scores.rows(block)) for block in blocks]
        found = {b: evaluation(names, v, self.options.protocol) for b, v in zip(blocks, values, strict=True)}
        if not found[blocks[0]].objects:
            raise DataError("no video begins with an object in its mask, so that there is nothing to follow")
        _check_long_enough(any(len(one.values) for one in found[blocks[0]].objects))
        j_and_f = np.stack(values)  # (block, image, object, 2)
        shape = ("block", "image", "object")
        return Result(
            records=tuple(self._records(found)),
            arrays={
                "j": j_and_f[..., 0],
                "f": j_and_f[..., 1],
                "frame": np.array(names),
                "index": self.names.index(0).numpy(),
                **self._kept(found),
            },
            axes={"j": shape, "f": shape, "frame": ("image",), "index": ("image",), **_MASK_AXES},
            headline=("j-and-f-mean", "j-mean", "f-mean"),
        )

    def _records(self, evaluations: Mapping[int, Evaluation]) -> Iterator[Record]:
        short = sum(not len(one.values) for one in next(iter(evaluations.values())).objects)
        yield Record(metric="objects-left-out", value=short)  # no frame between the first and the last
        yield from records_of(sweep_of(evaluations), SWEPT, list(evaluations))
        for block, found in evaluations.items():
            for metric, value in found.overall.items():
                if metric != SWEPT:  # that is among the records of the sweep
                    yield Record(metric=metric, value=value, block=block, gap=_gap(value))
            for one in found.objects:
                for metric, value in one.measures.items():
                    yield Record(metric=metric, value=value, block=block, of="object", name=one.name, gap=_gap(value))

    def _kept(self, evaluations: Mapping[int, Evaluation]) -> dict[str, Any]:
        """The masks of the chosen blocks: (byte,) of all PNGs one after another, and how long each is."""
        chosen = {"best": [best_block(evaluations)], "all": list(evaluations), "none": []}[self.options.masks]
        parts = [self.masks.rows(block) for block in chosen]
        images = len(self.names.index(0))
        sizes = np.array([[len(png) for png in row] for row in parts], np.int64).reshape(len(chosen), images)
        joined = torch.cat([png for row in parts for png in row]).numpy() if parts else np.zeros(0, np.uint8)
        return {"mask-block": np.array(chosen, np.int64), "mask-size": sizes, "mask-png": joined}


def _gap(value: float) -> str:
    return "no frame of it counts" if np.isnan(value) else ""


_MASK_AXES = {"mask-block": ("block",), "mask-size": ("block", "image"), "mask-png": ("byte",)}


def sweep_of(evaluations: Mapping[int, Evaluation]) -> Sweep:
    """Which block is best in J & F over all objects, where those of one video belong together."""
    objects = next(iter(evaluations.values())).objects
    scores = [[one.measures["j-and-f-mean"] for one in found.objects] for found in evaluations.values()]
    videos = list(dict.fromkeys(one.video for one in objects))
    return best_blocks(scores, units=[videos.index(one.video) for one in objects], top=1)


def best_block(evaluations: Mapping[int, Evaluation]) -> int:
    """The block that is best in J & F, the first of equals."""
    return list(evaluations)[sweep_of(evaluations).best]


def evaluation(names: Sequence[str], values: Floats, protocol: str) -> Evaluation:
    """From J and F of all frames (frame, object, 2), NaN where there is no such object, and their VIDEO/FRAME names.

    Ids that occur in no frame are no objects, as where masks hold grey values for ids; in the protocol ``paper`` they
    count as followed perfectly, as in the official evaluator.
    """
    found = []
    for video, rows in groupby(range(len(names)), lambda row: names[row].rpartition("/")[0]):
        frames = values[list(rows)]
        # what is in no first mask is never predicted, so it is in a later one exactly where J is below 1 there
        occurs = np.isfinite(frames[0, :, 0]) | (frames[1:, :, 0] < 1).any(0)  # (object,)
        if protocol == "paper":
            occurs = np.isfinite(frames[-1, :, 0]) | occurs
        found += scores_of(video, frames, (np.flatnonzero(occurs) + 1).tolist())
    return Evaluation(tuple(found))


def _given(annotated: Ids, objects: int) -> Floats:
    """J and F (object, 2) of a first frame, whose mask is given: 1, and NaN for ids below the largest that it lacks."""
    values = np.full((objects, 2), np.nan)
    values[np.isin(np.arange(1, objects + 1), annotated)] = 1
    return values


def _padded(rows: Sequence[Tensor]) -> Floats:
    """(object, 2) of every frame as one (frame, object, 2), NaN where a frame has fewer objects."""
    padded = np.full((len(rows), max(map(len, rows), default=0), 2), np.nan)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded


def _check(sample: Sample, annotated: Ids, grid: tuple[int, int], first: tuple[int, int]) -> None:
    wide, high = sample.image.size
    if annotated.shape != (high, wide):
        there = " x ".join(map(str, annotated.shape[::-1]))
        raise DataError(f"{sample.id}: the mask has {there} pixels, and the frame {wide} x {high}")
    if grid != first:
        raise DataError(
            f"{sample.id}: a frame of {wide} x {high} pixels has {grid[0]} x {grid[1]} tokens, and the first one of "
            f"{sample.group} has {first[0]} x {first[1]}; all frames of a video need one shape"
        )


@lru_cache(maxsize=4)  # videos have few shapes
def _propagation(grid: tuple[int, int], window: int, top_k: int, temperature: float, device: str) -> Propagation:
    return Propagation(grid, window=window, top_k=top_k, temperature=temperature, device=device)


def _check_long_enough(some: bool) -> None:
    if not some:
        raise DataError("no video has three frames, and the first and the last do not count; raise --limit")
