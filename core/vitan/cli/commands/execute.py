"""Run a plan, write it out model by model, and say what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import torch

from ...engine.job import Analysis, Job, prepare, resolve
from ...engine.plan import Plan
from ...engine.runner import Outcome, run_model
from ...engine.sharing import arrange
from ...engine.store import Store
from ...errors import OptionError, UsageError, VitanError
from ...files import states_dir
from ...registry.plugins import Plugins
from ...results.write import Written, write_comparisons, write_outcome, write_root
from ..plugin_options import PluginOption, flags_as_typed
from ..progress import Bars, Lines, reporter
from ..tables import as_dict, many_models, one_model, pictures


@dataclass
class Report:
    """What has been done so far: outcomes with where they were written, and the models that failed with why."""

    done: list[tuple[Outcome, Written]] = field(default_factory=list)
    failed: list[tuple[str, VitanError]] = field(default_factory=list)
    comparisons: tuple[Path, ...] = ()


def execute(
    plan: Plan, plugins: Plugins, output: Path, brought: Sequence[PluginOption], *, figures: bool, as_json: bool
) -> int:
    """Run a plan and print its summary; returns the exit code.

    Each model is run and written before the next one starts. Of several models one that fails does not stop the others.
    """
    try:
        job = prepare(resolve(plan, plugins), plugins)
    except OptionError as error:
        raise OptionError(flags_as_typed(str(error), brought)) from None
    _make_folder(output, f"--output {output}: nothing can be written there ({{}}); choose another")
    _make_folder(
        states_dir(), f"the cache {states_dir()} cannot be written ({{}}); set VITAN_CACHE to a folder that can"
    )
    report, progress, advice = Report(), reporter(), _to_need_less(job, brought)
    progress.note(f"device {_device_name(plan.device)}")
    for line in job.dataset.notes():
        progress.note(f"warning: {job.dataset_spec.name}: {line}")
    try:
        for index in range(len(job.models)):
            _one(job, index, output, report, progress, figures, advice)
        report.comparisons = write_comparisons([outcome for outcome, _ in report.done], output, figures=figures)
        if report.done:
            write_root(output)
    except KeyboardInterrupt:
        raise click.Abort("finished parts are kept, run the same command to go on") from None
    finally:
        progress.close()
    _print(report, job, output, as_json)
    for name, failure in report.failed:
        click.secho(f"error: {name}: {failure}", fg="red", err=True)
    return 1 if report.failed else 0


def _one(
    job: Job, index: int, output: Path, report: Report, progress: Bars | Lines, figures: bool, advice: str
) -> None:
    """Run and write one model. Its error is kept for the end if there are others, and raised if it is alone.

    Of several analyses one that fails does not take the others' results with it.
    """
    name = job.models[index][0].name
    lost: list[tuple[Analysis, VitanError]] = []
    try:
        outcomes = _run_model(job, index, progress, advice, lost)
        if not outcomes:
            raise lost[0][1]
        _say(outcomes, job, progress, figures)
        written = [write_outcome(outcome, job, output, figures=figures) for outcome in outcomes]
    except VitanError as error:
        if len(job.models) == 1:
            raise
        progress.close()
        progress.note(f"error: {name} failed, going on without it; the end says why")
        report.failed.append((name, error))
        return
    write_root(output)
    report.done += zip(outcomes, written, strict=True)
    report.failed += [(f"{analysis.spec.name} of {name}", error) for analysis, error in lost]


def _run_model(
    job: Job, index: int, progress: Bars | Lines, advice: str, lost: list[tuple[Analysis, VitanError]]
) -> list[Outcome]:
    try:
        return run_model(job, index, Store(states_dir()), progress, lost)
    except torch.cuda.OutOfMemoryError as error:
        raise VitanError(f"the memory of {job.plan.device} is not enough; try {advice}") from error


def _to_need_less(job: Job, brought: Sequence[PluginOption]) -> str:
    """How to need less memory; what an analysis has asked for by its option ``batch`` does not heed the plan."""
    size = job.plan.batch_size
    asking = {a.spec.name for a in job.analyses if (asked := a.kind.batching(a.options)) and asked.size}
    theirs = [option.flag for option in brought if option.part.owner in asking and option.field.name == "batch"]
    hints = [f"a smaller {flag}" for flag in theirs]
    if size > 1 and any(asking.isdisjoint(a.spec.name for a in one.analyses) for one in arrange(job.analyses, size)):
        hints.append(f"--batch-size {size // 2}")
    return " or ".join(hints or ["--dtype float16", "--device cpu"])


def _say(outcomes: Sequence[Outcome], job: Job, progress: Bars | Lines, figures: bool) -> None:
    """Notes about one model: what was reused, which images were left out, and that drawing takes its time."""
    if all(outcome.reused for outcome in outcomes):
        progress.note("  reused stored state; no forward pass needed")
    else:
        for outcome in outcomes:
            if outcome.reused:
                progress.note(f"  {outcome.analysis.spec.name}: reused stored state")
    skipped = dict.fromkeys(each for outcome in outcomes for each in outcome.skipped)
    if skipped:
        progress.note(f"warning: {len(skipped)} of {job.n} images could not be read and were left out:")
        for each in skipped:
            progress.note(f"  {each.why}")
    if drawn := [outcome.analysis.spec.name for outcome in outcomes if figures and outcome.analysis.spec.figures]:
        progress.note(f"  drawing {', '.join(drawn)}")


def _make_folder(folder: Path, complaint: str) -> None:
    """Before anything is computed for it; ``complaint`` has a place for the reason."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".vitan-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(complaint.format(error.strerror)) from None


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device if device != "cpu" or torch.cuda.is_available() else "cpu (torch sees no GPU)"


def _print(report: Report, job: Job, output: Path, as_json: bool) -> None:
    records = output / "records.csv"
    if as_json:
        summary = {
            "output": str(output),
            "records": str(records),
            "plan_sha256": job.plan.digest(),
            "device": job.plan.device,
            "runs": [as_dict(outcome, written) for outcome, written in report.done],
            "comparisons": [str(path) for path in report.comparisons],
            "failed": [{"model": name, "error": str(error)} for name, error in report.failed],
        }
        click.echo(json.dumps(summary, indent=2))
        return
    if not report.done:
        return
    table = one_model if len(job.models) == 1 else many_models
    for analysis in job.analyses:
        if outcomes := [outcome for outcome, _ in report.done if outcome.analysis.spec is analysis.spec]:
            click.echo("\n".join(table(outcomes)) + "\n")
    for path in pictures([written for _, written in report.done], report.comparisons, output):
        click.echo(f"pictures  {path}")
    click.echo(f"numbers   {records}")
