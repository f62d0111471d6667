"""The dataset ``imagenet``: the 1000 classes of ILSVRC 2012, training set and validation set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

from .. import roots

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _load() -> type[Dataset]:
    from .reader import ImageNet

    return ImageNet


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """All of it, or some pictures of each class."""
    yield DatasetSpec(
        name="imagenet",
        summary="ImageNet: the training set as the bank, the validation set as queries",
        load=_load,
        offers=frozenset({"label", "roles"}),
        folders=roots.IMAGENET,
        files=(
            "train/n*/*.JPEG  the bank\n"
            "val/n*/*.JPEG    queries, in a folder for each class\n"
            "val/*.JPEG       or all in one folder, with a file of their classes (LOC_val_solution.csv, "
            "val_labels.csv, val.txt, the synset labels, or the devkit's ground truth)\n"
            "*train*.tar      or shards of both parts: tar (KEY.jpg with KEY.cls), or Parquet (needs vitan[shards]);\n"
            "*val*.tar        in the root, or in data, train and val"
        ),
        licence="ImageNet terms of access (research only)",
    )
