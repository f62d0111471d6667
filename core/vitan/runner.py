"""From a job to results: one pass per model feeds every analysis that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from .data import Batch
from .errors import ImageError
from .figures import Drawable
from .job import Analysis, Job
from .loader import Loader, Partition, Skipped
from .models import Model, load_model
from .plan import ModelPlan
from .probe import Probe
from .results import Record, Result
from .store import Store
from .views import View, make_view

#: Images per shard: what an interruption may cost at the most.
SHARD_IMAGES = 128


class Reporter(Protocol):
    """Who is told how far a run is."""

    def begin(self, title: str, total: int) -> None:
        """A pass over ``total`` images starts."""

    def advance(self, images: int) -> None:
        """So many more images are done."""

    def end(self) -> None:
        """The pass is over."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def download(self, description: str, done: int, total: int | None) -> None:
        """A file is being fetched; sizes in bytes."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One analysis of one model over one dataset, with all that is worth writing down.

    ``probe`` holds the merged state, for analyses that compare models; others do not keep it, since it may be large.
    """

    analysis: Analysis
    part: ModelPlan
    model: Model
    probe: Probe | None
    drawable: Drawable
    skipped: tuple[Skipped, ...]
    reused: bool

    @property
    def result(self) -> Result:
        """The numbers."""
        return self.drawable.result


def run_model(job: Job, index: int, store: Store, reporter: Reporter) -> list[Outcome]:
    """All analyses of the job's ``index``-th model. Analyses in the same view share one pass.

    State is kept in ``store`` at each shard's end; what is already there is not computed again.
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
    for view_name in sorted({analysis.kind.view for analysis in job.analyses}):
        sharing = [analysis for analysis in job.analyses if analysis.kind.view == view_name]
        one = Pass(job, part, model, make_view(view_name, spec.image_size), sharing, store, reporter)
        outcomes.update({outcome.analysis.spec.name: outcome for outcome in one.run()})
    return [outcomes[analysis.spec.name] for analysis in job.analyses]


@dataclass(frozen=True)
class _Part:
    """What one analysis has seen of one shard."""

    probe: Probe
    skipped: Sequence[Skipped]
    stored: bool


@dataclass
class _Gathered:
    """What one analysis has seen so far. ``reused`` says that all of it was stored."""

    probe: Probe | None = None
    skipped: list[Skipped] = field(default_factory=list)
    reused: bool = True

    def take(self, part: _Part) -> None:
        """Merge in the next shard."""
        if self.probe is None:
            self.probe = part.probe
        else:
            self.probe.merge(part.probe)
        self.skipped += part.skipped
        self.reused = self.reused and part.stored


class Pass:
    """One model over one dataset in one view, feeding several probes."""

    def __init__(
        self,
        job: Job,
        part: ModelPlan,
        model: Model,
        view: View,
        analyses: Sequence[Analysis],
        store: Store,
        reporter: Reporter,
    ) -> None:
        self._job, self._part, self._model, self._view, self._analyses = job, part, model, view, analyses
        self._store, self._reporter = store, reporter
        plan = job.plan
        self._partition = Partition(job.n, plan.batch_size, max(1, SHARD_IMAGES // plan.batch_size))
        self._loader = Loader(job.dataset, view, model.spec, skip=plan.on_error == "skip")
        self._checked = False

    def run(self) -> list[Outcome]:
        """Shard by shard, take what the store has, compute what it lacks, and merge; then sum up."""
        gathered = [_Gathered() for _ in self._analyses]
        names = ", ".join(analysis.spec.name for analysis in self._analyses)
        self._reporter.begin(f"{self._model.info.name} · {self._job.dataset_spec.name} · {names}", self._job.n)
        try:
            for shard in self._partition.shards():
                for so_far, part in zip(gathered, self._shard(shard), strict=True):
                    so_far.take(part)
        finally:
            self._reporter.end()
        return [self._outcome(analysis, found) for analysis, found in zip(self._analyses, gathered, strict=True)]

    def _content(self, analysis: Analysis, shard: range) -> dict[str, Any]:
        """Everything that a shard's state depends on."""
        spec, plan = self._model.spec, self._job.plan
        return {
            "probe": [analysis.spec.name, analysis.provider.partition(" ")[0], analysis.kind.version],
            "options": analysis.options.seen(),
            "model": spec.name,
            "weights": self._model.tensors,  # not of the file: how it is converted matters too
            "normalise": [spec.mean, spec.std],
            "dataset": [self._job.dataset_spec.name, self._job.fingerprint],
            "view": [self._view.name, spec.image_size],
            "blocks": self._model.info.blocks,
            "dtype": plan.dtype,
            "device": torch.device(plan.device).type,
            "batch_size": plan.batch_size,
            "images": [self._partition.indices(shard[0]).start, self._partition.indices(shard[-1]).stop],
        }

    def _shard(self, shard: range) -> list[_Part]:
        """One part for each analysis. What was not stored is stored now, before anything else is done."""
        contents = [self._content(analysis, shard) for analysis in self._analyses]
        stored = [self._stored(*pair) for pair in zip(self._analyses, contents, strict=True)]
        todo = [i for i, part in enumerate(stored) if part is None]
        computed = self._compute([self._analyses[i] for i in todo], shard)
        for i, part in zip(todo, computed, strict=True):
            notes = {"skipped": [[skipped.index, skipped.why] for skipped in part.skipped]}
            self._store.put(contents[i], part.probe.state(), notes)
        fresh = iter(computed)
        return [next(fresh) if part is None else part for part in stored]

    def _stored(self, analysis: Analysis, content: Mapping[str, Any]) -> _Part | None:
        unit = self._store.get(self._store.key(content))
        if unit is None:
            return None
        probe = self._probe(analysis)
        probe.load(unit.tensors)
        return _Part(probe, [Skipped(index, why) for index, why in unit.notes["skipped"]], stored=True)

    def _compute(self, analyses: Sequence[Analysis], shard: range) -> list[_Part]:
        if not analyses:
            self._reporter.advance(sum(len(self._partition.indices(number)) for number in shard))
            return []
        probes = [self._probe(analysis) for analysis in analyses]
        for batch, number in zip(self._loader.batches(self._partition, shard), shard, strict=True):
            if batch is not None:
                self._forward(batch, probes)
            self._reporter.advance(len(self._partition.indices(number)))
        return [_Part(probe, self._loader.skipped, stored=False) for probe in probes]

    def _forward(self, batch: Batch, probes: Sequence[Probe]) -> None:
        taps = frozenset().union(*(probe.taps for probe in probes))
        wanted = dict.fromkeys(self._model.info.blocks, taps)
        if not self._checked:
            self._model.check_recording(wanted, batch.pixels[:1])
            self._checked = True

        def on_block(block: int, caught: Mapping[str, Tensor]) -> None:
            for probe in probes:
                probe.update_block(block, {name: caught[name] for name in probe.taps}, batch)

        with self._model.record(wanted, on_block):
            self._model.forward(batch.pixels)

    def _probe(self, analysis: Analysis) -> Probe:
        return analysis.kind(analysis.options, self._model.info)

    def _check_skipped(self, skipped: Sequence[Skipped]) -> None:
        """State that an earlier run made with ``skip`` may stand for this one only if nothing was skipped."""
        if skipped and self._job.plan.on_error == "stop":
            raise ImageError(f"{skipped[0].why} ({len(skipped)} such images; --on-error skip leaves them out)")
        if len(skipped) == self._job.n:
            raise ImageError(f"none of the {self._job.n} images can be read; the first: {skipped[0].why}")

    def _outcome(self, analysis: Analysis, found: _Gathered) -> Outcome:
        self._check_skipped(found.skipped)
        probe = found.probe
        assert probe is not None, "a job has at least one image, and so a shard"
        result = probe.compute(self._partition.n_batches)
        made: dict[str, Any] = {
            "analysis": analysis.spec.name,
            "model": self._model.info.name,
            "weights": self._model.digest,
            "dataset": self._job.dataset_spec.name,
            "n": self._job.n - len(found.skipped),
            "view": self._view.name,
        }
        records: tuple[Record, ...] = tuple(replace(record, **made) for record in result.records)
        drawable = Drawable(
            model=self._model.info,
            options=analysis.options,
            result=replace(result, records=records),
            dataset=self._job.dataset,
            dataset_name=self._job.dataset_spec.name,
            view=self._view,
        )
        return Outcome(
            analysis=analysis,
            part=self._part,
            model=self._model,
            probe=probe if analysis.compares else None,
            drawable=drawable,
            skipped=tuple(found.skipped),
            reused=found.reused,
        )
