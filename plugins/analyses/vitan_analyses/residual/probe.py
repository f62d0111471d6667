"""The ``residual`` analysis: what it keeps, and the numbers from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from vitan.analysis.accumulators import PerImage, widest
from vitan.analysis.records import Record, Result
from vitan.anatomy import ModelInfo
from vitan.data.batch import Batch

from ..hsic.grams import TOKENS, kinds_of
from ..hsic.minibatch import BROKEN, Floats, Layers, cka
from ..hsic.probe import GramOptions, GramProbe

#: Each branch of a block: the taps of the skip stream and of what is added to it.
BRANCHES = {"attention": ("block_in", "attention_branch"), "mlp": ("mid", "mlp_branch")}


class ResidualProbe(GramProbe[GramOptions]):
    """CKA between skip stream and branch, and how much longer the one is than the other.

    CKA is over all tokens, flattened, from minibatches: of the skip stream of every block with the branch of every
    block. The ratio is ‖skip‖/‖branch‖ of an image, over tokens and channels (Frobenius), for all tokens, CLS and patch
    tokens, and its mean over images. In the ``paper`` protocol CKA is the published one (see ``cka``), and ratios are
    averaged over minibatches of 8 first, which differs where the last one is smaller.
    """

    taps: ClassVar[frozenset[str]] = frozenset(tap for pair in BRANCHES.values() for tap in pair)

    def __init__(self, options: GramOptions, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.ratios = PerImage()  # by block: (image, branch, kind of token)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Gram matrices are over all tokens."""
        return ("all",)

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """Keep the Gram matrices of both summands of both additions, and the ratio of their lengths for each image."""
        self.keep(block, {tap: taps[tap] for tap in sorted(self.taps)}, batch)
        ratios = [self._lengths(taps[skip]) / self._lengths(taps[branch]) for skip, branch in BRANCHES.values()]
        self.ratios.add(block, batch.index, torch.stack(ratios, 1))

    def compute(self) -> Result:
        """Arrays ``BRANCH`` and ``se-BRANCH`` (block of the skip stream, block of the branch) hold CKA.

        ``norm-ratio-BRANCH-KIND`` (block,) are the ratios.
        """
        arrays: dict[str, Any] = {}
        records: list[Record] = []
        for branch in BRANCHES:
            skip, added = self.summands(branch)
            found = cka(skip, added)
            arrays[branch], arrays[f"se-{branch}"] = found.cka, found.error
            records += self._alike(branch, skip, added, arrays)
        for branch in BRANCHES:
            for kind in kinds_of(self.model.layout):
                values = self._mean_ratio(branch, kind)
                arrays[f"norm-ratio-{branch}-{kind}"] = values
                records += self._long(branch, kind, values)
        axes = {name: ("block",) if values.ndim == 1 else ("skip", "branch") for name, values in arrays.items()}
        return Result(
            records=(*records, *self.batch_records()),
            arrays={**arrays, "image": self.ratios.index(self.model.blocks[0]).numpy()},
            axes=axes | {"image": ("image",)},
            headline=(
                *(f"skip-branch-cka-{branch}" for branch in BRANCHES),
                *(f"norm-ratio-{branch}" for branch in BRANCHES),
            ),
        )

    def summands(self, branch: str) -> tuple[Layers, Layers]:
        """What was kept of the skip stream and of the branch, of every block."""
        skip, added = BRANCHES[branch]
        return self.layers([skip], "all"), self.layers([added], "all")

    def batch_ratios(self, branch: str, kind: str) -> Floats:
        """The mean ratio in every minibatch, as published: (block, batch)."""
        ratios, images = self._ratios(branch, kind), self.ratios.index(self.model.blocks[0]).numpy()
        batches = [batch[batch >= 0] for batch in self.images.rows(0).numpy()]
        return np.stack([ratios[:, np.searchsorted(images, batch)].mean(1) for batch in batches], 1)

    def _ratios(self, branch: str, kind: str) -> Floats:
        """Of every image: (block, image), images in the dataset's order."""
        place, which = list(BRANCHES).index(branch), kinds_of(self.model.layout).index(kind)
        return np.stack([self.ratios.rows(block)[:, place, which].numpy() for block in self.model.blocks])

    def _mean_ratio(self, branch: str, kind: str) -> Floats:
        found = self.batch_ratios if self.options.protocol == "paper" else self._ratios
        return np.asarray(found(branch, kind).mean(1))

    def _lengths(self, features: Tensor) -> Tensor:
        """Frobenius norms (image, kind) of features (image, token, channel), in the widest floats of their device."""
        squares = features.float().square().sum(-1).to(widest(features.device))  # (image, token)
        layout = self.model.layout
        parts = {"all": squares, "spatial": squares[:, layout.patches]}
        if layout.cls is not None:
            parts["cls"] = squares[:, layout.cls : layout.cls + 1]
        return torch.stack([parts[kind].sum(1).sqrt() for kind in kinds_of(layout)], 1)

    def _alike(self, branch: str, skip: Layers, added: Layers, arrays: Mapping[str, Floats]) -> Iterator[Record]:
        """The two summands of one addition: the diagonal of the map."""
        how: dict[str, Any] = {"token": TOKENS["all"], "parameter": "batch", "at": self.options.size}
        for i, block in enumerate(self.model.blocks):
            gaps = {"skip stream": skip.gap(i), "branch": added.gap(i)}
            gap = "; ".join(f"{name}: {why}" for name, why in gaps.items() if why)
            value, error = float(arrays[branch][i, i]), float(arrays[f"se-{branch}"][i, i])
            known = None if np.isnan(error) else error  # one batch has no spread
            yield Record(metric=f"skip-branch-cka-{branch}", value=value, error=known, block=block, gap=gap, **how)

    def _long(self, branch: str, kind: str, values: Floats) -> Iterator[Record]:
        for block, value in zip(self.model.blocks, values, strict=True):
            gap = "" if np.isfinite(value) else "a branch adds nothing" if np.isinf(value) else BROKEN
            value = float(value) if np.isfinite(value) else float("nan")
            yield Record(metric=f"norm-ratio-{branch}", value=value, block=block, token=TOKENS[kind], gap=gap)
