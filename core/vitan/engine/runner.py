"""From a job to results: one pass per model feeds every analysis that was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..analysis.figures import Drawable
from ..analysis.probe import Probe
from ..analysis.records import Record, Result
from ..anatomy import ModelInfo
from ..errors import ImageError, VitanError
from ..models.model import load_model
from .gathered import Gathered, Named, Seen
from .job import Analysis, Job
from .loader import Skipped
from .passes import Pass
from .plan import ModelPlan
from .progress import Reporter
from .sharing import arrange
from .store import Store


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One analysis of one model over one dataset, with all that is worth writing down.

    ``weights`` is the sha256 of the file of weights, and ``origin`` says where they came from. ``probe`` holds the
    merged state, for analyses that compare models; ``seen`` names the stored units that it was merged from, and what
    they depend on besides the model.
    """

    analysis: Analysis
    part: ModelPlan
    weights: str
    origin: str
    probe: Probe | None
    drawable: Drawable
    images: tuple[Named, ...]
    skipped: tuple[Skipped, ...]
    reused: bool
    seen: Seen

    @property
    def model(self) -> ModelInfo:
        """What is known of the model."""
        return self.drawable.model

    @property
    def n(self) -> int:
        """How many images were seen."""
        return int(self.seen.place["images"]) - len(self.skipped)

    @property
    def result(self) -> Result:
        """The numbers."""
        return self.drawable.result


def run_model(
    job: Job, index: int, store: Store, reporter: Reporter, lost: list[tuple[Analysis, VitanError]] | None = None
) -> list[Outcome]:
    """All analyses of the job's ``index``-th model. Analyses in the same view share one pass, if their batches agree.

    State is kept in ``store`` at each shard's end; what is already there is not computed again. An analysis whose
    numbers cannot be computed from what it has seen goes into ``lost`` with its error, if that is given.
    """
    part, spec = job.models[index]
    model = load_model(
        spec,
        weights=part.weights,
        blocks=job.plan.blocks,
        device=job.plan.device,
        dtype=getattr(torch, job.plan.dtype),
        progress=reporter.download,
    )
    outcomes: dict[str, Outcome] = {}
    for sharing in arrange(job.analyses, job.plan.batch_size):
        one = Pass(job, model, sharing, store, reporter)
        gathered = one.run()
        for analysis in sharing.analyses:
            try:
                outcomes[analysis.spec.name] = _outcome(job, part, one, analysis, gathered)
            except VitanError as error:
                if lost is None:
                    raise
                lost.append((analysis, error))
    return [outcomes[analysis.spec.name] for analysis in job.analyses if analysis.spec.name in outcomes]


def _outcome(job: Job, part: ModelPlan, one: Pass, analysis: Analysis, gathered: Gathered) -> Outcome:
    probe, model = gathered.probe(analysis), one.model
    skipped = gathered.skipped(analysis)
    _check_skipped(job, skipped)
    result = probe.compute()
    provenance: dict[str, Any] = {
        "model": model.info.name,
        "weights": model.digest,
        "dataset": job.dataset_name,
        "fingerprint": job.fingerprint,
        "view": one.view.name,
    }
    records = filled(result.records, analysis, n=job.n - len(skipped), **provenance)
    drawable = Drawable(
        model=model.info,
        options=analysis.options,
        result=replace(result, records=records),
        dataset=job.dataset,
        dataset_name=job.dataset_name,
        view=one.view,
    )
    return Outcome(
        analysis=analysis,
        part=part,
        weights=model.digest,
        origin=model.origin,
        probe=probe if analysis.compares else None,
        drawable=drawable,
        images=gathered.images(analysis),
        skipped=skipped,
        reused=gathered.reused(analysis),
        seen=one.seen(analysis),
    )


def filled(records: Iterable[Record], analysis: Analysis, *, n: int, **provenance: Any) -> tuple[Record, ...]:
    """The records with all that the probe leaves to the runner."""
    metrics = {metric.name: metric for metric in analysis.spec.metrics}
    how = {
        "analysis": analysis.spec.name,
        "protocol": getattr(analysis.options, "protocol", "default"),
        "options": analysis.options.changed(),
    }

    def one(record: Record) -> Record:
        known, fields = metrics.get(record.metric), {**how, **provenance}
        if known is not None:
            fields |= {"unit": record.unit or known.unit, "better": record.better or known.better}
        return replace(record, **fields, n=n if record.n is None else record.n)

    return tuple(one(record) for record in records)


def _check_skipped(job: Job, skipped: tuple[Skipped, ...]) -> None:
    """State that an earlier run made with ``skip`` may stand for this one only if nothing was skipped."""
    if skipped and job.plan.on_error == "stop":
        raise ImageError(f"{skipped[0].why} ({len(skipped)} such images; --on-error skip leaves them out)")
    if len(skipped) == job.n:
        raise ImageError(f"none of the {job.n} images can be read; the first: {skipped[0].why}")
