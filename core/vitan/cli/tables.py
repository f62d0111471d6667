"""The end of a run on stdout: short tables, and where the rest is."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .text import columns, number, terminal_width

if TYPE_CHECKING:
    from ..results.best import Best, Task
    from ..results.findings import Finding
    from ..results.results import Results

#: A headline metric: its unit, and its value by block (None: of the whole model).
Headline = dict[str, tuple[str, dict[int | None, float]]]

_HEADER_WIDTH = 14
_SHOWN_PICTURES = 8


def headline(finding: Finding) -> Headline:
    """What the analysis puts first, over all images: a column for each metric and token.

    Where an analysis sweeps a parameter, the first value of it is shown.
    """
    columns: Headline = {}
    for metric in finding.result.headline:
        records = [r for r in finding.records if r.metric == metric and r.head is None and not r.of]
        tokens = {record.token for record in records}
        for record in records:
            name = f"{metric} {record.token}" if len(tokens) > 1 else metric
            columns.setdefault(name, (record.unit, {}))[1].setdefault(record.block, record.value)
    return columns


def one_model(findings: Sequence[Finding]) -> list[str]:
    """A table for one model: a row per block."""
    (finding,) = findings
    metrics = headline(finding)
    seen = {block for _, values in metrics.values() for block in values}
    blocks = [*sorted(block for block in seen if block is not None), *([None] if None in seen else [])]
    cells = {
        metric: ["" if block not in values else number(values[block]) for block in blocks]
        for metric, (_, values) in metrics.items()
    }
    names = ["model" if block is None else str(block) for block in blocks]
    title = f"{finding.analysis} · {finding.model} · {_data([finding])}"
    return [title, *(_table("block", names, cells, _units([metrics]), right=True) if cells else _nothing(findings))]


def many_models(findings: Sequence[Finding]) -> list[str]:
    """A table for several models: a row each, with the values at the first and the last block."""
    if not findings:
        return []
    metrics = [headline(finding) for finding in findings]
    names = list(dict.fromkeys(metric for each in metrics for metric in each))
    cells = {name: [_ends(each[name][1]) if name in each else "" for each in metrics] for name in names}
    title = f"{findings[0].analysis} · {_data(findings)} · first → last block"
    rows = [finding.model for finding in findings]
    return [title, *(_table("model", rows, cells, _units(metrics), right=False) if cells else _nothing(findings))]


def best_of_models(found: Sequence[Best]) -> list[str]:
    """A table for several models and tasks: a row for each model, with the value at its best block, and which it is.

    Of a metric that is found for several tokens, or along a sweep, the first is shown.
    """
    tasks: dict[tuple[str, str], Task] = {}
    for best in found:
        tasks.setdefault((best.task.analysis, best.task.metric), best.task)
    chosen = {(best.task, best.model): best for best in found if best.task in tasks.values()}
    models = list(dict.fromkeys(model for _, model in chosen))
    names = {task: " ".join(filter(None, (task.metric, task.token, _swept(task)))) for task in tasks.values()}
    cells = {
        name: [f"{number(chosen[task, model].value)} @{chosen[task, model].block}" for model in models]
        for task, name in names.items()
    }
    units = {names[task]: best.unit for (task, _), best in chosen.items()}
    return ["best value of each model @ its block, from 0", *_table("model", models, cells, units, right=False)]


def _swept(task: Task) -> str:
    return "" if task.at is None else f"{task.parameter}={task.at:g}"


def pictures(found: Results, output: Path) -> list[str]:
    """Which pictures to look at first: those that compare, then one of each folder; a count where there are many."""
    comparing = [path for each in found.comparisons for path in each.pictures]
    first = [str(path) for path in comparing]
    for finding in found:
        if finding.pictures:
            more = len(finding.pictures) - 1
            first.append(f"{finding.pictures[0]}" + (f" (+{more} in the folder)" if more else ""))
    if len(first) > _SHOWN_PICTURES:
        count = len(comparing) + sum(len(finding.pictures) for finding in found)
        return [*first[: min(len(comparing), _SHOWN_PICTURES)], f"{output}/ ({count} in all)"]
    return first


def as_dict(found: Results, output: Path) -> dict[str, Any]:
    """A whole run for machines."""
    jobs = [finding.job for finding in found if finding.job is not None]
    return {
        "output": str(output),
        "records": str(output / "records.csv"),
        "plan_sha256": jobs[0].plan.digest() if jobs else None,
        "device": jobs[0].plan.device if jobs else None,
        "runs": [_as_dict(finding) for finding in found],
        "comparisons": [str(path) for each in found.comparisons for path in each.pictures],
        "failed": [{"what": name, "error": str(error)} for name, error in found.failed.items()],
    }


def _as_dict(finding: Finding) -> dict[str, Any]:
    """One analysis of one model."""
    return {
        "analysis": finding.analysis,
        "model": finding.model,
        "weights": {"sha256": finding.weights, "origin": finding.origin},
        "dataset": finding.dataset,
        "reused": finding.reused,
        "skipped": [{"index": index, "why": why} for index, why in finding.skipped],
        "folder": str(finding.folder),
        "records": str(finding.folder / "records.csv") if finding.folder else None,
        "figures": [str(path) for path in finding.pictures],
        "headline": [
            {"metric": metric, "unit": unit, "block": block, "value": value if math.isfinite(value) else None}
            for metric, (unit, values) in headline(finding).items()
            for block, value in values.items()
        ],
    }


def _ends(values: dict[int | None, float]) -> str:
    blocks = sorted(block for block in values if block is not None)
    ends: list[int | None] = list(dict.fromkeys((blocks[0], blocks[-1]))) if blocks else [None]
    return " → ".join(number(values[block]) for block in ends)


def _units(metrics: Sequence[Headline]) -> dict[str, str]:
    return {name: unit for each in metrics for name, (unit, _) in each.items()}


def _data(findings: Sequence[Finding]) -> str:
    return f"{findings[0].dataset} · {findings[0].n} images"


def _nothing(findings: Sequence[Finding]) -> list[str]:
    """Where no metric has a value: why, as the records of the headline's metrics say it."""
    why = dict.fromkeys(
        record.gap
        for finding in findings
        for record in finding.records
        if record.metric in finding.result.headline and record.gap
    )
    return [f"  (nothing: {'; '.join(why)})" if why else "  (nothing for a short table; see the pictures and records)"]


def _table(
    corner: str, names: Sequence[str], cells: dict[str, list[str]], units: dict[str, str], *, right: bool
) -> list[str]:
    """One column per metric; the columns that do not fit into the terminal follow below, with the names again."""
    first = [corner, *names]
    heads = {metric: _head(metric, units[metric]) for metric in cells}
    widths = {metric: max(map(len, [*heads[metric], *values])) for metric, values in cells.items()}
    lines: list[str] = []
    for chunk in _chunks(widths, terminal_width() - 4 - max(map(len, first))):
        height = max(len(heads[metric]) for metric in chunk)
        tops = [[""] * (height - len(heads[metric])) + heads[metric] for metric in chunk]
        rows = [["" if i < height - 1 else corner, *(top[i] for top in tops)] for i in range(height)]
        rows += [[name, *(cells[metric][i] for metric in chunk)] for i, name in enumerate(names)]
        lines += columns(rows, right=range(0 if right else 1, len(chunk) + 1), indent="  ")
    return lines


def _head(metric: str, unit: str) -> list[str]:
    """A name broken at its hyphens, with the unit below."""
    return [*textwrap.wrap(metric, _HEADER_WIDTH, break_long_words=False), *([f"({unit})"] if unit else [])]


def _chunks(widths: dict[str, int], room: int) -> list[list[str]]:
    chunks: list[list[str]] = []
    left = 0
    for metric, width in widths.items():
        if width + 2 > left or not chunks:
            chunks.append([])
            left = room
        chunks[-1].append(metric)
        left -= width + 2
    return chunks
