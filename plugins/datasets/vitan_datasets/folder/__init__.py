"""The dataset ``folder``: any tree of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vitan.registry.hooks import hookimpl
from vitan.registry.specs import DatasetSpec

if TYPE_CHECKING:
    from vitan.data.samples import Dataset


def _load() -> type[Dataset]:
    from .reader import Folder

    return Folder


@hookimpl
def vitan_datasets() -> Iterator[DatasetSpec]:
    """Pictures of the user's own."""
    yield DatasetSpec(
        name="folder",
        summary="all pictures below a folder of yours, or in its shards; sub-folders can be the classes",
        load=_load,
        offers=frozenset({"label", "roles"}),
        files=(
            "ROOT/**/*.jpg (or png, webp, tiff, bmp, ppm), or ROOT/CLASS/*.jpg, or for knn and retrieval "
            "ROOT/bank/CLASS/*.jpg and ROOT/query/CLASS/*.jpg (also gallery, train, val, test)\n"
            "or shards: ROOT/**/*.tar as webdataset lays them out (KEY.jpg with KEY.cls or KEY.json), or "
            "ROOT/**/*.parquet as datasets does (needs vitan[shards])"
        ),
    )
