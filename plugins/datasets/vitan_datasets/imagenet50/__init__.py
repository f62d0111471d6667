"""The dataset ``imagenet50``: the fifty ImageNet classes of the published analyses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

from .. import roots

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _load() -> type[Dataset]:
    from .reader import ImageNet50

    return ImageNet50


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """A part of ImageNet's training set."""
    yield DatasetSpec(
        name="imagenet50",
        summary="fifty classes of ImageNet's training set, the first 100 pictures of each",
        load=_load,
        offers=frozenset({"label"}),
        folders=roots.IMAGENET50,
        files="n*/*.JPEG  pictures, as in ImageNet's train folder; the fifty classes suffice",
        licence="ImageNet terms of access (research only)",
    )
