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
    """Put back what is changed inside of a block's taps, of the pixels and of what was prepared.

    Raises ``PluginError`` if anything was, with the name of ``owner``: the analysis that was handed them.
    """
    handed = [(what, tensor, tensor.clone()) for what, tensor in _handed(taps, batch)]
    try:
        yield
    finally:
        changed = [what for what, tensor, before in handed if _put_back(tensor, before)]
    if changed:
        raise PluginError(
            f"{owner} changes {changed[0]} in place at block {block}: other analyses, and the model itself, would go "
            "on with changed values. Its update_block has to work on a copy (.clone()); please tell its author."
        )


def _handed(taps: Mapping[str, Tensor], batch: Batch) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in taps.items():
        yield f"the tap {name!r}", tensor
    yield "batch.pixels", batch.pixels
    for made in batch.prepared.values():
        for sample, parts in zip(batch.samples, made, strict=True):
            for part, tensor in parts.items():
                yield f"batch.prepared ({part!r} of {sample.id})", tensor


def _put_back(tensor: Tensor, before: Tensor) -> bool:
    """Whether it had to be; bits are compared, since values that are not numbers equal nothing."""
    bits = _BITS[tensor.element_size()]
    changed = not torch.equal(tensor.view(bits), before.view(bits))
    if changed:
        tensor.copy_(before)
    return changed
