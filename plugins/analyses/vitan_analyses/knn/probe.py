"""The ``knn`` analysis: queries, a bank, and what the nearest of the bank say of each query's class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Probe, Recording
from vitan.analysis.recordings import TOKENS, Labels, Pooled, Roles, chosen
from vitan.analysis.records import Record, Result
from vitan.analysis.sweep import Sweep, best_blocks, records_of
from vitan.data.samples import Dataset
from vitan.errors import OptionError
from vitan.options import Options, summary

from ..arrays import Integers, unit
from .search import ROWS, Nearest
from .vote import verdicts

#: The k that short tables and figures show, where it is among those asked for: that of the published tables.
USUAL = 20
METRICS = ("knn-top1", "knn-top5")
_GAP = "not computed: some features are not finite"


class KnnOptions(Options):
    """Options of the ``knn`` analysis; all of them reuse stored features."""

    k: tuple[Annotated[int, Field(ge=1)], ...] = summary(
        (10, 20, 100, 200), min_length=1, description="how many neighbours vote; all of these at the cost of one"
    )
    temperature: float = summary(0.07, gt=0, description="a neighbour's vote is exp(cosine / temperature)")
    token: Literal["cls", "patches"] = summary(
        "cls", description="compare CLS or the mean over the patches; models without CLS have only the latter"
    )
    seed: int = summary(0, ge=0, description="seed of the bootstrap behind the intervals")


@dataclass(frozen=True)
class _Split:
    """Positions in the dataset and labels of the bank and of the queries."""

    bank: Tensor
    queries: Tensor
    voters: Integers
    truth: Integers


class KnnProbe(Probe[KnnOptions]):
    """Top-1 and top-5 accuracy of weighted k-NN over cosine similarities, for every block and every k.

    A sample's role says whether it is in the bank or a query; features are the raw outputs of the blocks in float32,
    divided by their length. Equal similarities go by the lowest position, equal votes by the lowest class.
    """

    Options: ClassVar[type[Options]] = KnnOptions
    needs: ClassVar[frozenset[str]] = frozenset({"label", "roles"})
    uses: ClassVar[Mapping[str, type[Recording]]] = {"labels": Labels, "roles": Roles, "pooled": Pooled}
    labels: Labels
    roles: Roles
    pooled: Pooled

    @classmethod
    @override
    def check(cls, options: KnnOptions, dataset: Dataset, n: int) -> None:
        """Raise ``OptionError`` where the bank is smaller than every k."""
        super().check(options, dataset, n)
        if roles := dataset.roles()[:n]:
            _possible(options.k, sum(role == "bank" for role in roles))

    def compute(self) -> Result:
        """Search block by block; the bank of one block is read once, in runs.

        Raises ``MismatchError`` where there is no bank or no query, and ``OptionError`` where the bank is smaller than
        every k. A k larger than the bank is left out, and a record says so.
        """
        split = self._split()
        ks = _possible(self.options.k, len(split.bank))
        token, rows = chosen(self.pooled, self.options.token)
        shape = (len(ks), len(self.model.blocks), len(split.queries))
        hits = {metric: np.full(shape, np.nan, np.float32) for metric in METRICS}
        for row, block in enumerate(self.model.blocks):
            for metric, found in zip(METRICS, self._hits(rows, block, split, ks), strict=True):
                hits[metric][:, row] = found
        sweeps = {m: [best_blocks(100 * each, top=100, seed=self.options.seed) for each in hits[m]] for m in METRICS}
        return Result(
            records=tuple(self._records(sweeps, ks, token, len(split.bank))),
            arrays=_arrays(hits, sweeps, ks, split),
            axes=_AXES,
            headline=METRICS,
        )

    def _split(self) -> _Split:
        bank, queries = self.roles.split()
        labels, index = torch.from_numpy(self.labels.rows()), self.labels.label.index(0)
        voters, truth = (labels[torch.searchsorted(index, part)].numpy() for part in (bank, queries))
        return _Split(bank, queries, voters, truth)

    def _hits(
        self, rows: PerImage, block: int, split: _Split, ks: list[int]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Whether each query is right, (k, query), among one and among five; NaN where features are not finite."""
        (queries,) = rows.runs(block, split.queries, len(split.queries))
        nearest = Nearest(unit(queries.numpy()), max(ks))
        finite = bool(queries.isfinite().all())
        for run in rows.runs(block, split.bank, ROWS):
            finite = finite and bool(run.isfinite().all())
            if not finite:
                blank = np.full((len(ks), len(split.queries)), np.nan, np.float32)
                return blank, blank
            nearest.see(unit(run.numpy()))
        similarities, places = nearest.found()
        found = {
            verdict.k: verdict
            for verdict in verdicts(similarities, split.voters[places], split.truth, ks, self.options.temperature)
        }
        top1, top5 = ([getattr(found[k], name) for k in ks] for name in ("top1", "top5"))
        return np.array(top1, np.float32), np.array(top5, np.float32)

    def _records(self, sweeps: Mapping[str, list[Sweep]], ks: list[int], token: str, bank: int) -> Iterator[Record]:
        for metric, by_k in sweeps.items():
            for k, sweep in zip(ks, by_k, strict=True):
                yield from records_of(
                    sweep, metric, self.model.blocks, gap=_GAP, token=TOKENS[token], parameter="k", at=k
                )
        for name, value in (("bank", bank), ("queries", sweeps[METRICS[0]][0].queries)):
            yield Record(metric=f"knn-{name}", value=value, token=TOKENS[token])
        for k in sorted(set(self.options.k) - set(ks)):
            why = f"not computed: the bank has only {bank} images"
            for metric in METRICS:
                yield Record(metric=metric, value=float("nan"), token=TOKENS[token], parameter="k", at=k, n=0, gap=why)


def _possible(asked: Sequence[int], bank: int) -> list[int]:
    """The k that the bank is large enough for, the usual one first, then ascending."""
    ks = sorted({k for k in asked if k <= bank}, key=lambda k: (k != USUAL, k))
    if not ks:
        every = ", ".join(map(str, sorted(asked)))
        raise OptionError(
            f"the bank has {bank} images, fewer than every k that was asked for ({every}); "
            f"give --k {bank} or less, or take a larger bank"
        )
    return ks


_AXES = {
    "knn-top1": ("k", "block", "bound"),
    "knn-top5": ("k", "block", "bound"),
    "may-be-best": ("metric", "k", "block"),
    "hit-top1": ("k", "block", "query"),
    "class-top1": ("k", "block", "class"),
    "k": ("k",),
    "query": ("query",),
    "label": ("query",),
}


def _arrays(
    hits: Mapping[str, npt.NDArray[np.float32]], sweeps: Mapping[str, list[Sweep]], ks: list[int], split: _Split
) -> dict[str, npt.NDArray[Any]]:
    """Means with their bounds (mean, low, high), which blocks may be the best, and hits by query and by class."""
    arrays: dict[str, Any] = {metric: np.array([sweep.bounds for sweep in by_k]) for metric, by_k in sweeps.items()}
    top1 = hits[METRICS[0]]
    return arrays | {
        "may-be-best": np.array([[sweep.may_be_best for sweep in sweeps[metric]] for metric in METRICS]),
        "hit-top1": top1,
        "class-top1": _by_class(top1, split.truth),
        "k": np.array(ks),
        "query": split.queries.numpy(),
        "label": split.truth,
    }


def _by_class(hits: npt.NDArray[np.float32], truth: Integers) -> npt.NDArray[np.float64]:
    """The percentage of hits of each class, (k, block, class); NaN where no query is of that class."""
    classes = int(truth.max()) + 1
    count = np.bincount(truth, minlength=classes)
    right = np.array([[np.bincount(truth, row, minlength=classes) for row in by_block] for by_block in hits])
    with np.errstate(invalid="ignore"):
        shares: npt.NDArray[np.float64] = 100 * right / count
    return shares
