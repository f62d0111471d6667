"""What stored state depends on: whatever changes a number of a unit is in the key that finds it.

What an installed distribution brings goes by its name and version. What a plugin file brings goes by the sha256 of the
file, whatever it is called and whoever else uses its names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from ..analysis.probe import Recording
from ..data.preparation import Preparation
from ..data.views import View
from ..models.model import Model
from ..options import Options
from ..registry.files import source_of
from .job import Analysis, Job
from .plan import Plan
from .schedule import Partition, Sharing


def of_probe(analysis: Analysis) -> dict[str, Any]:
    """Which recording it is, where that is the analysis itself."""
    plugin = analysis.spec.source or analysis.provider.partition(" ")[0]
    name = [analysis.spec.name, plugin, analysis.kind.version]
    return {"probe": name, "options": analysis.options.seen()}


def of_shared(kind: type[Recording], options: Options) -> dict[str, Any]:
    """Which recording it is, where analyses share it: by its declared name, wherever the class lives."""
    return {"recording": [kind.name, kind.version, *_file(source_of(kind))], "options": options.seen()}


def of_place(
    job: Job, sharing: Sharing, partition: Partition, view: View, model: Model, shard: range
) -> dict[str, Any]:
    """Which images a shard holds, in which view and which batches, whatever is made of them."""
    batching = asdict(sharing.batching)
    return {
        "dataset": [job.dataset_spec.name, job.fingerprint, *_file(job.dataset_spec.source)],
        "view": [view.name, model.spec.image_size, model.spec.patch],
        "batching": batching if partition.order is None else {**batching, "n": partition.n},
        "images": [partition.bounds[shard.start], partition.bounds[shard.stop]],
    }


def of_unit(what: Mapping[str, Any], place: Mapping[str, Any], model: Model, plan: Plan) -> dict[str, Any]:
    """Everything that one recording's state of one shard depends on."""
    spec = model.spec
    return {
        **what,
        **place,
        "model": spec.name,
        **({"model_file": spec.source} if spec.source else {}),
        "weights": model.tensors,  # not of the file: how it is converted matters too
        "normalise": [spec.mean, spec.std],
        "blocks": model.info.blocks,
        "dtype": plan.dtype,
        **({"precision": plan.precision} if plan.precision != "ieee" else {}),
        "device": torch.device(plan.device).type,
    }


def of_preparation(preparation: Preparation, place: Mapping[str, Any], grid: tuple[int, int]) -> dict[str, Any]:
    """What a shard's preparation depends on: no model, but its patch grid."""
    return {
        **place,
        "preparation": [preparation.name, preparation.version, *_file(source_of(type(preparation)))],
        "fields": asdict(preparation),  # type: ignore[call-overload]  # every preparation is a dataclass
        "grid": grid,
    }


def _file(source: str) -> list[str]:
    """The digest of a plugin file, where there is one."""
    return [source] if source else []
