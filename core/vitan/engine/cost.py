"""What a whole job will keep on the disk and need of memory, said before any weight is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch

from ..analysis.probe import Recording
from ..anatomy import ModelInfo
from ..errors import OutOfMemoryError, StoreError, VitanError
from ..models.model import as_built
from ..registry.specs import ModelSpec
from .devices import machine_memory
from .isolation import blaming
from .job import Analysis, Job

#: From how many images on, of all models, it is worth building the models once more.
MANY = 5_000


def stored(job: Job) -> dict[str, int]:
    """About how many bytes each model adds to the store: what its recordings say of an image, times the images.

    Little or nothing is counted as nothing, and so is a model that cannot be built: its own run will say why.
    """
    return {name: job.n * per_image(job.analyses, info) for name, info in _shapes(job)}


def computing(job: Job) -> tuple[int, str]:
    """About how many bytes ``compute`` takes at most, and of what: the analysis and the model.

    One is at it at a time; the model's weights, and the tensors of a pass, come on top.
    """
    needs = []
    for name, info in _shapes(job):
        for analysis in job.analyses:
            with blaming(analysis.owner, "memory"):
                needs.append((analysis.kind(analysis.options, info).memory(job.n), f"{analysis.spec.name} of {name}"))
    return max(needs, default=(0, ""))


def _shapes(job: Job) -> Iterator[tuple[str, ModelInfo]]:
    for part, spec in job.models:
        info = None
        with suppress(VitanError):
            info = shape_of(spec, job.plan.blocks)
        if info is not None:
            yield part.name, info


def per_image(analyses: Sequence[Analysis], model: ModelInfo) -> int:
    """The bytes of an image; what analyses share is kept once."""
    made: dict[object, Recording] = {}
    for analysis in analyses:
        with blaming(analysis.owner, "bytes_per_image"):
            if analysis.kind.taps:
                made[analysis.spec.name] = analysis.kind(analysis.options, model)
            for shared in analysis.kind.uses.values():
                made[shared] = shared(shared.Options(), model)
    return sum(recording.bytes_per_image() for recording in made.values())


def shape_of(spec: ModelSpec, blocks: Sequence[str]) -> ModelInfo:
    """What is known of a model without its values; it is built where no memory is taken, if it can be."""
    with blaming(f"model {spec.name}", "building"):
        try:
            with torch.device("meta"):
                return as_built(spec, blocks).info
        except (NotImplementedError, RuntimeError):  # it looks at its own values
            return as_built(spec, blocks).info


def check_memory(job: Job) -> None:
    """Raise ``OutOfMemoryError`` where this machine has less memory than ``compute`` needs."""
    (needed, what), there = computing(job), machine_memory()
    if there is not None and needed > there:
        raise OutOfMemoryError(
            f"{what} would need about {needed / 1e9:.1f} GB of memory to compute its numbers from {job.n} images, and "
            f"this machine has {there / 1e9:.1f} GB; lower --limit, or run without that analysis"
        )


def check_disk(job: Job, folder: Path) -> int:
    """The bytes that a job will keep below ``folder``; raises ``StoreError`` where the disk cannot hold them.

    What is there already may be what it would keep, so that it counts as room.
    """
    sizes = stored(job)
    total = sum(sizes.values())
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    kept = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) if total > free else 0
    if total > free + kept:
        largest = max(sizes, key=lambda name: sizes[name])
        raise StoreError(
            f"the whole run would keep about {total / 1e9:.1f} GB of state ({sizes[largest] / 1e9:.1f} GB of "
            f"{largest}), and {folder} has room for {free / 1e9:.1f} GB; set VITAN_CACHE to a folder with more, lower "
            "--limit, name fewer --blocks, or run fewer models at a time"
        )
    return total
