"""What the pictures take from a result: numbers per head or block, their units, and words for them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from vitan.analysis.figures import Drawable

from ...plotting import pages as plots
from ...plotting.pixels import Array
from ..head_types import OTHER, TYPES

#: Numbers per head, and what they are called in figures; ``offset-length`` is a component of ``attention-offset``.
HEAD_METRICS = {
    "attention-distance": "attention distance",
    "entropy": "entropy",
    "patch-to-cls": "attention to CLS",
    "position-deviation": "deviation over positions",
    "offset-length": "mean offset",
    "entropy-cls": "entropy of CLS",
    "value-weighted-cls": "value-weighted CLS share",
}
#: Numbers per block.
BLOCK_METRICS = {"head-deviation": "deviation over heads"}
TITLES = {**HEAD_METRICS, **BLOCK_METRICS}
_UNITS = {"attention-distance": "grid widths", "offset-length": "grid widths", "entropy": "nats", "entropy-cls": "nats"}


def head_values(drawable: Drawable, name: str) -> Array | None:
    """One number per (block, head), averaged over the images; None where the result has no such array."""
    if name == "offset-length":
        offsets = drawable.result.arrays.get("attention-offset")
        return None if offsets is None else np.asarray(offsets[..., 2], dtype=np.float64)
    return _image_mean(drawable, name)


def block_values(drawable: Drawable, name: str) -> Array | None:
    """One number per block, averaged over images and heads; None where the result has no such array."""
    if name in BLOCK_METRICS:
        return _image_mean(drawable, name)
    values = head_values(drawable, name)
    return None if values is None else values.mean(axis=1)


def unit(drawable: Drawable, name: str) -> str:
    """The unit that the records give, or the usual one."""
    named = (record.unit for record in drawable.result.records if record.metric == name and record.unit)
    return next(named, _UNITS.get(name, ""))


def head_types(drawable: Drawable) -> dict[tuple[int, int], str]:
    """The label of each (block, head) that has one."""
    found = (record for record in drawable.result.records if record.metric == "head-type")
    return {(r.block, r.head): r.label for r in found if r.block is not None and r.head is not None}


def type_colours(labels: Collection[str]) -> dict[str, str]:
    """A colour for each type among the labels, the same in every picture; types that are not known come last."""
    known = [*TYPES, OTHER, *sorted({*labels} - {*TYPES, OTHER})]
    return {
        label: plots.CATEGORIES[number % len(plots.CATEGORIES)] for number, label in enumerate(known) if label in labels
    }


def image_count(drawable: Drawable) -> int:
    """How many pictures the result is of."""
    arrays, axes = drawable.result.arrays, drawable.result.axes
    counts = (len(array) for name, array in arrays.items() if axes.get(name, ())[:1] == ("image",))
    return next(counts, len(drawable.dataset))


def patch_maps(drawable: Drawable, name: str) -> tuple[Array, Array] | None:
    """Maps (..., row, column) of an array (..., token), and what CLS has (...); None if there is no such array."""
    values = drawable.result.arrays.get(name)
    if values is None:
        return None
    layout = drawable.model.layout
    maps = values[..., layout.patches].reshape(*values.shape[:-1], *layout.grid)
    cls = np.full(values.shape[:-1], np.nan) if layout.cls is None else values[..., layout.cls]
    return maps, cls


def _image_mean(drawable: Drawable, name: str) -> Array | None:
    values = drawable.result.arrays.get(name)
    if values is None:
        return None
    axes = drawable.result.axes.get(name, ())
    values = np.asarray(values, dtype=np.float64)
    mean: Array = values.mean(axis=axes.index("image")) if "image" in axes else values
    return mean if np.isfinite(mean).any() else None
