"""What masks of the same sizes would reach if they lay anywhere."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = "npt.NDArray[np.integer[Any]]"
Floats: TypeAlias = "npt.NDArray[np.float64]"

#: How often every mask is placed. Over hundreds of images the mean is then steady to the third digit.
DRAWS = 20


def random_iou(
    sizes: Integers, truth: Integers, patches: int, *, seed: int, draws: int = DRAWS
) -> tuple[Floats, Floats]:
    """Mean IoU of random masks, and of the best of the heads: each (block,).

    ``sizes`` (image, block, head) says how many patches each head's mask has and ``truth`` (image,) the union mask. A
    random mask is as many patches out of all ``patches``, every choice equally likely, heads independent of one
    another; its overlap with the truth is therefore hypergeometric. The second number is the fair floor of the best
    head per image: the best of many is high by chance alone, and the higher the more heads there are.
    """
    rng = np.random.default_rng(seed)
    target = truth[:, None, None]
    mean, best = np.zeros(sizes.shape[1]), np.zeros(sizes.shape[1])
    for _ in range(draws):
        both = rng.hypergeometric(target, patches - target, sizes)
        ratio = both / (sizes + target - both)
        mean += ratio.mean(axis=(0, 2))
        best += ratio.max(axis=2).mean(axis=0)
    return mean / draws, best / draws
