"""The dataset ``samples``: the photographs that come with vitan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _load() -> type[Dataset]:
    from .reader import Samples

    return Samples


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """The photographs inside the package."""
    yield DatasetSpec(
        name="samples",
        summary="photographs that come with vitan, to try things out without downloading anything",
        load=_load,
        licence="free licences, one for each photograph (photos/credits.json)",
    )
