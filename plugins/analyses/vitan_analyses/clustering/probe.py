"""The ``clustering`` analysis: features per image, and what k-means makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Probe, Recording
from vitan.analysis.recordings import TOKENS, Labels, Pooled
from vitan.analysis.records import Result
from vitan.data.samples import Dataset
from vitan.errors import OptionError
from vitan.options import Options, summary

from ..clusters import FLOOR, METRICS, Floats, Integers, Key, Load, cluster_all, memory, noise, records, values


class ClusteringOptions(Options):
    """Options of the ``clustering`` analysis."""

    k: int | None = summary(None, ge=2, description="how many clusters; as many as there are classes unless given")
    starts: int = summary(10, ge=1, le=1000, description="how many times k-means starts; the best one counts")
    seed: int = summary(0, ge=0, description="seed of k-means and of the noise that is clustered for comparison")


class ClusteringProbe(Probe[ClusteringOptions]):
    """NMI, ARI and purity of k-means against the classes, for CLS and for the mean over the patches of each block."""

    Options: ClassVar[type[Options]] = ClusteringOptions
    needs: ClassVar[frozenset[str]] = frozenset({"label"})
    uses: ClassVar[Mapping[str, type[Recording]]] = {"labels": Labels, "pooled": Pooled}
    labels: Labels
    pooled: Pooled

    @classmethod
    @override
    def check(cls, options: ClusteringOptions, dataset: Dataset, n: int) -> None:
        """Raise ``OptionError`` where there are fewer images than clusters, or each is the only one of its class."""
        super().check(options, dataset, n)
        if labels := dataset.labels()[:n]:
            _clusters(options.k, np.array(labels))

    @override
    def memory(self, images: int) -> int:
        return memory(2 * len(self.model.blocks) + 1, images, self.model.dim)

    def compute(self) -> Result:
        """Cluster every block; blocks run side by side and do not depend on how many do.

        Raises ``OptionError`` where there are fewer images than clusters, or each is the only one of its class.
        """
        labels = self.labels.rows()
        kept = self.pooled.kept()
        k = _clusters(self.options.k, labels)
        jobs: dict[Key, Load] = {
            (name, block): partial(_read, rows, block) for name, rows in kept.items() for block in self.model.blocks
        }
        jobs[FLOOR, 0] = partial(noise, len(labels), self.model.dim, seed=self.options.seed)
        found = cluster_all(jobs, labels, self.model.dim, k, starts=self.options.starts, seed=self.options.seed)
        shape = (len(self.model.blocks), len(METRICS))
        arrays: dict[str, Any] = {
            name: np.array([values(found[name, block]) for block in self.model.blocks]).reshape(shape) for name in kept
        }
        return Result(
            records=tuple(records(found, k, TOKENS)),
            arrays=arrays | {FLOOR: np.array(values(found[FLOOR, 0])), "label": labels},
            axes=dict.fromkeys(kept, ("block", "metric")) | {FLOOR: ("metric",), "label": ("image",)},
            headline=("nmi", "purity"),
        )


def _read(rows: PerImage, block: int) -> Floats:
    features: Floats = rows.rows(block).numpy()  # (image, channel)
    return features


def _clusters(asked: int | None, labels: Integers) -> int:
    """How many clusters the images, whose ``labels`` are (image,), are put into."""
    classes = len(np.unique(labels))
    k = asked or classes
    if len(labels) < k or k < 2:
        raise OptionError(
            f"{len(labels)} images of {classes} {'class' if classes == 1 else 'classes'} cannot be put into {k} "
            f"{'cluster' if k == 1 else 'clusters'}, and fewer than two tell nothing; change --limit or --k"
        )
    if classes == len(labels):
        raise OptionError(
            f"each of the {classes} images is the only one of its class, so that no cluster can be right; take more "
            "images of a class"
        )
    return k
