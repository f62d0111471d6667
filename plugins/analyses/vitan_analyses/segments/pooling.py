"""One vector for each object: its patches' features, weighted by how much of each patch it covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from vitan.data import Window


def window_weights(weights: Sequence[Tensor], windows: Sequence[Window]) -> list[Tensor]:
    """Each picture's weights (object, row, column), cut to each window: (object, patch of the window).

    A patch that belongs to another window, where windows overlap, weighs nothing.
    """
    cut = []
    for window in windows:
        rows, columns = window.own.shape
        part = weights[window.image][:, window.top : window.top + rows, window.left : window.left + columns]
        cut.append((part * window.own).flatten(1))
    return cut


def pool(features: Tensor, weights: Sequence[Tensor], windows: Sequence[Window], pictures: int) -> list[Tensor]:
    """The sum over patches of weight times feature: features (window, patch, channel) to (object, channel) each.

    ``weights`` are those of ``window_weights``, on the features' device. One product per window, in float32, and never
    a tensor of every object's every patch.
    """
    pooled: list[Tensor | None] = [None] * pictures
    for window, weight, seen in zip(windows, weights, features, strict=True):
        found = weight @ seen.float()
        before = pooled[window.image]
        pooled[window.image] = found if before is None else before.add_(found)
    return [rows for rows in pooled if rows is not None]
