"""From a job to results: one pass per model feeds every analysis that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..analysis.figures import Drawable
from ..analysis.probe import Probe
from ..analysis.records import Record, Result
from ..anatomy import ModelInfo
from ..errors import ImageError, OutOfMemoryError, VitanError
from ..models.model import Model, load_model
from .isolation import blaming, forget, is_out_of_memory
from .job import Analysis, Job
from .loader import Skipped
from .numerics import computing
from .passes import Pass
from .plan import ModelPlan
from .progress import Reporter
from .schedule import arrange
from .store import Store
from .track import Named, Track, probe_of, tracks_of


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One analysis of one model over one dataset, with all that is worth writing down.

    ``weights`` is the sha256 of the file of weights, and ``origin`` says where they came from. ``probe`` holds the
    merged state, for analyses that compare models. ``units`` names the stored units that it was merged from, shard by
    shard: those of the probe itself under "", those of each thing that it shares under its attribute. ``place`` says
    what they depend on besides the model: which images, in which view and batches. ``made_by`` holds, each once, the
    circumstances under which units were made that were there before (see ``provenance.circumstances``).
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
    units: Mapping[str, Sequence[str]]
    place: Mapping[str, Any]
    made_by: tuple[Mapping[str, Any], ...] = ()

    @property
    def model(self) -> ModelInfo:
        """What is known of the model."""
        return self.drawable.model

    @property
    def n(self) -> int:
        """How many images were seen."""
        return int(self.place["images"]) - len(self.skipped)

    @property
    def result(self) -> Result:
        """The numbers."""
        return self.drawable.result


@dataclass(frozen=True)
class Failed:
    """An analysis that gave no numbers, and why."""

    analysis: Analysis
    error: VitanError


@dataclass(frozen=True)
class ModelRun:
    """What came of one model: outcomes in the order of the job, and the analyses that failed."""

    outcomes: tuple[Outcome, ...]
    failures: tuple[Failed, ...]


def run_model(job: Job, index: int, store: Store, reporter: Reporter) -> ModelRun:
    """All analyses of the job's ``index``-th model. Analyses in the same view share one pass, if their batches agree.

    State is kept in ``store`` at each shard's end; what is already there is not computed again. Of several analyses one
    that fails does not take the others' numbers with it. Raises what makes the whole model fail: weights, images,
    ``OutOfMemoryError``.
    """
    outcomes: dict[str, Outcome] = {}
    failures: list[Failed] = []
    with minding_memory(job), computing(job.plan.precision):
        model = loaded(job, index, reporter)
        for sharing in arrange(job.analyses, job.plan.batch_size):
            one = Pass(job, model, sharing, store, reporter)
            tracks = one.run()
            for analysis in sharing.analyses:
                try:
                    outcomes[analysis.spec.name] = _outcome(job, job.models[index][0], one, analysis, tracks)
                except VitanError as error:
                    failures.append(Failed(analysis, forget(error)))
    done = [outcomes[analysis.spec.name] for analysis in job.analyses if analysis.spec.name in outcomes]
    return ModelRun(tuple(done), tuple(failures))


def loaded(job: Job, index: int, reporter: Reporter) -> Model:
    """The job's ``index``-th model, with its weights, where and as the plan wants it."""
    part, spec = job.models[index]
    with blaming(f"model {spec.name}", "loading"):
        return load_model(
            spec,
            weights=part.weights,
            blocks=job.plan.blocks,
            device=job.plan.device,
            dtype=getattr(torch, job.plan.dtype),
            progress=reporter.download,
        )


@contextmanager
def minding_memory(job: Job) -> Iterator[None]:
    """Raise ``OutOfMemoryError``, with what would need less, where memory is not enough for what is done inside."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(f"the memory of {job.plan.device} is not enough; try {_to_need_less(job)}") from None


def tell_limit(job: Job, reporter: Reporter) -> None:
    """A note that the first images alone are looked at, and what of the dataset they hold as far as it can tell."""
    if job.n == len(job.dataset):
        return
    with blaming(f"dataset {job.dataset_spec.name}", "telling labels, roles and groups"):
        told = {"classes": job.dataset.labels(), "roles": job.dataset.roles(), "groups": job.dataset.groups()}
    held = [
        f"{len(set(every[: job.n]))} of {len(set(every))} {name}" for name, every in told.items() if len(set(every)) > 1
    ]
    reporter.note(
        f"limit {job.n}: the first of {len(job.dataset)} images, in the dataset's order, are looked at"
        + (f"; they are of {', '.join(held)}" if held else "")
    )


def tell(outcomes: Sequence[Outcome], n: int, reporter: Reporter) -> None:
    """Notes about one model: what was reused, and which of ``n`` images were left out."""
    if all(outcome.reused for outcome in outcomes):
        reporter.note("  reused stored state; no forward pass needed")
    else:
        for outcome in outcomes:
            if outcome.reused:
                reporter.note(f"  {outcome.analysis.spec.name}: reused stored state")
    skipped = dict.fromkeys(image for outcome in outcomes for image in outcome.skipped)
    if skipped:
        reporter.note(f"warning: {len(skipped)} of {n} images could not be read and were left out:")
        for image in skipped:
            reporter.note(f"  {image.why}")


def _outcome(job: Job, part: ModelPlan, one: Pass, analysis: Analysis, tracks: Mapping[str, Track]) -> Outcome:
    model, behind = one.model, tracks_of(analysis, tracks)
    failed = [track.error for track in behind.values() if track.error is not None]
    if failed:
        raise failed[0]
    first = next(iter(behind.values()))  # every recording of a pass has seen and left out the same images
    _check_skipped(job, first.skipped)
    probe = probe_of(analysis, tracks, model)
    provenance: dict[str, Any] = {
        "model": model.info.name,
        "weights": model.digest,
        "dataset": job.dataset_name,
        "fingerprint": job.fingerprint,
        "view": one.view.name,
    }
    with blaming(analysis.owner, "compute"):
        result = probe.compute()
        records = filled(result.records, analysis, n=job.n - len(first.skipped), **provenance)
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
        images=tuple(sorted(first.images, key=lambda image: image.index)),
        skipped=tuple(first.skipped),
        reused=all(track.reused for track in behind.values()),
        units={name: track.keys for name, track in behind.items()},
        place=one.place(),
        made_by=tuple(_distinct(facts for track in behind.values() for facts in track.made_by)),
    )


def _to_need_less(job: Job) -> str:
    """How to need less memory; what an analysis has asked for by its option ``batch`` does not heed the plan."""
    size = job.plan.batch_size
    asking = {a.spec.name for a in job.analyses if (asked := a.kind.batching(a.options)) and asked.size}
    theirs = [a.spec.name for a in job.analyses if a.spec.name in asking and "batch" in type(a.options).model_fields]
    hints = [f"a smaller --batch ({name})" for name in theirs]
    if size > 1 and any(asking.isdisjoint(a.spec.name for a in one.analyses) for one in arrange(job.analyses, size)):
        hints.append(f"--batch-size {size // 2}")
    return " or ".join(hints or ["--dtype float16", "--device cpu"])


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


def _distinct(facts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    distinct: list[Mapping[str, Any]] = []
    for fact in facts:
        if fact not in distinct:
            distinct.append(fact)
    return distinct


def _check_skipped(job: Job, skipped: Sequence[Skipped]) -> None:
    """State that an earlier run made with ``skip`` may stand for this one only if nothing was skipped."""
    if skipped and job.plan.on_error == "stop":
        raise ImageError(f"{skipped[0].why} ({len(skipped)} such images; --on-error skip leaves them out)")
    if len(skipped) == job.n:
        raise ImageError(f"none of the {job.n} images can be read; the first: {skipped[0].why}")
