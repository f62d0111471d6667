"""The datasets ``shapes`` and ``shapes-video``: a drawn world with known answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _shapes() -> type[Dataset]:
    from .pictures import Shapes

    return Shapes


def _video() -> type[Dataset]:
    from .films import ShapesVideo

    return ShapesVideo


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """Pictures and films that are drawn when they are read."""
    yield DatasetSpec(
        name="shapes",
        summary="drawn things of fourteen kinds with classes, masks, parts, key points, pairs and instances",
        load=_shapes,
        offers=frozenset({"label", "roles", "masks", "keypoints", "pairs", "relevance"}),
        licence="MIT, as vitan",
    )
    yield DatasetSpec(
        name="shapes-video",
        summary="films of drawn things that move, hide one another and change their posture, with masks",
        load=_video,
        offers=frozenset({"video", "masks"}),
        licence="MIT, as vitan",
    )
