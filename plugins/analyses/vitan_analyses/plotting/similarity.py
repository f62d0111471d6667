"""Maps of how alike layers or models are, from 0 to 1, on one scale of colours with a bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from . import pages as plots
from .pixels import NUMBERS, Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Of so many models the standard errors are written out too.
FEW = 8

_LIGHT = 0.6  # numbers are written in black on colours from here on
_BLANK = "#e6e6e6"


def block_map(
    axes: Axes, values: Array, rows: Sequence[object], columns: Sequence[object], *, title: str, x: str, y: str
) -> None:
    """Similarities (row, column), the first layer at the bottom left; what is not known is grey.

    ``rows`` and ``columns`` are the numbers or names of the layers.
    """
    _cells(axes, values, upwards=True)
    axes.set_title(title, fontsize=plots.TITLE, loc="left")
    axes.set_xlabel(x, fontsize=plots.LABEL)
    axes.set_ylabel(y, fontsize=plots.LABEL)
    for labels, axis in ((columns, axes.xaxis), (rows, axes.yaxis)):
        places = range(0, len(labels), plots.every(len(labels), 7))
        axis.set_ticks(list(places), labels=[str(labels[i]) for i in places])
    axes.tick_params(labelsize=plots.TICK, length=0)


def model_map(
    axes: Axes, values: Array, names: Sequence[str], *, title: str, written: bool = True, errors: Array | None = None
) -> None:
    """Similarities (model, model), the first model at the top left; what is not known is grey.

    ``written`` puts the numbers into the cells, and below them, where the models are few, their standard ``errors``.
    """
    _cells(axes, values, upwards=False)
    axes.set_title(title, fontsize=plots.TITLE, loc="left")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(labelsize=plots.TICK, length=0)
    few = len(names) <= FEW
    for (row, column), value in np.ndenumerate(values):
        if not (written and np.isfinite(value)):
            continue
        error = errors[row, column] if few and errors is not None and row != column else np.nan
        text = f"{value:.2f}" + (f"\n±{error:.2f}" if np.isfinite(error) else "")
        size = plots.TICK if few else max(3.0, 60 / len(names))
        ink = "white" if value < _LIGHT else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=ink, linespacing=0.9)


def similarity_bar(figure: Figure, panels: Iterable[Axes], label: str = "CKA") -> None:
    """A colour bar from 0 to 1 beside ``panels``."""
    mappable = ScalarMappable(Normalize(0, 1), NUMBERS)
    made = figure.colorbar(mappable, ax=list(panels), fraction=0.04, pad=0.02, aspect=30)
    made.set_label(label, fontsize=plots.LABEL)
    made.ax.tick_params(labelsize=plots.TICK, length=2, width=0.5)
    made.outline.set_visible(False)


def _cells(axes: Axes, values: Array, *, upwards: bool) -> None:
    axes.set_facecolor(_BLANK)
    axes.imshow(values, cmap=NUMBERS, vmin=0, vmax=1, origin="lower" if upwards else "upper", interpolation="none")
    axes.spines[:].set_visible(False)
