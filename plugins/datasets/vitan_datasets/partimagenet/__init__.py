"""The dataset ``partimagenet``: animals and things of ImageNet, their parts outlined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

from .. import roots

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _load() -> type[Dataset]:
    from .reader import PartImageNet

    return PartImageNet


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """PartImageNet, whichever release."""
    yield DatasetSpec(
        name="partimagenet",
        summary="ImageNet pictures with outlines of parts (40 kinds in 11 supercategories), so many of each",
        load=_load,
        offers=frozenset({"masks", "label"}),
        folders=roots.PARTIMAGENET,
        files=(
            "the older release (its splits have different classes), likewise val and test:\n"
            "train.json                                 outlines\n"
            "train/n*/*.*                               pictures, a folder for each class\n"
            "or the newer release (each class is in all splits), likewise val and test:\n"
            "annotations/train/train.json               outlines\n"
            "images/train/*.*                           pictures"
        ),
        licence="annotations CC-BY-4.0; ImageNet terms of access for the pictures (research only)",
    )
