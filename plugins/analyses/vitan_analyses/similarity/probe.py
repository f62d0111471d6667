"""The ``similarity`` analysis: its options, and what it computes within and between models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor
from typing_extensions import Self, override

from vitan.analysis.accumulators import PerImage
from vitan.analysis.probe import Probe, Recording
from vitan.analysis.recordings import TOKENS, Pooled
from vitan.analysis.records import Record, Result
from vitan.data.samples import Dataset
from vitan.errors import MismatchError, OptionError
from vitan.options import Options, summary

from ..arrays import sampled
from .between import Between
from .layers import FEWEST, Floats
from .measures import MEASURES, Measure, swept
from .null import FEWEST_PERMUTATIONS, LEVEL
from .tables import Load, Table, memory, table

_K = 10  # neighbours, unless there are few images; that of Huh et al. 2024

Name = Literal["cka", "mutual-knn", "cknna", "procrustes", "rsa", "svcca", "pwcca"]


class SimilarityOptions(Options):
    """Options of the ``similarity`` analysis; none changes what is kept of a pass."""

    measures: tuple[Name, ...] = summary(
        tuple(name for name in MEASURES if name != "pwcca"),
        min_length=1,
        description="which measures to take; pwcca is slow, and needs more images than two models have channels",
    )
    k: int | None = summary(
        None,
        ge=1,
        description=f"neighbours of mutual-knn and cknna; none means {_K}, or a quarter of fewer than 40 images",
    )
    permutations: int = summary(
        0,
        ge=0,
        description="shuffle the images so often for p-values and calibrated scores of the last blocks of two models; "
        "0 leaves them out, 200 is usual",
    )
    seed: int = summary(0, ge=0, description="of the permutations, and of the choice of images")
    sample: int = summary(
        5_000,
        ge=FEWEST,
        description="look at so many images at most, chosen at random; time and memory grow with the square",
    )
    block_maps: int = summary(
        6,
        ge=0,
        description="compare all blocks of two models, where there are at most so many models; "
        "takes minutes a pair with thousands of images",
    )

    @field_validator("permutations")
    @classmethod
    def _enough(cls, value: int) -> int:
        if 0 < value < FEWEST_PERMUTATIONS:
            raise ValueError(f"{value} permutations are too few for p-values of {LEVEL}; take 0, or at least 19")
        return value


class SimilarityProbe(Probe[SimilarityOptions]):
    """Seven measures of similarity over the whole set, for CLS and for the mean over the patches of each block.

    Each sees something else: ``measures.MEASURES`` says what leaves it unchanged, its range, and what it says of
    features that have nothing to do with one another. Those of two models can be held against a permutation null.
    """

    Options: ClassVar[type[Options]] = SimilarityOptions
    uses: ClassVar[Mapping[str, type[Recording]]] = {"pooled": Pooled}
    pooled: Pooled

    @classmethod
    @override
    def check(cls, options: SimilarityOptions, dataset: Dataset, n: int) -> None:
        """Raise as ``compute`` does for too few images, and for a k that would make all images neighbours."""
        super().check(options, dataset, n)
        _neighbours(options, min(n, options.sample))

    @override
    def memory(self, images: int) -> int:
        """Layers that are held as they were prepared, and one that is being prepared."""
        return memory(self.measures(), len(self.model.blocks), min(images, self.options.sample), self.model.dim)

    def compute(self) -> Result:
        """Every block against every block of the same model, by every measure.

        Arrays ``MEASURE-KIND`` are (block, block). Raises ``MismatchError`` for fewer than four images, and
        ``OptionError`` for a k that would make all images neighbours.
        """
        k = self.k()
        tables = {
            (measure.name, kind): table(measure, loads, None, k)
            for measure in self.measures()
            for kind, loads in self.layers().items()
        }
        arrays: dict[str, Any] = {f"{name}-{kind}": found.values for (name, kind), found in tables.items()}
        return Result(
            records=tuple(self._records(tables, k)),
            arrays={**arrays, "image": self.images().numpy()},
            axes=dict.fromkeys(arrays, ("block", "block")) | {"image": ("image",)},
            headline=tuple(f"{measure.name}-with-last" for measure in self.measures()),
        )

    def _records(self, tables: Mapping[tuple[str, str], Table], k: int) -> Iterator[Record]:
        last = len(self.model.blocks) - 1
        for (name, kind), found in tables.items():
            for row, block in enumerate(self.model.blocks):
                yield Record(
                    metric=f"{name}-with-last",
                    value=float(found.values[row, last]),
                    block=block,
                    token=TOKENS[kind],
                    n=self.n(),
                    gap=found.gaps.get((row, last), ""),
                    **swept(MEASURES[name], k),
                )

    @classmethod
    def compare(cls, probes: Sequence[Self]) -> Result:
        """The last blocks of all models, and blocks against blocks for every two of few models; see ``Between``.

        Raises ``MismatchError`` for models that have seen other images, and else as ``compute`` does.
        """
        _check_same_images(probes)
        first = probes[0]
        return Between(
            names=[probe.model.name for probe in probes],
            layers=[probe.layers() for probe in probes],
            measures=first.measures(),
            k=first.k(),
            samples=len(first.images()),
            n=first.n(),
            permutations=first.options.permutations,
            seed=first.options.seed,
            block_maps=len(probes) <= first.options.block_maps,
        ).result()

    def measures(self) -> list[Measure]:
        """Those that were asked for, each once."""
        return _measures(self.options)

    def layers(self) -> dict[str, list[Load]]:
        """By kind, how to read each block; a block is in memory only while it is used."""
        return {
            kind: [partial(_read, rows, block, self.images()) for block in self.model.blocks]
            for kind, rows in self.pooled.kept().items()
        }

    def k(self) -> int:
        """How many nearest neighbours to look at."""
        return _neighbours(self.options, len(self.images()))

    def images(self) -> Tensor:
        """The places in the dataset of the images that are looked at, ascending."""
        seen = torch.tensor(self.pooled.images())
        return seen[torch.from_numpy(sampled(len(seen), self.options.sample, self.options.seed))]

    def n(self) -> int | None:
        """How many images these are, where they are not all that were seen."""
        used = len(self.images())
        return used if used < len(self.pooled.images()) else None


def _measures(options: SimilarityOptions) -> list[Measure]:
    return [MEASURES[name] for name in dict.fromkeys(options.measures)]


def _neighbours(options: SimilarityOptions, count: int) -> int:
    """How many nearest neighbours to look at among ``count`` images."""
    if count < FEWEST:
        raise MismatchError(f"similarity needs at least {FEWEST} images, and there are {count}; raise --limit")
    if options.k is None:
        return min(_K, count // 4)
    if options.k >= count - 1 and any(measure.uses_k for measure in _measures(options)):
        raise OptionError(
            f"--k is {options.k}, and with {count} images every image would be a neighbour of every other; "
            f"choose at most {count - 2}"
        )
    return options.k


def _read(rows: PerImage, block: int, images: Tensor) -> Floats:
    (found,) = rows.runs(block, images, len(images))
    layer: Floats = found.numpy()  # (image, channel)
    return layer


def _check_same_images(probes: Sequence[SimilarityProbe]) -> None:
    seen = [probe.pooled.images() for probe in probes]
    for probe, images in zip(probes, seen, strict=True):
        if images != seen[0]:
            raise MismatchError(
                f"{probe.model.name} has not seen the same images as {probes[0].model.name} "
                f"({len(images)} and {len(seen[0])}); similarity compares features of the same images"
            )
