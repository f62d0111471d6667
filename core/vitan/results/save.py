"""Results onto the disk: numbers first, then what is drawn of them, then what is between the models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..engine.isolation import forget
from ..engine.job import Job
from ..engine.progress import Reporter
from ..engine.runner import Outcome
from ..errors import VitanError
from .drawing import draw, draw_between, save
from .findings import Comparison, Finding
from .folder import write_root
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
    findings: Sequence[Finding], root: Path, *, figures: bool, reporter: Reporter
) -> tuple[list[Finding], dict[str, VitanError]]:
    """Write the numbers of findings, gather the root table, then draw; returns them with their places.

    A figure that fails takes neither numbers nor other figures with it: its error is returned by what it is of.
    """
    written: list[Finding] = []
    for each in findings:
        assert each.job is not None, "only what was run just now is written"
        written.append(replace(each, folder=write_outcome(each.load_outcome(), each.job, root)))
    write_root(root)
    failed: dict[str, VitanError] = {}
    for number, each in enumerate(written if figures else ()):
        outcome = each.load_outcome()
        if outcome.analysis.spec.figures is None:
            continue
        reporter.note(f"  drawing {each.analysis}")
        try:
            assert each.folder is not None
            written[number] = replace(each, pictures=save(draw(outcome), each.folder))
        except VitanError as error:
            failed[f"drawing {each.analysis} of {each.model}"] = forget(error)
    return written, failed


def compare_findings(
    findings: Sequence[Finding], root: Path | None, *, figures: bool
) -> tuple[list[Comparison], dict[str, VitanError]]:
    """What each analysis finds between the models that it was run on; nothing for a single model."""
    made: list[Comparison] = []
    failed: dict[str, VitanError] = {}
    for group in _several(findings):
        what, outcomes = f"{group[0].analysis} between models", [each.load_outcome() for each in group]
        try:
            comparison = _between(group, outcomes, root, figures)
            made.append(comparison)
            if figures and comparison.folder is not None:
                pictures = save(draw_between(outcomes, comparison.result), comparison.folder)
                made[-1] = replace(comparison, pictures=pictures)
        except VitanError as error:
            failed[what] = forget(error)
    return made, failed


class Silent:
    """Tells nobody how far a run is."""

    def begin(self, title: str, total: int) -> None:
        """See ``Reporter``."""

    def advance(self, images: int) -> None:
        """See ``Reporter``."""

    def end(self) -> None:
        """See ``Reporter``."""

    def note(self, text: str) -> None:
        """See ``Reporter``."""

    def download(self, description: str, done: int, total: int | None) -> None:
        """See ``Reporter``."""


def _several(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    """Findings of one analysis and dataset, where there are at least two."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for each in findings:
        groups.setdefault((each.analysis, each.dataset), []).append(each)
    return (group for group in groups.values() if len(group) > 1)


def _between(group: Sequence[Finding], outcomes: Sequence[Outcome], root: Path | None, figures: bool) -> Comparison:
    """What is between these models; it has a folder where there is a place for it and something to put there."""
    result, spec = compare(outcomes), outcomes[0].analysis.spec
    drawn = spec.comparison if result is not None else spec.figures and spec.comparison is None
    something = result is not None or (figures and drawn)
    return Comparison(
        analysis=group[0].analysis,
        dataset=group[0].dataset,
        models=tuple(each.model for each in group),
        result=result,
        findings=tuple(group),
        folder=write_between(result, outcomes, root) if root and something else None,
    )
