"""The dataset ``davis2017``: videos in which every object is outlined in every frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

from .. import roots

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _load() -> type[Dataset]:
    from .reader import Davis2017

    return Davis2017


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """DAVIS 2017, or videos laid out like it."""
    yield DatasetSpec(
        name="davis2017",
        summary="DAVIS 2017: 30 videos of the validation set, with the masks of 61 objects in all 1999 frames",
        load=_load,
        offers=frozenset({"video"}),
        folders=roots.DAVIS2017,
        files=(
            "ImageSets/2017/val.txt    the videos, one a line; another list for another --videos\n"
            "JPEGImages/480p/*/*.jpg   frames, a folder for each video\n"
            "Annotations/480p/*/*.png  masks by the same names (the TrainVal archive, 480p, holds all of these)"
        ),
    )
