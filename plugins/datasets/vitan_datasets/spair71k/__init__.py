"""The dataset ``spair71k``: pairs of pictures of one kind of object, with points that correspond."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

from .. import roots

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _load() -> type[Dataset]:
    from .reader import Spair71k

    return Spair71k


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """One dataset."""
    yield DatasetSpec(
        name="spair71k",
        summary="SPair-71k: pairs of pictures of one kind of object, with corresponding key points",
        load=_load,
        offers=frozenset({"keypoints", "pairs"}),
        folders=roots.SPAIR71K,
        files=(
            "PairAnnotation/test/*.json   pairs, ID-SOURCE-TARGET:CATEGORY.json (or _ for the colon)\n"
            "ImageAnnotation/*/*.json     key points, a folder for each category\n"
            "JPEGImages/*/*.jpg           pictures by the same names"
        ),
        licence="research only; photographs of PASCAL VOC 2012 and PASCAL 3D+, under their terms",
    )
