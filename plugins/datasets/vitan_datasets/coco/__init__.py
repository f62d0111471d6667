"""The dataset ``coco``: everyday scenes, every object outlined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

from .. import roots

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _load() -> type[Dataset]:
    from .reader import Coco

    return Coco


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """COCO's instances."""
    yield DatasetSpec(
        name="coco",
        summary="COCO's everyday scenes with an outline of every object (val2017: 5000 pictures, 80 categories)",
        load=_load,
        offers=frozenset({"masks"}),
        folders=roots.COCO,
        files=(
            "annotations/instances_val2017.json  outlines; instances_PART.json for another --part\n"
            "images/val2017/*                    pictures\n"
            "val2017/*                           or pictures here, without the folder images"
        ),
        licence="annotations CC-BY-4.0; the pictures are Flickr's, each with terms of its own",
    )
