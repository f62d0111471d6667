"""The importer ``teaching-matters``: what the published code of that paper leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from vitan import Imported, ImporterSpec, hookimpl


def _load() -> Callable[[Path], Imported]:
    from .reader import read_results

    return read_results


@hookimpl
def vitan_importers() -> Iterator[ImporterSpec]:
    """Results of the published code."""
    yield ImporterSpec(
        name="teaching-matters",
        summary="results of the published code of Teaching Matters (CVPR 2023): its pickles and tables",
        load=_load,
        files="MODEL/imagenet_knn_blkB.pkl, MODEL/DATASET_retrieval_blkB.pkl, MODEL/spair_kp_blkB.pkl, "
        "MODEL-dense/davis_vidseg_*_blkB/*_results-*.csv, at any depth",
    )
