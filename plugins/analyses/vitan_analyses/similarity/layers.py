"""What every measure asks of a layer, and how a value that does not exist says why."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"
Order: TypeAlias = "npt.NDArray[np.intp]"

#: No measure says anything about fewer samples.
FEWEST = 4


class Undefined(ValueError):  # noqa: N818  # not a failure: the answer is that there is none
    """A measure has no value for these features; the message says why, in the words of a record."""


class Prepared(Protocol):
    """What a measure makes of one layer, once, so that comparing it with many others is cheap."""

    def permuted(self, order: Order) -> Self:
        """The same for the layer whose sample i is sample ``order[i]`` of this one."""
        ...


def checked(layer: Floats) -> Floats:
    """A layer (sample, channel) in float64.

    Raises ``Undefined`` unless it has four samples, is finite, and is not the same for every sample.
    """
    if len(layer) < FEWEST:
        raise Undefined(f"fewer than {FEWEST} images")
    wide = layer.astype(np.float64)
    if not np.isfinite(wide).all():
        raise Undefined("a block is not finite")
    if float(np.ptp(wide, axis=0).max()) <= 1e-12 * max(float(np.abs(wide).max()), 1e-300):
        raise Undefined("a block is the same for every image")
    return wide


def centred(layer: Floats) -> Floats:
    """A checked layer around its mean over the samples; raises ``Undefined`` as ``checked`` does."""
    wide = checked(layer)
    around: Floats = wide - wide.mean(0)
    return around
