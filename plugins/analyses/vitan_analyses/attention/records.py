"""The records of the ``attention`` analysis, from its arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vitan.analysis.records import Record

from .arrays import Array
from .geometry import uniform_distance, width
from .head_types import TYPES, label
from .state import AttentionState

_HEADLINE = ("attention-distance", "attention-distance-without-null", "entropy", "patch-to-cls", "head-deviation")
#: Metrics with one value per image and head, by the name of their array, and the token whose attention they are about.
_PER_HEAD = {
    "position-deviation": ("position-deviation", "patch-tokens"),
    "patch-to-cls": ("patch-to-cls", "patch-tokens"),
    "entropy": ("entropy", "patch-tokens"),
    "entropy-cls": ("entropy", "cls"),
    "value-weighted-cls": ("value-weighted-cls", "all-tokens"),
}
_NULL = "no query looks at a patch"
#: What the rows of records call the kinds of tokens that attention falls on.
_KINDS = {"patches": "patch"}


def tell(probe: AttentionState, arrays: Mapping[str, Array]) -> Iterator[Record]:
    """Averages over the images for each block and head, and over the heads for each block (``head`` is None)."""
    for record in _all(probe, arrays):
        block = None if record.block is None else probe.model.blocks[record.block]
        yield replace(record, block=block)


def headline(records: Sequence[Record]) -> tuple[str, ...]:
    """The metrics for a short table, of those that there are."""
    told = {record.metric for record in records}
    return tuple(metric for metric in _HEADLINE if metric in told)


def _all(probe: AttentionState, arrays: Mapping[str, Array]) -> Iterator[Record]:
    """Records whose blocks are counted along the arrays' axis."""
    yield from _distances(probe, arrays)
    for array, (metric, token) in _PER_HEAD.items():
        if array in arrays:
            yield from _heads(metric, _image_mean(arrays[array]), token=token)
    yield from _blocks(
        "head-deviation", _image_mean(arrays["head-deviation"]), why="one head does not differ from itself"
    )
    for i, component in enumerate(("x", "y", "length")):
        yield from _heads(f"attention-offset-{component}", arrays["attention-offset"][..., i])
    yield from _roles(probe, arrays["attention-on-token-all"])
    yield from _null(probe, arrays["null-rows"])
    yield from _rollout(probe, arrays)
    yield from _types(arrays["head-type-scores"], arrays["head-type-peaks"])
    if "class-deviation" in arrays:
        yield from _heads("class-deviation", arrays["class-deviation"])
    if "attention-patterns" in arrays:
        from .patterns import cluster

        for metric, value, k in cluster(arrays["attention-patterns"], arrays["pattern-label"]):
            yield Record(metric=metric, value=value, parameter="clusters", at=k)


def _distances(probe: AttentionState, arrays: Mapping[str, Array]) -> Iterator[Record]:
    """In grid widths, against uniform attention on the same grid, and in pixels of the model's input."""
    name = "attention-distance-without-null" if probe.options.exclude_null else "attention-distance"
    grid, values = probe.model.layout.grid, _image_mean(arrays[name])
    yield from _heads(name, values)
    yield from _heads(f"{name}-relative", values / uniform_distance(grid))
    yield from _heads(f"{name}-pixels", values * width(grid) * probe.model.patch)


def _roles(probe: AttentionState, on_token: Array) -> Iterator[Record]:
    """How the attention of all queries is shared out among the kinds of tokens."""
    layout = probe.model.layout
    roles = np.array([*layout.prefix, *["patches"] * layout.n_patches])
    for role in dict.fromkeys(roles.tolist()):
        on_role = on_token[..., roles == role].sum(-1)
        yield from _heads("mass-on-token", on_role, of="token", name=_KINDS.get(role, role))


def _null(probe: AttentionState, rows: Array) -> Iterator[Record]:
    """Queries that look at no patch: how many over all images, and how many images have one."""
    for (block, head), count in np.ndenumerate(rows.sum(-1)):
        yield Record(metric="null-rows", value=float(count), block=block, head=head)
    yield Record(metric="null-rows", value=float(rows.sum()))
    counts = np.stack([probe.null_count.rows(block).numpy() for block in probe.model.blocks])  # (block, image, head)
    yield Record(metric="null-images", value=float(counts.any((0, 2)).sum()))


def _rollout(probe: AttentionState, arrays: Mapping[str, Array]) -> Iterator[Record]:
    """What the patches hold of the rolled-out row; a record without a value says why there is none."""
    if "rollout" in arrays:
        on_patches = arrays["rollout"][:, probe.model.layout.patches].sum(-1)
        yield from _blocks("rollout-on-patches", on_patches)
    else:
        gap = "not computed: rollout needs every block from 0 on"
        yield Record(metric="rollout-on-patches", value=float("nan"), gap=gap)


def _types(scores: Array, peaks: Array) -> Iterator[Record]:
    for i, name in enumerate(TYPES):
        yield from _heads("head-type-score", scores[..., i], of="type", name=name)
    for (block, head), name in np.ndenumerate(label(scores)):
        share = scores[block, head, TYPES.index(name)] if name in TYPES else 1 - scores[block, head].sum()
        yield Record(metric="head-type", value=float(share), block=block, head=head, label=str(name))
        for metric, value in zip(("head-type-peak-x", "head-type-peak-y"), peaks[block, head], strict=True):
            yield Record(metric=metric, value=float(value), block=block, head=head)


def _heads(metric: str, values: Array, **more: Any) -> Iterator[Record]:
    """One record for each entry of (block, head), then the mean over the heads of each block."""
    for (block, head), value in np.ndenumerate(values):
        gap = _NULL if np.isnan(value) else ""
        yield Record(metric=metric, value=float(value), block=block, head=head, gap=gap, **more)
    yield from _blocks(metric, _mean(values, 1), **more)


def _blocks(metric: str, values: Array, why: str = _NULL, **more: Any) -> Iterator[Record]:
    """One record for each block; ``why`` is the reason for one without a value."""
    for block, value in enumerate(values):
        yield Record(metric=metric, value=float(value), block=block, gap=why if np.isnan(value) else "", **more)


def _image_mean(values: Array) -> Array:
    return _mean(values, 0)


def _mean(values: Array, axis: int) -> Array:
    """Mean in float64 without what is not a number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing but nan: the mean is nan, as it should be
        mean: Array = np.nanmean(values.astype(np.float64), axis=axis)
    return mean
