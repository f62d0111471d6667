"""Pictures of the ``cka`` analysis."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from vitan.analysis.figures import Drawable, Drawing, Plot
from vitan.analysis.records import Result

from ..plotting import pages as plots
from ..plotting import similarity as similarity_maps
from ..plotting.pixels import Array
from .probe import CkaProbe
from .sides import NORMS, READINGS, WHOLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PAIRS = 15  # on one page
_LETTERS = 17  # of small print to the inch


def draw(drawables: Sequence[Drawable]) -> Iterable[Drawing]:
    """One model: every block against every other, and every LayerNorm's output."""
    drawable = drawables[0]
    names = [name for name in READINGS if name in drawable.result.arrays]
    blocks = [name for name in names if READINGS[name].layers != NORMS]
    norms = [name for name in names if READINGS[name].layers == NORMS]
    for suffix, what, chosen in (("", "blocks", blocks), ("-norms", "LayerNorm outputs", norms)):
        title = f"Which {what} of {plots.model_label(drawable.model)} are alike?"
        figure, panels = _grid(len(chosen), title, _note(drawable, chosen))
        for axes, name in zip(panels, chosen, strict=True):
            labels = _labels(drawable, name)
            values, axis = drawable.result.arrays[name], _layer(name)
            similarity_maps.block_map(axes, values, labels, labels, title=_title(name), x=axis, y=axis)
        yield Plot(name=f"cka{suffix}", figure=figure)


def draw_comparison(drawables: Sequence[Drawable], result: Result) -> Iterator[Drawing]:
    """Several models: the last blocks of all, and, for a few, every layer of one against every layer of another."""
    last = [name for name in READINGS if _is_last(name, drawables[0], result)]
    if len(drawables) <= similarity_maps.FEW:
        yield Plot(name="compare-cka-last", figure=_last(drawables, result, last))
    else:
        for name in last:
            yield Plot(name=f"compare-cka-last-{READINGS[name].word}", figure=_last(drawables, result, [name]))
    for name in READINGS:
        pairs = list(combinations(drawables, 2))
        found = [(a, b, result.between.get((a.model.name, b.model.name), {}).get(name)) for a, b in pairs]
        shown = [(a, b, values) for a, b, values in found if values is not None]
        for page in range(0, len(shown), _PAIRS):
            number = f"-{page // _PAIRS + 1}" if len(shown) > _PAIRS else ""
            yield Plot(name=f"compare-cka-{name}{number}", figure=_pairs(name, shown[page : page + _PAIRS]))


def _is_last(name: str, drawable: Drawable, result: Result) -> bool:
    """Whether this is what the map of last blocks was made of; CLS is in both protocols, read in two ways."""
    reading = READINGS[name]
    paper = getattr(drawable.options, "protocol", "") == "paper"
    readable = reading.layers != NORMS and not (reading.layers == WHOLE if paper else name == "cls-blocks")
    return readable and f"last-{reading.word}" in result.arrays


def _last(drawables: Sequence[Drawable], result: Result, readings: Sequence[str]) -> Figure:
    """Model by model; a pair that could not be compared is grey, and the small print says why."""
    names = [plots.model_label(drawable.model) for drawable in drawables]
    errors = [result.arrays.get(f"se-last-{READINGS[name].word}") for name in readings]
    lines = [_note(drawables[0], readings), *_gaps(result, readings)]
    if len(names) <= similarity_maps.FEW and any(error is not None for error in errors):
        lines.append("±: one standard error, over batches")
    columns = min(len(readings), 4 if len(names) <= 4 else 2)
    rows, side = -(-len(readings) // columns), (plots.PAGE - 0.6) / columns
    text = "\n".join(textwrap.fill(line, int(_LETTERS * plots.PAGE)) for line in lines)
    figure = plots.page(0.5 + 0.13 * text.count("\n") + side * rows)
    plots.head(figure, "How alike are the last blocks?", text)
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes, name, error in zip(panels, readings, errors, strict=False):
        values = result.arrays[f"last-{READINGS[name].word}"]
        similarity_maps.model_map(axes, values, names, title=_title(name), errors=error)
    for i, axes in enumerate(panels):
        axes.set_visible(i < len(readings))
        axes.tick_params(labelleft=i % columns == 0)
    similarity_maps.similarity_bar(figure, panels[: len(readings)])
    return figure


def _gaps(result: Result, readings: Sequence[str]) -> list[str]:
    """What is grey, and why."""
    tokens = {READINGS[name].token for name in readings}
    return sorted({f"grey: {record.gap}" for record in result.records if record.token in tokens and record.gap})


def _pairs(name: str, pairs: Sequence[tuple[Drawable, Drawable, Array]]) -> Figure:
    title = f"{_layer(name).capitalize()} by {_layer(name)}, {_title(name)}"
    figure, panels = _grid(len(pairs), title, _note(pairs[0][0], [name]))
    for axes, (first, second, values) in zip(panels, pairs, strict=True):
        x, y = (f"{_layer(name)} of {plots.model_label(side.model)}" for side in (second, first))
        similarity_maps.block_map(axes, values, _labels(first, name), _labels(second, name), title="", x=x, y=y)
    return figure


def _grid(count: int, title: str, note: str) -> tuple[Figure, list[Axes]]:
    """A page with so many square panels, three or four to a row, and one bar."""
    columns = 4 if count == 4 else min(3, count)
    rows, width = -(-count // columns), plots.PAGE * min(max(columns, 1.5), 3) / 3
    text = textwrap.fill(note, int(_LETTERS * width))
    figure = plots.page(0.5 + 0.13 * text.count("\n") + (1.75 if columns == 4 else 2.2) * rows, width)
    plots.head(figure, title, text)
    places = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in places[count:]:
        axes.set_visible(False)
    similarity_maps.similarity_bar(figure, places[:count])
    return figure, places[:count]


def _layer(name: str) -> str:
    return "norm" if READINGS[name].layers == NORMS else "block"


def _labels(drawable: Drawable, name: str) -> list[str]:
    """Numbers of the layers; the two norms of block 3 are 3.1 and 3.2."""
    blocks = drawable.model.blocks
    if READINGS[name].layers == NORMS:
        return [f"{block}.{norm}" for block in blocks for norm in (1, 2)]
    return [str(block) for block in blocks]


def _title(name: str) -> str:
    return READINGS[name].title


def _note(drawable: Drawable, names: Sequence[str]) -> str:
    """How many pictures, and how CKA was estimated for each of the panels."""
    whole = [_title(name) for name in names if READINGS[name].layers == WHOLE]
    batches = [_title(name) for name in names if READINGS[name].layers != WHOLE]
    parts = [f"{len(drawable.result.arrays['image'])} pictures of {drawable.dataset_name}, {drawable.view.name} view"]
    for titles, how in ((whole, "debiased linear CKA over all pictures"), (batches, CkaProbe.how(drawable.options))):
        if titles:
            parts.append(f"{' and '.join(titles)}: {how}" if whole and batches else how)
    return "; ".join(parts)
