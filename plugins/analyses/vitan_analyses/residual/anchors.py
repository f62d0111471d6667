"""Skip streams and branches whose numbers are known without a computer, run through the whole analysis."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vitan.anatomy import ModelInfo, TokenLayout
from vitan.data.batch import Batch

from ..hsic.known import CROSSED, SPLITS
from ..hsic.probe import GramOptions
from .probe import ResidualProbe


def anchors() -> Iterator[tuple[str, float, float, float]]:
    """What, expected, got, tolerance: the attention branch is the stream halved, the MLP's crosses it."""
    model = ModelInfo(
        name="anchor",
        family="anchor",
        arch="T",
        patch=16,
        image_size=16,
        depth=1,
        heads=1,
        dim=1,
        layout=TokenLayout((), (1, 1)),
        blocks=(0,),
    )
    first, second = (torch.from_numpy(np.asarray(split)).float()[:, None] for split in SPLITS)
    taps = {"block_in": first, "attention_branch": first / 2, "mid": first, "mlp_branch": second / 4}
    probe = ResidualProbe(GramOptions(), model)
    probe.update_block(0, taps, Batch(index=(0, 1, 2, 3), samples=(), placements=(), pixels=torch.empty(4, 3, 0, 0)))
    arrays = probe.compute().arrays
    yield "CKA, stream and its half", 1.0, float(arrays["attention"][0, 0]), 1e-6
    yield "CKA, stream and a branch that crosses it", CROSSED, float(arrays["mlp"][0, 0]), 1e-6
    yield "norm ratio, stream and its half", 2.0, float(arrays["norm-ratio-attention-all"][0]), 1e-9
    yield "norm ratio, stream and a branch of a quarter", 4.0, float(arrays["norm-ratio-mlp-all"][0]), 1e-9
