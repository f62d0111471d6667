"""Pictures and files of the ``video-segmentation`` analysis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vitan.figures import Drawable, Drawing, File, Plot

from ..curves import Panel, line_page
from . import strips
from .evaluation import METRICS
from .reading import Predictions

_NAMES = ("J & F mean", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay")


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """Curves over depth, for one model or several; for one also the official tables, the masks, and some videos."""
    yield _curves(drawables)
    if len(drawables) == 1:
        found = Predictions(drawables[0])
        yield from _files(found)
        yield from strips.draw(found)


def _curves(drawables: Sequence[Drawable]) -> Plot:
    values = [
        {(r.metric, r.block): r.value for r in drawable.result.records if not r.group} for drawable in drawables
    ]
    panels = [
        Panel(name, "", [[v[metric, b] for b in d.model.blocks] for v, d in zip(values, drawables, strict=True)])
        for metric, name in zip(METRICS, _NAMES, strict=True)
    ]
    first = drawables[0]
    objects = len({record.group for record in first.result.records if record.group})
    note = f"{objects} objects in videos of {first.dataset_name}, {first.view.name} view; higher is better, but decay"
    name = "video-segmentation" if len(drawables) == 1 else "compare-video-segmentation"
    return Plot(name=name, figure=line_page(drawables, panels, title="Do features follow objects?", subtitle=note))


def _files(found: Predictions) -> Iterator[File]:
    """The official tables of every block, and beside them its masks where they were asked for."""
    for block, evaluation in found.evaluations.items():
        folder = f"davis_vidseg_blk{block:02}"
        yield File(name=f"{folder}/global_results-val.csv", content=evaluation.global_csv().encode())
        yield File(name=f"{folder}/per-sequence_results-val.csv", content=evaluation.per_sequence_csv().encode())
        if block in found.with_masks:
            for row, name in enumerate(found.names):
                yield File(name=f"{folder}/{name}.png", content=found.png(block, row))
