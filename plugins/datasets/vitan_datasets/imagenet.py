"""The dataset ``imagenet``: the 1000 classes of ILSVRC 2012, training set and validation set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.hookspecs import hookimpl
from vitan.specs import DatasetSpec

if TYPE_CHECKING:
    from vitan.data import Dataset


def _load() -> type[Dataset]:
    from ._imagenet import ImageNet

    return ImageNet


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """All of it, or some pictures of each class."""
    yield DatasetSpec(
        name="imagenet",
        summary="ImageNet: the training set as the bank, the validation set as queries",
        load=_load,
        offers=frozenset({"label", "roles"}),
        files="ROOT/train/WNID/*.JPEG and ROOT/val/WNID/*.JPEG, or ROOT/val/*.JPEG with a file of their classes "
        "(LOC_val_solution.csv, val_labels.csv, val.txt, imagenet_2012_validation_synset_labels.txt, or the devkit's "
        "ILSVRC2012_validation_ground_truth.txt with its meta.mat)",
        licence="ImageNet terms of access (research only)",
    )
