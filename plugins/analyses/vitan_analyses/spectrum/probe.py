"""The ``spectrum`` analysis: what it keeps, and the numbers from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Probe, Recording
from vitan.analysis.recordings import TOKENS, Pooled
from vitan.analysis.records import Record, Result
from vitan.anatomy import ModelInfo
from vitan.data.batch import Batch
from vitan.options import Options, summary

from ..arrays import Integers, sampled
from .measures import ROWS, Floats, decay, eigenvalues, participation_ratio, rank_me, two_nn

#: Each measure with its unit.
MEASURES = {
    "rank-me": "dimensions",
    "participation-ratio": "dimensions",
    "decay": "exponent",
    "two-nn": "dimensions",
}


@dataclass(frozen=True)
class _Outliers:
    """The patch tokens of a block: their mean length, and how many stand out, over all, by image and by patch."""

    norm: float
    share: float
    images: float
    where: Floats


class SpectrumOptions(Options):
    """Options of the ``spectrum`` analysis."""

    outlier: float = summary(
        3.0, gt=1, description="a patch token stands out if it is this many times as long as its picture's median"
    )
    sample: int = summary(
        10_000, ge=4, description="two-nn looks at so many pictures at most, chosen at random: it compares all with all"
    )
    seed: int = summary(0, ge=0, description="of that choice")


class SpectrumProbe(Probe[SpectrumOptions]):
    """Effective rank, participation ratio, spectral decay and intrinsic dimension of CLS and of the mean patch.

    Beside them the lengths of the patch tokens: few that are much longer than the rest hold global information in large
    models without registers (Darcet et al. 2024, "Vision Transformers Need Registers"). Their cut is an absolute length
    read off a histogram; ours is relative to the median of the picture, so that it means the same in every model.
    """

    Options: ClassVar[type[Options]] = SpectrumOptions
    taps: ClassVar[frozenset[str]] = frozenset({"block"})
    uses: ClassVar[Mapping[str, type[Recording]]] = {"pooled": Pooled}
    pooled: Pooled

    def __init__(self, options: SpectrumOptions, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.norms = PerImage()

    def bytes_per_image(self) -> int:
        """The norm of every patch."""
        return 4 * self.model.layout.n_patches * len(self.model.blocks)

    def memory(self, images: int) -> int:
        """The features of a block, read and in order, or what is made of them, or the norms of its patches."""
        dim, patches = self.model.dim, self.model.layout.n_patches
        apart = 3 * 8 * dim * min(images, ROWS)  # in double precision: itself, centred, and as LAPACK works on it
        return max(2 * 4 * images * dim, 5 * images * dim + apart, 13 * images * patches)

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """Keep the lengths of the patch tokens."""
        patches = taps["block"][:, self.model.layout.patches].float()  # (batch, patch, channel)
        self.norms.add(block, batch.index, patches.norm(dim=-1))

    def compute(self) -> Result:
        """Every measure for every block; what cannot be measured is nan, and its record says why."""
        blocks, grid = self.model.blocks, self.model.layout.grid
        kept = self.pooled.kept()
        image = self.norms.index(blocks[0]).numpy()
        some = sampled(len(image), self.options.sample, self.options.seed)
        measured = {kind: [_measure(rows.rows(block).numpy(), some) for block in blocks] for kind, rows in kept.items()}
        outliers = [self._outliers(block) for block in blocks]
        arrays: dict[str, Any] = {
            f"{kind}-{name}": np.array([values[name] for values, _ in rows])
            for kind, rows in measured.items()
            for name in MEASURES
        }
        arrays["outliers"] = np.array([each.where for each in outliers]).reshape(len(blocks), *grid)
        arrays["token-norm"] = np.array([each.norm for each in outliers])
        return Result(
            records=(*self._spectral(measured, len(some)), *self._records(outliers)),
            arrays=arrays | {"image": image},
            axes=dict.fromkeys(arrays, ("block",)) | {"outliers": ("block", "row", "column"), "image": ("image",)},
            headline=("rank-me", "two-nn", "outlier-share"),
        )

    def _outliers(self, block: int) -> _Outliers:
        norms = self.norms.rows(block).numpy()  # (image, patch)
        long = norms > self.options.outlier * np.median(norms, axis=-1, keepdims=True)
        return _Outliers(
            norm=float(norms.mean(dtype=np.float64)),
            share=float(long.mean()),
            images=float(long.any(-1).mean()),
            where=long.mean(0),
        )

    def _spectral(self, measured: Mapping[str, list[tuple[dict[str, float], str]]], sample: int) -> Iterator[Record]:
        for kind, rows in measured.items():
            for block, (values, why) in zip(self.model.blocks, rows, strict=True):
                for name in MEASURES:
                    gap = why or ("not defined for these features" if np.isnan(values[name]) else "")
                    n = sample if name == "two-nn" else None  # all that were seen
                    yield Record(metric=name, value=values[name], block=block, token=TOKENS[kind], n=n, gap=gap)

    def _records(self, outliers: Sequence[_Outliers]) -> Iterator[Record]:
        for block, found in zip(self.model.blocks, outliers, strict=True):
            where: dict[str, Any] = {"block": block, "token": "patch-tokens"}
            cut: dict[str, Any] = {"parameter": "cut-off", "at": self.options.outlier}
            yield Record(metric="token-norm", value=found.norm, **where)
            yield Record(metric="outlier-share", value=found.share, **where, **cut)
            yield Record(metric="outlier-images", value=found.images, **where, **cut)


def _measure(features: Floats, sample: Integers) -> tuple[dict[str, float], str]:
    """The measures by name, and why there are none if there are none; two-nn of the images in ``sample`` alone."""
    if not np.isfinite(features).all():
        return dict.fromkeys(MEASURES, float("nan")), "some features are not finite"
    if len(features) < 3:
        return dict.fromkeys(MEASURES, float("nan")), "fewer than three images"
    values = eigenvalues(features)
    squares = float(np.einsum("ic,ic->", features, features, dtype=np.float64))  # without a copy in double precision
    if values[0] <= 1e-12 * squares / features.size or values[0] == 0:
        return dict.fromkeys(MEASURES, float("nan")), "the features are the same for every image"
    measures: dict[str, Callable[[], float]] = {
        "rank-me": lambda: rank_me(features),
        "participation-ratio": lambda: participation_ratio(values),
        "decay": lambda: decay(values),
        "two-nn": lambda: two_nn(features[sample]),
    }
    return {name: measure() for name, measure in measures.items()}, ""
