"""The ``spectrum`` analysis: what it keeps, and the numbers from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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

from .measures import Floats, decay, eigenvalues, participation_ratio, rank_me, two_nn

#: Each measure with its unit.
MEASURES = {
    "rank-me": "dimensions",
    "participation-ratio": "dimensions",
    "decay": "exponent",
    "two-nn": "dimensions",
}


class SpectrumOptions(Options):
    """Options of the ``spectrum`` analysis."""

    outlier: float = summary(
        3.0, gt=1, description="a patch token stands out if it is this many times as long as its picture's median"
    )


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

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """Keep the lengths of the patch tokens."""
        patches = taps["block"][:, self.model.layout.patches].float()  # (batch, patch, channel)
        self.norms.add(block, batch.index, patches.norm(dim=-1))

    def compute(self) -> Result:
        """Every measure for every block; what cannot be measured is nan, and its record says why."""
        blocks, grid = self.model.blocks, self.model.layout.grid
        kept = self.pooled.kept()
        measured = {kind: [_measure(rows.rows(block).numpy()) for block in blocks] for kind, rows in kept.items()}
        norms = np.stack([self.norms.rows(block).numpy() for block in blocks], 1)  # (image, block, patch)
        long = norms > self.options.outlier * np.median(norms, axis=-1, keepdims=True)
        arrays: dict[str, Any] = {
            f"{kind}-{name}": np.array([values[name] for values, _ in rows])
            for kind, rows in measured.items()
            for name in MEASURES
        }
        arrays["outliers"] = long.mean(0).reshape(len(blocks), *grid)
        arrays["token-norm"] = norms.mean((0, 2))
        return Result(
            records=(*self._spectral(measured), *self._outliers(norms, long)),
            arrays=arrays | {"image": self.norms.index(blocks[0]).numpy()},
            axes=dict.fromkeys(arrays, ("block",)) | {"outliers": ("block", "row", "column"), "image": ("image",)},
            headline=("rank-me", "two-nn", "outlier-share"),
        )

    def _spectral(self, measured: Mapping[str, list[tuple[dict[str, float], str]]]) -> Iterator[Record]:
        for kind, rows in measured.items():
            for block, (values, why) in zip(self.model.blocks, rows, strict=True):
                for name in MEASURES:
                    gap = why or ("not defined for these features" if np.isnan(values[name]) else "")
                    yield Record(metric=name, value=values[name], block=block, token=TOKENS[kind], gap=gap)

    def _outliers(self, norms: Floats, long: Any) -> Iterator[Record]:
        for i, block in enumerate(self.model.blocks):
            where: dict[str, Any] = {"block": block, "token": "patch-tokens"}
            cut: dict[str, Any] = {"parameter": "cut-off", "at": self.options.outlier}
            yield Record(metric="token-norm", value=float(norms[:, i].mean(dtype=np.float64)), **where)
            yield Record(metric="outlier-share", value=float(long[:, i].mean()), **where, **cut)
            yield Record(metric="outlier-images", value=float(long[:, i].any(-1).mean()), **where, **cut)


def _measure(features: Floats) -> tuple[dict[str, float], str]:
    """The measures by name, and why there are none if there are none."""
    if not np.isfinite(features).all():
        return dict.fromkeys(MEASURES, float("nan")), "some features are not finite"
    if len(features) < 3:
        return dict.fromkeys(MEASURES, float("nan")), "fewer than three images"
    values = eigenvalues(features)
    if values[0] <= 1e-12 * float(np.square(features, dtype=np.float64).mean()) or values[0] == 0:
        return dict.fromkeys(MEASURES, float("nan")), "the features are the same for every image"
    measures: dict[str, Callable[[], float]] = {
        "rank-me": lambda: rank_me(features),
        "participation-ratio": lambda: participation_ratio(values),
        "decay": lambda: decay(values),
        "two-nn": lambda: two_nn(features),
    }
    return {name: measure() for name, measure in measures.items()}, ""
