"""``vitan table``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...results.formats import FORMATS, Format
from ..app import complete_files, plugins_of
from ..text import columns, number

if TYPE_CHECKING:
    from ...analysis.records import Record
    from ...registry.plugins import Plugins
    from ...results.best import Best, Task

_HEADINGS = ("metric", "token", "at", "model", "best block", "blocks", "value", "95 %", "not told from it")
_RIGHT = (4, 5, 6, 7)
#: What values of one heading may differ in, in words, and how many characters of it tell them apart.
_DIFFERING = {"n": ("n", None), "fingerprint": ("images", 8), "options": ("options", None), "weights": ("weights", 8)}


@click.command(short_help="Tell the best block of every model for every task.")
@click.argument(
    "results", type=click.Path(path_type=Path), default=Path("results"), required=False, shell_complete=complete_files
)
@click.option("-a", "--analysis", "analyses", multiple=True, metavar="NAME", help="Only of this analysis.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only this metric.")
@click.option(
    "--published",
    "like_published",
    is_flag=True,
    help="As in the published tables: untrained models by the mean of their first ten blocks.",
)
@click.option(
    "--against",
    metavar="RECIPE|PATH",
    help="Lay other results beside them: those of a recipe, such as corpus, or below a folder.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Models against tasks, each at its best block: for a page, a paper (booktabs), or a spreadsheet. Bold is what "
    "no other model's interval reaches.",
)
@click.option(
    "--rows", type=click.Choice(["model", "task"]), default="model", show_default=True, help="What has a row in it."
)
@click.option("--intervals", is_flag=True, help="Intervals behind the values.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def table(
    ctx: click.Context,
    results: Path,
    analyses: tuple[str, ...],
    metrics: tuple[str, ...],
    like_published: bool,
    against: str | None,
    form: Format | None,
    rows: str,
    intervals: bool,
    as_json: bool,
) -> None:
    """Tell, from the records below RESULTS, which block of a model is best for a task.

    Blocks are called by their number, from 0, however many there are results of. Intervals, and the blocks that cannot
    be told from the best one, are shown where an analysis has found them (from a paired bootstrap).

    Values of one table are to be compared. Where their number of images or queries, the images, the options or the
    weights of a model are not the same, the table says so, and has a column for it.
    """
    from ...errors import UsageError
    from ...results.best import as_published, best_blocks, select
    from ...results.folder import read_records

    records = list(read_records(results))
    if against:
        records += _beside(records, _others(against, plugins_of(ctx)), against)
    every = best_blocks(as_published(records, _untrained(plugins_of(ctx))) if like_published else records)
    found = select(every, metrics, analyses)
    if not every:
        raise UsageError(
            f"{results}: no values by block that say which direction is better, as those of knn or keypoints do"
        )
    if not found:
        asked = " or ".join([*metrics, *analyses])
        of_analyses = select(every, (), analyses)  # if there are some, it is the metric that is not there
        there = dict.fromkeys(best.task.metric for best in of_analyses) or dict.fromkeys(
            best.task.analysis for best in every
        )
        raise UsageError(f"{results}: no best block of {asked}; there are {', '.join(there)}")
    if form is not None:
        from ...results.matrix import matrix, written

        better = {record.metric: record.better for record in records if record.better}
        click.echo(written(matrix(found, better), form, rows=rows, intervals=intervals), nl=False)
        return
    if as_json:
        click.echo(json.dumps([_as_dict(best) for best in found], indent=2))
        return
    for line in best_table(found):
        click.echo(line)


def _others(against: str, plugins: Plugins) -> tuple[Record, ...]:
    """The records of a recipe, or below a folder."""
    from ...errors import UsageError
    from ...results.folder import read_records, read_table

    if plugins.recipes.providers(against.rpartition(":")[2]):
        recipe = plugins.recipes.get(against)
        if recipe.records is None:
            raise UsageError(f"--against {against}: this recipe comes without results; 'vitan show {against}' runs it")
        return read_table(recipe.records)
    if not Path(against).is_dir():
        known = ", ".join(spec.name for _, spec in plugins.recipes if spec.records)
        raise UsageError(f"--against {against}: neither a folder of results nor a recipe with some ({known or 'none'})")
    return read_records(Path(against))


def _beside(records: Sequence[Record], others: Sequence[Record], against: str) -> list[Record]:
    """Of the others those that can stand beside the records: of the same analysis and dataset."""
    from ...errors import UsageError

    here = {(record.analysis, record.dataset) for record in records}
    found = [record for record in others if (record.analysis, record.dataset) in here]
    if not found:
        there = sorted({f"{record.analysis} on {record.dataset}" for record in others})
        raise UsageError(
            f"--against {against}: it has nothing of the same analysis and dataset; it has {', '.join(there)}"
        )
    return found


def _untrained(plugins: Plugins) -> set[str]:
    return {spec.name for _, spec in plugins.models if spec.untrained}


def best_table(found: Sequence[Best]) -> Iterator[str]:
    """A table for each analysis, dataset, view and protocol: a row for each metric, k and model."""
    from ...results.best import differing

    ordered = sorted(found, key=lambda best: best.task[:4])  # stable: metrics stay in their order
    for i, ((analysis, dataset, view, protocol), group) in enumerate(groupby(ordered, key=lambda best: best.task[:4])):
        yield "\n" * bool(i) + f"{analysis} · {dataset} · {view} view · protocol {protocol} · blocks count from 0"
        by_task: dict[Task, list[Best]] = {}
        for best in group:
            by_task.setdefault(best.task, []).append(best)
        bests = [best for members in by_task.values() for best in members]
        unlike = differing(bests)
        words = [_DIFFERING[name][0] for name in unlike]
        if unlike:
            yield f"  not alike in {' and '.join(words)}: compare only rows that agree there"
        rows = [(*_row(best), *(_differs(best, name) for name in unlike)) for best in bests]
        yield from columns([(*_HEADINGS, *words), *rows], right=_RIGHT, indent="  ")


def _row(best: Best) -> tuple[str, ...]:
    task = best.task
    interval = "" if best.low is None or best.high is None else f"{number(best.low)} to {number(best.high)}"
    value = f"{best.value:.3f}{' %' if best.unit == '%' else ''}"
    named = f"{task.metric} ({best.unit})" if best.unit not in ("", "%") else task.metric
    at = "" if task.at is None else f"{task.parameter} = {task.at:g}"
    level = f"block{'s' * (len(best.equals) > 1)} {' '.join(map(str, best.equals))}" if best.equals else ""
    return named, task.token, at, best.model, str(best.block), str(best.blocks), value, interval, level


def _differs(best: Best, name: str) -> str:
    value = getattr(best, name)
    return str(value)[: _DIFFERING[name][1]] if value not in (None, "") else "default" if name == "options" else "?"


def _as_dict(best: Best) -> dict[str, Any]:
    known = asdict(best)
    return {**best.task._asdict(), **{name: value for name, value in known.items() if name != "task"}}
