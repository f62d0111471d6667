"""The ``retrieval`` analysis: rank the gallery for every query, and score the rankings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Probe, Recording
from vitan.analysis.recordings import TOKENS, Pooled, Roles, chosen
from vitan.analysis.records import Record, Result
from vitan.analysis.sweep import Sweep, best_blocks, records_of
from vitan.options import Options, summary

from ..arrays import unit
from .metrics import DEPTHS, PROTOCOLS, rank, score
from .truth import CLASS, Relevance, Truth

#: How many of the first pictures of each ranking are kept for the sheets.
SHOWN = 10
UNIT = "fraction"
_AT_ONCE = 64  # queries whose rankings are made at a time
_GAP = "not computed: some features are not finite, or no query has anything to find"


class RetrievalOptions(Options):
    """Options of the ``retrieval`` analysis; all of them reuse stored features."""

    token: Literal["cls", "patches"] = summary(
        "cls", description="compare CLS or the mean over the patches; models without CLS have only the latter"
    )
    seed: int = summary(0, ge=0, description="seed of the bootstrap behind the intervals")


@dataclass
class _Scores:
    """Average precision (protocol, block, query), precision (protocol, depth, block, query), first places and kinds."""

    average: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    top: npt.NDArray[np.int64]  # (block, query, rank), places in the gallery
    kind: npt.NDArray[np.int64]


class RetrievalProbe(Probe[RetrievalOptions]):
    """Mean average precision and mean precision at 1, 5 and 10 of cosine rankings, for every block.

    A sample's role says whether it is a query or in the gallery (``bank``). Queries with graded relevance are scored as
    ROxford5k and RParis6k are: easy, medium and hard. Where there are only classes, pictures of the query's class are
    right. Features are the raw outputs of the blocks in float32, divided by their length; no whitening, one scale.
    Equal similarities go by the lowest position.
    """

    Options: ClassVar[type[Options]] = RetrievalOptions
    needs: ClassVar[frozenset[str]] = frozenset({"roles"})
    uses: ClassVar[Mapping[str, type[Recording]]] = {"relevance": Relevance, "roles": Roles, "pooled": Pooled}
    view: ClassVar[str] = "thumbnail"
    relevance: Relevance
    roles: Roles
    pooled: Pooled

    def compute(self) -> Result:
        """Rank block by block. Raises ``MismatchError`` where there is no gallery, no query or nothing to find."""
        gallery, queries = self.roles.split()
        truth = self.relevance.truth(gallery, queries)
        protocols = {CLASS: ((CLASS,), ())} if truth.kinds() == (CLASS,) else PROTOCOLS
        token, rows = chosen(self.pooled, self.options.token)
        found = self._empty(len(protocols), len(queries), min(SHOWN, len(gallery)))
        for row, block in enumerate(self.model.blocks):
            self._rank(rows, block, row, (gallery, queries), truth, protocols, found)
        sweeps = {
            name: best_blocks(found.average[i], top=1, seed=self.options.seed) for i, name in enumerate(protocols)
        }
        return Result(
            records=tuple(self._records(sweeps, found, token, len(gallery), truth.unseen)),
            arrays=_arrays(found, sweeps, gallery, queries),
            axes=_AXES,
            headline=tuple(f"map-{name}" for name in protocols),
        )

    def _empty(self, protocols: int, queries: int, shown: int) -> _Scores:
        blocks = len(self.model.blocks)
        return _Scores(
            np.full((protocols, blocks, queries), np.nan),
            np.full((protocols, len(DEPTHS), blocks, queries), np.nan),
            np.zeros((blocks, queries, shown), np.int64),
            np.zeros((blocks, queries, shown), np.int64),
        )

    def _rank(
        self,
        rows: PerImage,
        block: int,
        row: int,
        split: tuple[Tensor, Tensor],
        truth: Truth,
        protocols: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]],
        found: _Scores,
    ) -> None:
        """Fill in one block; where features are not finite nothing is filled in."""
        gallery, queries = (next(rows.runs(block, part, len(part))).numpy() for part in split)
        if not (np.isfinite(gallery).all() and np.isfinite(queries).all()):
            return
        bank, asked = unit(gallery), unit(queries)
        for start in range(0, len(asked), _AT_ONCE):
            for query, order in enumerate(rank(asked[start : start + _AT_ONCE] @ bank.T), start):
                found.top[row, query] = order[: found.top.shape[2]]
                found.kind[row, query] = truth.numbers(query, found.top[row, query])
                places = truth.by_query[query]
                for i, (right, junk) in enumerate(protocols.values()):
                    scores = score(order, _together(places, right), _together(places, junk))
                    found.average[i, row, query] = scores.average
                    found.precision[i, :, row, query] = scores.precision

    def _records(
        self, sweeps: Mapping[str, Sweep], found: _Scores, token: str, gallery: int, unseen: int
    ) -> Iterator[Record]:
        for i, (name, sweep) in enumerate(sweeps.items()):
            yield from records_of(sweep, f"map-{name}", self.model.blocks, gap=_GAP, token=TOKENS[token])
            for depth, by_block in zip(DEPTHS, found.precision[i], strict=True):
                for block, values in zip(self.model.blocks, by_block, strict=True):
                    yield Record(
                        metric=f"mp-{name}",
                        value=_mean(values),
                        block=block,
                        token=TOKENS[token],
                        parameter="k",
                        at=depth,
                        gap=_GAP if np.isnan(values).all() else "",
                        n=int(np.isfinite(values).sum()),
                    )
        yield Record(metric="retrieval-gallery", value=gallery, token=TOKENS[token])
        yield Record(metric="retrieval-unseen", value=unseen)


_AXES = {
    "map": ("protocol", "block", "bound"),
    "may-be-best": ("protocol", "block"),
    "average-precision": ("protocol", "block", "query"),
    "precision": ("protocol", "depth", "block", "query"),
    "top": ("block", "query", "rank"),
    "kind": ("block", "query", "rank"),
    "query": ("query",),
}


def _arrays(
    found: _Scores, sweeps: Mapping[str, Sweep], gallery: Tensor, queries: Tensor
) -> dict[str, npt.NDArray[Any]]:
    """``top`` and ``query`` are positions in the dataset; ``kind`` is as ``Truth.numbers`` has it."""
    return {
        "map": np.array([sweep.bounds for sweep in sweeps.values()]),
        "may-be-best": np.array([sweep.may_be_best for sweep in sweeps.values()]),
        "average-precision": found.average,
        "precision": found.precision,
        "top": gallery.numpy()[found.top],
        "kind": found.kind,
        "query": queries.numpy(),
    }


def _together(places: Mapping[str, npt.NDArray[np.int64]], kinds: tuple[str, ...]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *(places[kind] for kind in kinds)])


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float("nan") if np.isnan(values).all() else float(np.nanmean(values))
