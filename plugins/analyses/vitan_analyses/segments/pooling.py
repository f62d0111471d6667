"""One vector for each object: its patches' features, weighted by how much of each patch it covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vitan.data.batch import Window


class Share(NamedTuple):
    """What a window shows: the numbers of the objects in it, (object,), and their weights, (object, patch)."""

    objects: Tensor
    weights: Tensor


def window_shares(weights: Sequence[Tensor], windows: Sequence[Window], device: torch.device) -> list[Share]:
    """Each picture's weights (object, row, column), cut to each window, and then taken to ``device``.

    A patch that belongs to another window, where windows overlap, weighs nothing; an object that a window does not show
    has no share in it.
    """
    shares = []
    for window in windows:
        rows, columns = window.own.shape
        part = weights[window.image][:, window.top : window.top + rows, window.left : window.left + columns]
        cut = (part * window.own).flatten(1)
        shown = cut.any(1).nonzero()[:, 0]
        shares.append(Share(*(x.to(device, non_blocking=True) for x in (shown, cut[shown]))))
    return shares


def pool(features: Tensor, shares: Sequence[Share], windows: Sequence[Window], objects: Sequence[int]) -> list[Tensor]:
    """The sum over patches of weight times feature: features (window, patch, channel) to (object, channel) each.

    ``shares`` are those of ``window_shares``, on the features' device, and ``objects`` how many each picture has. One
    product per window, in float32, and never a tensor of every object's every patch.
    """
    pooled = [features.new_zeros(count, features.shape[-1]).float() for count in objects]
    for window, share, seen in zip(windows, shares, features, strict=True):
        if len(share.objects):
            pooled[window.image].index_add_(0, share.objects, share.weights @ seen.float())
    return pooled
