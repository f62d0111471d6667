"""The dataset ``davis2017``: videos in which every object is outlined in every frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.hookspecs import hookimpl
from vitan.specs import DatasetSpec

if TYPE_CHECKING:
    from vitan.data import Dataset


def _load() -> type[Dataset]:
    from ._davis2017 import Davis2017

    return Davis2017


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """DAVIS 2017, or videos laid out like it."""
    yield DatasetSpec(
        name="davis2017",
        summary="DAVIS 2017: 30 videos of the validation set, with the masks of 61 objects in all 1999 frames",
        load=_load,
        offers=frozenset({"video"}),
        files=(
            "ROOT/ImageSets/2017/val.txt, ROOT/JPEGImages/480p/VIDEO/00000.jpg ..., "
            "ROOT/Annotations/480p/VIDEO/00000.png ... (the TrainVal archive, 480p, of the DAVIS challenge's site)"
        ),
    )
