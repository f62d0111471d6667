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
from statistics import fmean, stdev
from typing import NamedTuple

import vitan
from vitan.analysis.records import Record
from vitan.analysis.tables import to_csv
from vitan.results.best import Best, best_blocks
from vitan.results.folder import read_table
from vitan_recipes import vitan_recipes

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
(RECIPE,) = (recipe for recipe in vitan_recipes() if recipe.records)
RECORDS: Path = RECIPE.records or Path()
PLAN = vitan.Plan.read(RECIPE.plan)

TINY = tuple(part.name for part in PLAN.models)
REAL = ("saliency-S14", "clip-int8-B16", "random-S16")
#: Worlds that are drawn for the tasks besides that of the plan. None of them was trained on.
SEEDS = range(1, 4)
_PLACE = re.compile(r"(<!-- corpus: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


#: What makes the best blocks of one model, one in each world, into a value and what is to be known of it.
_Cell = Callable[[Sequence[Best]], tuple[str, str]]


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


def _tasks_of(records: Sequence[Record], models: Sequence[str], cell: _Cell) -> str:
    """A row for each task, with what ``cell`` makes of every model's best blocks in each world; the best in bold."""
    rows = [["task", *models], ["---"] * (len(models) + 1)]
    for task in TASKS:
        found = {model: best_blocks(r for r in records if r.model == model and task.has(r)) for model in models}
        top = max(models, key=lambda model: fmean(best.value for best in found[model]))
        cells = {model: cell(bests) for model, bests in found.items()}
        rows.append([task.called, *(f"**{a}**{b}" if model == top else a + b for model, (a, b) in cells.items())])
    return _markdown(rows)


def _over_worlds(bests: Sequence[Best]) -> tuple[str, str]:
    """The mean over worlds, and two standard errors of it."""
    values = [best.value for best in bests]
    unit, error = bests[0].unit, stdev(values) / len(values) ** 0.5
    return _shown(fmean(values), unit) + " %" * (unit == "%"), f" ± {_shown(2 * error, unit)}"


def _in_one_world(bests: Sequence[Best]) -> tuple[str, str]:
    """The value of one world, its interval where there is one, and at which block."""
    (best,) = bests
    ends = (best.low, best.high)
    span = "" if None in ends else f" ({' to '.join(_shown(end or 0, best.unit) for end in ends)})"
    return _shown(best.value, best.unit) + " %" * (best.unit == "%"), f"{span}, block {best.block}"


def _shown(value: float, unit: str) -> str:
    return f"{value:.{1 if unit == '%' else 2}f}"


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
    "tiny-tasks": lambda records: _tasks_of(records, TINY, _over_worlds),
    "real-tasks": lambda records: _tasks_of(records, REAL, _in_one_world),
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
