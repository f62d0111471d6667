"""The arrays of the ``attention`` analysis, from the stored state."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vitan.analysis.accumulators import PerImage, Sum

from .geometry import Floats, Grid, offsets, width
from .head_types import classify
from .state import AttentionState

Array = npt.NDArray[Any]

_HEAD, _TOKEN = ("image", "block", "head"), ("block", "head", "token")
AXES: dict[str, tuple[str, ...]] = {
    "image": ("image",),
    "attention-distance": _HEAD,
    "attention-distance-without-null": _HEAD,
    "position-deviation": _HEAD,
    "head-deviation": ("image", "block"),
    "patch-to-cls": _HEAD,
    "entropy": _HEAD,
    "entropy-cls": _HEAD,
    "value-weighted-cls": _HEAD,
    "attention-on-token-all": _TOKEN,
    "attention-on-token-patch": _TOKEN,
    "attention-on-token-patch-only": _TOKEN,
    "attention-on-token-cls": _TOKEN,
    "value-weighted-on-token": _TOKEN,
    "aligned-attention": ("block", "head", "row offset", "column offset"),
    "attention-offset": ("block", "head", "component"),
    "null-rows": ("block", "head", "patch"),
    "rollout": ("block", "token"),
    "head-type-scores": ("block", "head", "type"),
    "head-type-peaks": ("block", "head", "component"),
    "attention-on-token-per-class": ("class", *_TOKEN),
    "class": ("class",),
    "class-deviation": ("block", "head"),
    "attention-patterns": ("image", "token"),
    "pattern-label": ("image",),
}


def collect(probe: AttentionState) -> dict[str, Array]:
    """Every array that the state allows.

    ``image`` holds the positions in the dataset and ``class`` the labels. Components are x to the right, y down (in
    grid widths for ``attention-offset``, with the length third; in patches for ``head-type-peaks``). Under the paper's
    protocol ``patch-to-cls`` is the attention to the first patch, and ``aligned-attention`` is divided by the number
    of batches in place of images.
    """
    model, paper = probe.model, probe.options.protocol == "paper"
    aligned, n = _means(probe.aligned, model.blocks), probe.aligned.count(model.blocks[0])
    arrays = {"image": probe.distance.index(model.blocks[0]).numpy()} | _numbers(probe, paper)
    arrays |= _token_maps(probe)
    arrays |= {
        "aligned-attention": aligned * (n / probe.batches.count(0)) if paper else aligned,
        "attention-offset": mean_offset(aligned, model.layout.grid),
        "null-rows": _null_rows(probe),
    }
    types = classify(aligned, arrays["attention-on-token-patch"], arrays["entropy"].mean(0, np.float64), model.layout)
    arrays |= {"head-type-scores": types.scores, "head-type-peaks": types.peaks}
    if probe.rollout.keys():
        arrays["rollout"] = _means(probe.rollout, model.blocks)
    return arrays | _by_class(probe) | _patterns(probe)


def mean_offset(aligned: Array, grid: Grid) -> Floats:
    """Mean displacement of aligned maps in grid widths, 0 for an empty map: (..., component), with x, y and the length.

    It is the length of the mean vector; patterns on opposite sides cancel.
    """
    mass = aligned.sum((-2, -1))
    total = np.where(mass > 0, mass, 1) * width(grid)
    y, x = ((aligned * offset).sum((-2, -1)) / total for offset in offsets(grid))
    return np.stack([x, y, np.hypot(x, y)], -1)


def class_deviation(per_class: Array) -> Array:
    """Standard deviation (dividing by n) over the classes, mean over the tokens: (class, ..., token) to (...)."""
    deviation: Array = per_class.std(0).mean(-1)
    return deviation


def _numbers(probe: AttentionState, paper: bool) -> dict[str, Array]:
    kept = {
        "attention-distance": probe.distance,
        "position-deviation": probe.position_deviation,
        "head-deviation": probe.head_deviation,
        "patch-to-cls": probe.patch_to_first if paper else probe.patch_to_cls,
        "entropy": probe.entropy,
        "entropy-cls": probe.entropy_cls,
        "value-weighted-cls": probe.value_weighted_cls,
    }
    blocks, patches = probe.model.blocks, probe.model.layout.n_patches
    arrays = {name: _rows(accumulator, blocks) for name, accumulator in kept.items() if accumulator.keys()}
    counted = patches - _rows(probe.null_count, blocks)  # (image, block, head): queries that look at a patch
    with np.errstate(invalid="ignore"):
        arrays["attention-distance-without-null"] = arrays["attention-distance"] * patches / counted
    return arrays


def _token_maps(probe: AttentionState) -> dict[str, Array]:
    layout, blocks = probe.model.layout, probe.model.blocks
    patch = _means(probe.patch_mean, blocks)
    prefix = _means(probe.prefix_rows, blocks)  # (block, head, prefix query, token)
    maps = {
        "attention-on-token-all": (patch * layout.n_patches + prefix.sum(-2)) / len(layout),
        "attention-on-token-patch": patch,
        "attention-on-token-patch-only": _means(probe.pure_mean, blocks),
        "value-weighted-on-token": _means(probe.value_weighted, blocks),
    }
    if layout.cls is not None:
        maps["attention-on-token-cls"] = prefix[:, :, layout.cls]
    return maps


def _null_rows(probe: AttentionState) -> Array:
    shape = (probe.model.heads, probe.model.layout.n_patches)
    seen = probe.null_rows.keys()
    rows = [probe.null_rows.total(b).numpy() if b in seen else np.zeros(shape) for b in probe.model.blocks]
    return np.stack(rows).astype(np.int64)


def _by_class(probe: AttentionState) -> dict[str, Array]:
    depth = probe.model.depth
    keys = probe.per_class.keys()
    labels = sorted({key // depth for key in keys})
    if not labels:
        return {}
    per_label = [[label * depth + block for block in probe.model.blocks] for label in labels]
    per_class = np.stack([_means(probe.per_class, keys) for keys in per_label])
    return {
        "class": np.array(labels),
        "attention-on-token-per-class": per_class,
        "class-deviation": class_deviation(per_class),
    }


def _patterns(probe: AttentionState) -> dict[str, Array]:
    blocks = probe.pattern.keys()
    if not blocks:
        return {}
    return {
        "attention-patterns": probe.pattern.rows(blocks[0]).numpy(),
        "pattern-label": probe.label.rows(blocks[0]).numpy(),
    }


def _means(accumulator: Sum, keys: tuple[int, ...] | list[int]) -> Array:
    return np.stack([accumulator.mean(key).numpy() for key in keys])


def _rows(accumulator: PerImage, blocks: tuple[int, ...]) -> Array:
    return np.stack([accumulator.rows(block).numpy() for block in blocks], axis=1)
