"""Best blocks as a table for a paper or a page: models against tasks, as Markdown, LaTeX or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import MismatchError
from .best import Best, Task, differing
from .formats import Format

#: What LaTeX reads as something else.
_ESCAPED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_ESCAPED |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


@dataclass(frozen=True)
class Cell:
    """A value at its best block, and whether it is surely the best of its task."""

    best: Best
    bold: bool


@dataclass(frozen=True)
class Matrix:
    """Cells by model and task; None where a model was not measured at a task."""

    models: tuple[str, ...]
    tasks: tuple[Task, ...]
    cells: dict[tuple[str, Task], Cell]


def matrix(found: Sequence[Best], better: dict[str, str]) -> Matrix:
    """The models and tasks of best blocks, in their order.

    A value is bold where its interval lies apart from those of all other models: with overlapping intervals, or none,
    nothing is. ``better`` says of each metric whether ``higher`` or ``lower`` is. Raises ``MismatchError`` where values
    of one task are not to be compared, naming what differs.
    """
    if unlike := differing(found):
        raise MismatchError(
            f"these values are not alike in {' and '.join(unlike)}, so that one table would mislead; choose some with "
            "--analysis or --metric, or see 'vitan table' without --format, which tells them apart"
        )
    models = tuple(dict.fromkeys(best.model for best in found))
    tasks = tuple(dict.fromkeys(best.task for best in found))
    cells = {}
    for best in found:
        others = [other for other in found if other.task == best.task and other.model != best.model]
        cells[best.model, best.task] = Cell(best, _is_apart(best, others, better.get(best.task.metric, "")))
    return Matrix(models, tasks, cells)


def _is_apart(best: Best, others: Sequence[Best], better: str) -> bool:
    """Whether a value is surely better than all others."""
    if not others or best.low is None or best.high is None:
        return False
    for other in others:
        if other.low is None or other.high is None:
            return False
        if not (best.low > other.high if better == "higher" else best.high < other.low):
            return False
    return True


def written(table: Matrix, form: Format, *, rows: str = "model", intervals: bool = False) -> str:
    """The table as text, a row for each model, or with ``rows="task"`` for each task."""
    if form == "csv":
        return _csv(table)
    grid = [["", *_names(table.tasks)]]
    for model in table.models:
        grid.append([model, *(_shown(table.cells.get((model, task)), form, intervals) for task in table.tasks)])
    if form == "latex":
        grid = [[_latex(text) for text in grid[0]], *([_latex(row[0]), *row[1:]] for row in grid[1:])]
    if rows == "task":
        grid = [list(row) for row in zip(*grid, strict=True)]
    return _latex_table(grid) if form == "latex" else _markdown(grid)


def _names(tasks: Sequence[Task]) -> list[str]:
    """What tells tasks apart: metric, token and parameter, and as much more as it takes."""
    parts = []
    for task in tasks:
        at = "" if task.at is None else f"{task.parameter}={task.at:g}"
        parts.append((task.dataset, task.analysis, task.metric, task.token, at, task.view, task.protocol))
    used, more = {2, 3, 4}, [1, 0, 6, 5]
    while more and len({tuple(part[i] for i in used) for part in parts}) < len(parts):
        used.add(more.pop(0))
    return [" ".join(part[i] for i in sorted(used) if part[i]) for part in parts]


def _shown(cell: Cell | None, form: Format, intervals: bool) -> str:
    if cell is None:
        return "--" if form == "latex" else "–"
    best, minus = cell.best, "--" if form == "latex" else "–"
    digits = 1 if best.unit == "%" else 3
    value = f"{best.value:.{digits}f}"
    if cell.bold:
        value = rf"\textbf{{{value}}}" if form == "latex" else f"**{value}**"
    if intervals and best.low is not None and best.high is not None:
        value += f" ({best.low:.{digits}f}{minus}{best.high:.{digits}f})"
    return value


def _markdown(grid: Sequence[Sequence[str]]) -> str:
    rows = [[text.replace("|", "\\|") for text in row] for row in grid]
    rows.insert(1, ["---"] + ["---:"] * (len(grid[0]) - 1))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _latex(text: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in text)


def _latex_table(grid: Sequence[Sequence[str]]) -> str:
    """For ``\\usepackage{booktabs}``."""
    head, *body = (f"{' & '.join(row)} \\\\" for row in grid)
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(grid[0]) - 1)}}}", r"\toprule", head, r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _csv(table: Matrix) -> str:
    """A row for each cell, with everything that is known of it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    facts = ("block", "blocks", "value", "unit", "low", "high", "n", "weights", "fingerprint", "options")
    writer.writerow(["model", *Task._fields, *facts, "apart"])
    for (model, task), cell in table.cells.items():
        known = [getattr(cell.best, name) for name in facts]
        writer.writerow([model, *("" if x is None else x for x in (*task, *known)), int(cell.bold)])
    return text.getvalue()
