"""The corpus: the records of the models that come with vitan, and the tables in pages that are made of them.

``make corpus`` runs it anew and writes ``plugins/recipes/vitan_recipes/corpus.csv``, which ``vitan table --against
corpus`` reads too. Every table between ``<!-- corpus: NAME -->`` and ``<!-- end -->`` in README and docs is made of it
by ``make docs/corpus``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import vitan
from vitan.analysis.records import Record
from vitan.analysis.tables import to_csv
from vitan.results.best import best_blocks
from vitan.results.folder import read_table
from vitan_recipes import vitan_recipes

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
(RECIPE,) = (recipe for recipe in vitan_recipes() if recipe.records)
RECORDS: Path = RECIPE.records or Path()
PLAN = vitan.Plan.read(RECIPE.plan)

TINY = tuple(part.name for part in PLAN.models)
REAL = ("saliency-S14", "random-S16")
#: Worlds that are drawn for the tasks besides that of the plan. None of them was trained on.
SEEDS = range(1, 6)
_PLACE = re.compile(r"(<!-- corpus: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


class Task(NamedTuple):
    """A number that says how good a block is for something; ``at`` is the swept parameter, where there is one."""

    called: str
    analysis: str
    metric: str
    token: str = ""
    at: float | None = None

    def has(self, record: Record) -> bool:
        """Whether a record is of this task."""
        asked = (self.analysis, self.metric, self.token or record.token, record.at if self.at is None else self.at)
        return asked == (record.analysis, record.metric, record.token, record.at)


TASKS = (
    Task("k-NN of CLS, top-1, k = 5", "knn", "knn-top1", "cls", 5),
    Task("retrieval of instances, mAP, medium", "retrieval", "map-medium", "cls"),
    Task("clustering of pictures, NMI, mean patch", "clustering", "nmi", "mean-patch"),
    Task("clustering of objects, NMI", "segments", "nmi"),
    Task("key points, PCK at 0.1", "keypoints", "pck", at=0.1),
    Task("saliency, IoU, best fixed head of CLS", "saliency", "iou-best-fixed-head", "cls"),
    Task("objects through videos, J & F", "video-segmentation", "j-and-f-mean"),
)
_FILMS = ("video-segmentation", "shapes-video")


def run() -> None:
    """Run everything, and keep what is of a whole block: no heads, classes or single images."""
    analyses = {part.name: part.options for part in PLAN.analyses}
    tasks = {task.analysis: analyses[task.analysis] for task in TASKS if task.analysis in analyses}
    kept = [*_records(analyses, TINY, PLAN.dataset.name), *_records(*_FILMS[:1], TINY, _FILMS[1])]
    for models, seeds in ((TINY, SEEDS), (REAL, (0,))):
        for seed in seeds:
            found = [*_records(tasks, models, PLAN.dataset.name, seed), *_records(*_FILMS[:1], models, _FILMS[1], seed)]
            kept += [record for record in found if any(task.has(record) for task in TASKS)]
    RECORDS.write_text(to_csv(kept), encoding="utf-8")


def _records(
    analyses: str | Mapping[str, Mapping[str, object]], models: Sequence[str], dataset: str, seed: int = 0
) -> list[Record]:
    size = PLAN.batch_size
    found = vitan.run(analyses, models, dataset, dataset_options={"seed": seed}, batch_size=size, device=PLAN.device)
    if found.failed:
        raise SystemExit("\n".join(f"{name}: {error}" for name, error in found.failed.items()))
    return [_rounded(record) for record in found.records if _is_of_a_block(record)]


def _is_of_a_block(record: Record) -> bool:
    return record.block is not None and record.head is None and not (record.of or record.other or record.gap)


def _rounded(record: Record) -> Record:
    """With as many digits as there are to defend."""
    known = {name: getattr(record, name) for name in ("value", "low", "high", "error")}
    return replace(record, **{name: float(f"{value:.5g}") for name, value in known.items() if value is not None})


def _tasks_of(records: Sequence[Record], models: Sequence[str]) -> str:
    """A row for each task: every model's best block, its mean over the worlds with what two standard errors span."""
    rows = [["task", *models], ["---"] * (len(models) + 1)]
    for task in TASKS:
        found = {model: _bests(records, task, model) for model in models}
        means = {model: fmean(values) for model, values in found.items() if values}
        top = max(means, key=lambda model: means[model])
        unit = next(record.unit for record in records if task.has(record))
        cells = [_cell(found[model], unit, bold=model == top) if model in means else "" for model in models]
        rows.append([task.called, *cells])
    return _markdown(rows)


def _bests(records: Sequence[Record], task: Task, model: str) -> list[float]:
    """The value of the best block, in each world."""
    return [best.value for best in best_blocks(r for r in records if r.model == model and task.has(r))]


def _cell(values: Sequence[float], unit: str, *, bold: bool) -> str:
    mean, span = fmean(values), ""
    digits = 1 if unit == "%" else 2
    if len(values) > 1:
        deviation = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
        span = f" ± {2 * deviation / len(values) ** 0.5:.{digits}f}"
    shown = f"{mean:.{digits}f}{' %' if unit == '%' else ''}"
    return f"**{shown}**{span}" if bold else f"{shown}{span}"


def _distances_of(records: Sequence[Record]) -> str:
    """How far the attention of each block reaches, in grid widths, a row for each model."""
    chosen = [r for r in records if r.metric == "attention-distance" and r.model in TINY]
    blocks = sorted({record.block for record in chosen if record.block is not None})
    values = {(record.model, record.block): record.value for record in chosen}
    rows = [["model", *(f"block {block}" for block in blocks)], ["---"] * (len(blocks) + 1)]
    return _markdown([*rows, *([model, *(f"{values[model, b]:.2f}" for b in blocks)] for model in TINY)])


def _markdown(rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


TABLES: Mapping[str, Callable[[Sequence[Record]], str]] = {
    "tiny-tasks": lambda records: _tasks_of(records, TINY),
    "real-tasks": lambda records: _tasks_of(records, REAL),
    "tiny-distances": _distances_of,
}


def filled(text: str, records: Sequence[Record]) -> str:
    """A page with its tables made of the records."""
    return _PLACE.sub(lambda place: f"{place[1]}{TABLES[place[2]](records)}{place[3]}", text)


def pages(records: Sequence[Record]) -> Iterator[tuple[Path, str, str]]:
    """Every page that has such a table: where it is, what it is, and what it should be."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        if _PLACE.search(text):
            yield path, text, filled(text, records)


if __name__ == "__main__":
    if "--run" in sys.argv:
        run()
    for path, _, text in pages(read_table(RECORDS)):
        path.write_text(text, encoding="utf-8")
