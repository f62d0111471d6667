"""What exists is not replaced by something smaller without being asked: it is kept, and said so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..anatomy import select_blocks
from ..engine.job import Job
from ..errors import KeptError, StoreError
from .folder import comparison_place, place, read_models, read_provenance

_HOW = "write elsewhere (-o FOLDER), or remove that folder first"


def check_place(folder: Path, images: int, blocks: Sequence[int], fingerprint: str) -> None:
    """Raise ``KeptError`` where a folder has more images of the same dataset, or blocks that ``blocks`` lack."""
    try:
        facts = read_provenance(folder)
        there, known, same = facts["dataset"]["images"], facts["model"]["blocks"], facts["dataset"]["fingerprint"]
    except (StoreError, LookupError, TypeError):  # nothing, or nothing that could be read again
        return
    lacking = sorted(set(known) - set(blocks))
    if same != fingerprint or (there <= images and not lacking):
        return
    more = [f"{there} images, and this is {images} of them"] * (there > images)
    more += [f"block{'s' * (len(lacking) > 1)} {', '.join(map(str, lacking))}, and this has not"] * bool(lacking)
    raise KeptError(f"{folder} has {'; it has '.join(more)}; it is kept: {_HOW}")


def check_job(job: Job, root: Path) -> None:
    """``check_place`` for all that a job will write, before it is run.

    Models with weights of one's own are named after them, and so are only checked when they are written.
    """
    for part, spec in job.models:
        for analysis in job.analyses if part.weights is None else ():
            folder = place(root, spec.name, job.dataset_name, analysis.spec.name)
            try:
                depth = read_provenance(folder)["model"]["depth"]
            except (StoreError, LookupError, TypeError):
                continue
            check_place(folder, job.n, select_blocks(job.plan.blocks, depth), job.fingerprint)


def check_comparison(root: Path, dataset: str, analysis: str, models: Sequence[str]) -> None:
    """Raise ``KeptError`` where what is between more models than these would be replaced."""
    folder = comparison_place(root, dataset, analysis)
    known = read_models(folder)
    if len(known) > len(set(models)):
        raise KeptError(f"{folder} compares {len(known)} models, and this is {len(set(models))}; it is kept: {_HOW}")
