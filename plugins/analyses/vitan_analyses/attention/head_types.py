"""Which type a head is, from what it does on average.

The types are those of the paper's figures (strict, soft, axial and offset local heads) and two for what those leave:
heads that look at a few fixed tokens (sink) and heads that look everywhere (uniform). A head's score for a type is
between 0 and 1. The scores share out the head's attention, so their sum is at most 1:

    sink    = attention on the tokens in front of the patches + on the one patch that gets most
    local   = the part of the remaining attention that lies around the *peak*, beyond what uniform attention has there
    uniform = (1 - sink)·(1 - local)·e^entropy / tokens, the share of the tokens that is looked at
    offset  = (1 - sink)·local·displaced
    axial   = (1 - sink)·local·(1 - displaced)·elongated
    strict  = (1 - sink)·local·(1 - displaced)·(1 - elongated)·narrow
    soft    = (1 - sink)·local·(1 - displaced)·(1 - elongated)·(1 - narrow)

The rest, 1 - sum, is attention that depends on the content. A head is called after the largest of sink, uniform, the
rest (``other``) and the sum of the four local types, and in that case after the largest of the four.

How the four shares are measured, on maps over offsets:

*Peak*: the offset with the most attention per query that has such an offset (the aligned map divided by that of uniform
attention; offsets which fewer than a quarter of the queries have are too noisy to be looked at).
*Local* is the largest of three excess masses: of a window of ±r patches around the peak, of a band of ±1 row, and of a
band of ±1 column through it. r is 3, or less on small grids. An excess mass is (mass - uniform)/(1 - uniform).
*Displaced* is 1 - max(at 0, at -peak)/(at the peak): 0 for a head that looks at itself, or left and right alike.
*Elongated* is (a - b)/(a + b + 1/4) with a >= b the variances, in patches², of what stands out around the peak.
*Narrow* is the excess mass, within the window, of what is at most ±1 patch from the peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vitan.anatomy import TokenLayout

from .geometry import Floats, Grid, offsets, uniform_aligned

LOCAL = ("strict", "soft", "axial", "offset")
TYPES = (*LOCAL, "sink", "uniform")
#: The label of a head that does mostly something else.
OTHER = "other"
_ENOUGH_QUERIES = 0.25
_STANDS_OUT = 0.25  # of the way from the background to the peak


@dataclass(frozen=True)
class HeadTypes:
    """Scores of some heads, and the offset (x to the right, y down, in patches) that each looks at most."""

    scores: Floats  # (..., type), in the order of TYPES
    peaks: Floats  # (..., 2): x, y


def classify(aligned: Floats, on_token: Floats, entropy: Floats, layout: TokenLayout) -> HeadTypes:
    """Type every head.

    ``aligned`` is (..., row offset, column offset), the aligned map over the patches; ``on_token`` (..., token) and
    ``entropy`` (...,), in nats, are means over the patch queries of the whole attention. The shapes in front agree.
    """
    heads = aligned.shape[:-2]
    maps = aligned.reshape(-1, *aligned.shape[-2:])
    shapes = np.array([_shape(one, layout.grid) for one in maps]).reshape(*heads, 6)
    peak_y, peak_x, local, displaced, elongated, narrow = np.moveaxis(shapes, -1, 0)
    patches = on_token[..., layout.patches]
    sink = np.clip(1 - patches.sum(-1) + patches.max(-1), 0, 1)
    uniform = (1 - local) * np.clip(np.exp(entropy) / len(layout), 0, 1)
    centred = local * (1 - displaced)
    shares = {
        "strict": centred * (1 - elongated) * narrow,
        "soft": centred * (1 - elongated) * (1 - narrow),
        "axial": centred * elongated,
        "offset": local * displaced,
        "uniform": uniform,
    }
    scores = np.stack([sink if name == "sink" else (1 - sink) * shares[name] for name in TYPES], -1)
    return HeadTypes(scores, np.stack([peak_x, peak_y], -1))


def label(scores: Floats) -> npt.NDArray[np.str_]:
    """What each head is called: (..., type) to (...,)."""
    local = scores[..., : len(LOCAL)]
    others = np.moveaxis(scores[..., len(LOCAL) :], -1, 0)
    largest = np.stack([local.sum(-1), *others, 1 - scores.sum(-1)], -1).argmax(-1)
    names = np.array(["", *TYPES[len(LOCAL) :], OTHER])[largest]
    labels: npt.NDArray[np.str_] = np.where(largest == 0, np.array(LOCAL)[local.argmax(-1)], names)
    return labels


def _shape(aligned: Floats, grid: Grid) -> tuple[float, float, float, float, float, float]:
    """Row and column of the peak's offset, and the shares local, displaced, elongated, narrow of one aligned map."""
    mass = aligned.sum()
    if mass <= 0:
        return 0, 0, 0, 0, 0, 0
    aligned = aligned / mass
    uniform = uniform_aligned(grid)
    existing = uniform / uniform.max()  # the fraction of the queries that have this offset
    profile = np.where(existing >= _ENOUGH_QUERIES, aligned / existing, 0)
    i, j = np.unravel_index(profile.argmax(), profile.shape)
    top = float(profile[i, j])
    y, x = offsets(grid)
    dy, dx = y - y[i, 0], x - x[0, j]
    radius = min(max((min(grid) + 1) // 4, 1), 3)
    window = (np.abs(dy) <= radius) & (np.abs(dx) <= radius)
    bands = (np.broadcast_to(np.abs(d) <= 1, window.shape) for d in (dy, dx))
    regions = (window, *bands)
    local = max(_excess(float(aligned[region].sum()), float(uniform[region].sum())) for region in regions)
    displaced = 1 - max(float(profile[grid[0] - 1, grid[1] - 1]), float(profile[-1 - i, -1 - j])) / top
    near = window & (np.abs(dy) <= 1) & (np.abs(dx) <= 1)
    narrow = _excess(*(float(one[near].sum() / one[window].sum()) for one in (aligned, uniform)))
    return float(y[i, 0]), float(x[0, j]), local, displaced, _elongation(profile, top, dy, dx), narrow


def _excess(mass: float, uniform: float) -> float:
    return min(max((mass - uniform) / (1 - uniform), 0.0), 1.0) if uniform < 1 else 0.0


def _elongation(profile: Floats, top: float, dy: Floats, dx: Floats) -> float:
    background = float(np.median(profile[profile > 0]))
    weight = np.clip(profile - (background + _STANDS_OUT * (top - background)), 0, None)
    if (total := weight.sum()) <= 0:
        return 0.0
    vertical, horizontal = (float((weight * d**2).sum() / total - ((weight * d).sum() / total) ** 2) for d in (dy, dx))
    return abs(vertical - horizontal) / (vertical + horizontal + 0.25)
