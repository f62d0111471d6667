"""Whether a recording leaves alone what it is handed: others are handed the same, and the model goes on with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from ..data.batch import Batch
from ..errors import PluginError

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@contextmanager
def untouched(owner: str, block: int, taps: Mapping[str, Tensor], batch: Batch) -> Iterator[None]:
    """Inside, ``owner`` sees a block; afterwards its taps, the pixels and what was prepared must be as before.

    Raises ``PluginError`` if they are not.
    """
    handed = dict(_handed(taps, batch))
    before = {what: _checksum(tensor) for what, tensor in handed.items()}
    yield
    for what, tensor in handed.items():
        if _checksum(tensor) != before[what]:
            raise PluginError(
                f"{owner} changes {what} in place at block {block}: other analyses, and the model itself, would go on "
                "with changed values; its update_block has to work on a copy (.clone()). Run the others without it, "
                "and tell its author."
            )


def _handed(taps: Mapping[str, Tensor], batch: Batch) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in taps.items():
        yield f"the tap {name!r}", tensor
    yield "batch.pixels", batch.pixels
    for made in batch.prepared.values():
        for sample, parts in zip(batch.samples, made, strict=True):
            for part, tensor in parts.items():
                yield f"batch.prepared ({part!r} of {sample.id})", tensor


def _checksum(tensor: Tensor) -> tuple[int, int]:
    """Sums of the bits of all values: plain, and along the last axis weighted by place, so that order matters."""
    bits = tensor.detach().view(_BITS[tensor.element_size()])
    if not bits.ndim:
        return int(bits), 0
    rows = bits.sum(tuple(range(bits.ndim - 1)), dtype=torch.int64) if bits.ndim > 1 else bits.to(torch.int64)
    places = torch.arange(1, len(rows) + 1, device=rows.device)
    return int(rows.sum()), int((rows * places).sum())
