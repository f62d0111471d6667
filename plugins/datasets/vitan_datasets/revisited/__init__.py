"""The datasets ``roxford5k`` and ``rparis6k``: landmarks to be found among photographs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

from .. import roots

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _oxford() -> type[Dataset]:
    from .reader import ROxford5k

    return ROxford5k


def _paris() -> type[Dataset]:
    from .reader import RParis6k

    return RParis6k


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """Both sets of Radenović et al. 2018."""
    for name, place, load in (("roxford5k", "Oxford", _oxford), ("rparis6k", "Paris", _paris)):
        yield DatasetSpec(
            name=name,
            summary=f"landmarks of {place}: 70 queries with easy, hard and junk pictures to each",
            load=load,
            offers=frozenset({"roles", "relevance"}),
            folders=roots.revisited(name),
            files=f"gnd_{name}.*  queries and what is relevant to them, .pkl or .json\njpg/*.jpg      pictures",
            licence="photographs of many Flickr users, each with rights of its own",
        )
