"""How single precision is computed: as IEEE 754 has it, or faster and coarser where a device offers that.

Set for the time of a run, whatever the environment says, so that a plan decides it: two runs of one plan do not differ
because one machine's default is TF32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

#: What torch calls each of our words, for products of matrices.
_LEVELS = {"ieee": "highest", "tf32": "high", "bf16": "medium"}


@contextmanager
def computing(precision: str) -> Iterator[None]:
    """Products of matrices and convolutions of float32 inside are computed in ``ieee``, ``tf32`` or ``bf16``.

    Convolutions know no ``bf16``, and take ``tf32``. A device without the faster kinds computes as IEEE 754 has it.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision(_LEVELS[precision])
    torch.backends.cudnn.allow_tf32 = precision != "ieee"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
