"""From a job to results: one pass per model feeds every analysis that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from .data import Batch
from .errors import ImageError, RecordingError
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
        """Compute what the store lacks, shard by shard, then merge and sum up."""
        shards = self._partition.shards()
        keys = [[self._content(analysis, shard) for analysis in self._analyses] for shard in shards]
        have = [[self._store.get(self._store.key(content)) is not None for content in row] for row in keys]
        names = ", ".join(analysis.spec.name for analysis in self._analyses)
        self._reporter.begin(f"{self._model.info.name} · {self._job.dataset_spec.name} · {names}", self._job.n)
        try:
            for shard, contents, there in zip(shards, keys, have, strict=True):
                if not all(there):
                    self._compute_shard(shard, contents, there)
                else:
                    self._reporter.advance(sum(len(self._partition.indices(batch)) for batch in shard))
        finally:
            self._reporter.end()
        return [
            self._summarise(analysis, [row[i] for row in keys], all(row[i] for row in have))
            for i, analysis in enumerate(self._analyses)
        ]

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

    def _compute_shard(self, shard: range, contents: Sequence[dict[str, Any]], there: Sequence[bool]) -> None:
        todo = [i for i, done in enumerate(there) if not done]
        probes = [self._probe(self._analyses[i]) for i in todo]
        for batch, number in zip(self._loader.batches(self._partition, shard), shard, strict=True):
            if batch is not None:
                self._forward(batch, probes)
            self._reporter.advance(len(self._partition.indices(number)))
        notes = {"skipped": [[skipped.index, skipped.why] for skipped in self._loader.skipped]}
        for i, probe in zip(todo, probes, strict=True):
            self._store.put(contents[i], probe.state(), notes)

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

    def _summarise(self, analysis: Analysis, contents: Sequence[dict[str, Any]], reused: bool) -> Outcome:
        merged = self._probe(analysis)
        skipped: list[Skipped] = []
        for i, content in enumerate(contents):
            unit = self._store.get(self._store.key(content))
            if unit is None:
                raise RecordingError(
                    f"the state of images {content['images']} was lost or damaged in {self._store.folder}; "
                    "run the same command again and only that part is computed anew"
                )
            skipped += [Skipped(index, why) for index, why in unit.notes["skipped"]]
            shard = merged if i == 0 else self._probe(analysis)
            shard.load(unit.tensors)
            if i:
                merged.merge(shard)
        self._check_skipped(skipped)
        return self._outcome(analysis, merged, skipped, reused)

    def _check_skipped(self, skipped: Sequence[Skipped]) -> None:
        """State that an earlier run made with ``skip`` may stand for this one only if nothing was skipped."""
        if skipped and self._job.plan.on_error == "stop":
            raise ImageError(f"{skipped[0].why} ({len(skipped)} such images; --on-error skip leaves them out)")
        if len(skipped) == self._job.n:
            raise ImageError(f"none of the {self._job.n} images can be read; the first: {skipped[0].why}")

    def _outcome(self, analysis: Analysis, probe: Probe, skipped: Sequence[Skipped], reused: bool) -> Outcome:
        result = probe.compute(self._partition.n_batches)
        made: dict[str, Any] = {
            "analysis": analysis.spec.name,
            "model": self._model.info.name,
            "weights": self._model.digest,
            "dataset": self._job.dataset_spec.name,
            "n": self._job.n - len(skipped),
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
            skipped=tuple(skipped),
            reused=reused,
        )
