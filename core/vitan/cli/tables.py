"""The end of a run on stdout: short tables, and where the rest is."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .text import columns, number, terminal_width

if TYPE_CHECKING:
    from ..engine.runner import Outcome
    from ..results.write import Written

#: A headline metric: its unit, and its value by block (None: of the whole model).
Headline = dict[str, tuple[str, dict[int | None, float]]]

_HEADER_WIDTH = 14
_SHOWN_PICTURES = 8


def headline(outcome: Outcome) -> Headline:
    """What the analysis puts first, over all images: a column for each metric and token.

    Where an analysis sweeps a parameter, the first value of it is shown.
    """
    columns: Headline = {}
    for metric in outcome.result.headline:
        records = [r for r in outcome.result.records if r.metric == metric and r.head is None and not r.of]
        tokens = {record.token for record in records}
        for record in records:
            name = f"{metric} {record.token}" if len(tokens) > 1 else metric
            columns.setdefault(name, (record.unit, {}))[1].setdefault(record.block, record.value)
    return columns


def one_model(outcomes: Sequence[Outcome]) -> list[str]:
    """A table for one model: a row per block."""
    (outcome,) = outcomes
    metrics = headline(outcome)
    seen = {block for _, values in metrics.values() for block in values}
    blocks = [*sorted(block for block in seen if block is not None), *([None] if None in seen else [])]
    cells = {
        metric: ["" if block not in values else number(values[block]) for block in blocks]
        for metric, (_, values) in metrics.items()
    }
    names = ["model" if block is None else str(block) for block in blocks]
    title = f"{outcome.analysis.spec.name} · {outcome.model.name} · {_data([outcome])}"
    return [title, *(_table("block", names, cells, _units([metrics]), right=True) if cells else _nothing(outcomes))]


def many_models(outcomes: Sequence[Outcome]) -> list[str]:
    """A table for several models: a row each, with the values at the first and the last block."""
    if not outcomes:
        return []
    metrics = [headline(outcome) for outcome in outcomes]
    names = list(dict.fromkeys(metric for each in metrics for metric in each))
    cells = {name: [_ends(each[name][1]) if name in each else "" for each in metrics] for name in names}
    title = f"{outcomes[0].analysis.spec.name} · {_data(outcomes)} · first → last block"
    rows = [outcome.model.name for outcome in outcomes]
    return [title, *(_table("model", rows, cells, _units(metrics), right=False) if cells else _nothing(outcomes))]


def pictures(written: Sequence[Written], comparisons: Sequence[Path], output: Path) -> list[str]:
    """Which pictures to look at first: those that compare, then one of each folder; a count where there are many."""
    first = list(comparisons)
    for each in written:
        if each.figures:
            more = len(each.figures) - 1
            first.append(Path(f"{each.figures[0]}" + (f" (+{more} in the folder)" if more else "")))
    if len(first) > _SHOWN_PICTURES:
        count = len(comparisons) + sum(len(each.figures) for each in written)
        return [*map(str, comparisons[:_SHOWN_PICTURES]), f"{output}/ ({count} in all)"]
    return [str(path) for path in first]


def as_dict(outcome: Outcome, written: Written) -> dict[str, Any]:
    """One analysis of one model for machines."""
    return {
        "analysis": outcome.analysis.spec.name,
        "model": outcome.model.name,
        "weights": {"sha256": outcome.weights, "origin": outcome.origin},
        "dataset": outcome.drawable.dataset_name,
        "reused": outcome.reused,
        "skipped": [{"index": each.index, "why": each.why} for each in outcome.skipped],
        "folder": str(written.folder),
        "records": str(written.folder / "records.csv"),
        "figures": [str(path) for path in written.figures],
        "headline": [
            {"metric": metric, "unit": unit, "block": block, "value": value if math.isfinite(value) else None}
            for metric, (unit, values) in headline(outcome).items()
            for block, value in values.items()
        ],
    }


def _ends(values: dict[int | None, float]) -> str:
    blocks = sorted(block for block in values if block is not None)
    ends: list[int | None] = list(dict.fromkeys((blocks[0], blocks[-1]))) if blocks else [None]
    return " → ".join(number(values[block]) for block in ends)


def _units(metrics: Sequence[Headline]) -> dict[str, str]:
    return {name: unit for each in metrics for name, (unit, _) in each.items()}


def _data(outcomes: Sequence[Outcome]) -> str:
    first = outcomes[0]
    n = next((record.n for record in first.result.records), 0)
    return f"{first.drawable.dataset_name} · {n} images"


def _nothing(outcomes: Sequence[Outcome]) -> list[str]:
    """Where no metric has a value: why, as the records of the headline's metrics say it."""
    why = dict.fromkeys(
        record.gap
        for outcome in outcomes
        for record in outcome.result.records
        if record.metric in outcome.result.headline and record.gap
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
