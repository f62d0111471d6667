"""Results onto the disk: numbers first, then what is drawn of them, then what is between the models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..engine.isolation import forget
from ..engine.job import Job
from ..engine.progress import Reporter
from ..engine.runner import Outcome
from ..errors import KeptError, VitanError
from .drawing import draw, draw_between, draw_into, files, save
from .drawn import Figures
from .findings import Comparison, Finding
from .folder import write_root
from .unchanged import figures_key
from .write import compare, write_between, write_outcome


def finding_of(outcome: Outcome, job: Job | None, folder: Path | None = None) -> Finding:
    """An outcome as it is handed out."""
    return Finding(
        analysis=outcome.analysis.spec.name,
        model=outcome.model.name,
        dataset=outcome.drawable.dataset_name,
        n=outcome.n,
        weights=outcome.weights,
        origin=outcome.origin,
        reused=outcome.reused,
        skipped=tuple((skipped.index, skipped.why) for skipped in outcome.skipped),
        folder=folder,
        load=lambda: outcome.result,
        load_outcome=lambda: outcome,
        job=job,
    )


def write_findings(
    findings: Sequence[Finding], root: Path, *, figures: Figures, reporter: Reporter
) -> tuple[list[Finding], dict[str, VitanError]]:
    """Write the numbers of findings, gather the root table, then write files and draw; returns them with their places.

    A figure that fails takes neither numbers nor other figures with it: its error is returned by what it is of. So is
    that of numbers for whose sake fuller ones would have to go.
    """
    written: list[Finding] = []
    failed: dict[str, VitanError] = {}
    keys: list[str] = []
    for each in findings:
        assert each.job is not None, "only what was run just now is written"
        outcome = each.load_outcome()
        keys.append(figures_key([each], [outcome]))
        try:
            written.append(replace(each, folder=write_outcome(outcome, each.job, root, keys[-1])))
        except KeptError as error:
            failed[f"writing {each.analysis} of {each.model}"] = error
            written.append(each)
    write_root(root)
    for number, (each, key) in enumerate(zip(written, keys, strict=True)):
        outcome = each.load_outcome()
        if each.folder is None:
            continue
        try:
            save(files(outcome), each.folder)
        except VitanError as error:
            failed[f"files of {each.analysis} of {each.model}"] = forget(error)
        if outcome.analysis.spec.figures is None or figures != "all":
            continue
        try:
            pictures = draw_into(each.folder, draw(outcome, reporter.note), each.analysis, key, reporter)
            written[number] = replace(each, pictures=pictures)
        except VitanError as error:
            failed[f"drawing {each.analysis} of {each.model}"] = forget(error)
    return written, failed


def compare_findings(
    findings: Sequence[Finding], root: Path | None, *, figures: Figures, reporter: Reporter
) -> tuple[list[Comparison], dict[str, VitanError]]:
    """What each analysis finds between the models that it was run on; nothing for a single model.

    A comparison of more models that is already there is kept, which ``reporter`` is told; this one is then not written.
    """
    made: list[Comparison] = []
    failed: dict[str, VitanError] = {}
    for group in _several(findings):
        what, outcomes = f"{group[0].analysis} between models", [each.load_outcome() for each in group]
        try:
            made.append(_between(group, outcomes))
            if root is not None and _is_something(made[-1], outcomes, figures):
                made[-1] = _write(made[-1], outcomes, root, figures=figures, reporter=reporter)
        except KeptError as error:
            reporter.note(f"warning: {what} is not written: {error}")
        except VitanError as error:
            failed[what] = forget(error)
    return made, failed


def _write(
    comparison: Comparison, outcomes: Sequence[Outcome], root: Path, *, figures: Figures, reporter: Reporter
) -> Comparison:
    """Write the numbers between models, then draw; returns it with its place and pictures."""
    result, what = comparison.result, f"{comparison.analysis} between models"
    key = figures_key(comparison.findings, outcomes, result)
    folder = write_between(result, outcomes, root, key)
    if figures == "none":
        return replace(comparison, folder=folder)
    pictures = draw_into(folder, draw_between(outcomes, result, reporter.note), what, key, reporter)
    return replace(comparison, folder=folder, pictures=pictures)


def _several(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    """Findings of one analysis and dataset, where there are at least two."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for each in findings:
        groups.setdefault((each.analysis, each.dataset), []).append(each)
    return (group for group in groups.values() if len(group) > 1)


def _between(group: Sequence[Finding], outcomes: Sequence[Outcome]) -> Comparison:
    """What is between these models, not yet written."""
    return Comparison(
        analysis=group[0].analysis,
        dataset=group[0].dataset,
        models=tuple(each.model for each in group),
        result=compare(outcomes),
        findings=tuple(group),
    )


def _is_something(comparison: Comparison, outcomes: Sequence[Outcome], figures: Figures) -> bool:
    """Whether there is something to put into a folder."""
    spec = outcomes[0].analysis.spec
    drawn = spec.comparison if comparison.result is not None else spec.figures and spec.comparison is None
    return comparison.result is not None or bool(figures != "none" and drawn)
