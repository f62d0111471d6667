"""One block's attention, reduced to what the analysis keeps of each image.

Every number belongs to one image alone, so nothing depends on how images were batched. The work goes image by image in
slabs of whole grid rows that stay in the processor's cache (on an accelerator: in slabs of many images), because the
straightforward form is bound by memory and not by arithmetic.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vitan.anatomy import TokenLayout
from vitan.errors import RecordingError

from .geometry import lengths

#: How much attention one slab holds. On a CPU the slab and one buffer of its size should fit the last-level cache.
CPU_SLAB_BYTES = 2 << 20
DEVICE_SLAB_BYTES = 1 << 29


class BlockSummary(NamedTuple):
    """What is kept of one block; the first axis is the image.

    "Only patches" means that keys in front of the patches are left out and each row is renormalised; a *null row* has
    exactly nothing left then, counts as zeros, and is marked. Standard deviations divide by n - 1.
    """

    prefix_rows: Tensor  # (batch, head, prefix query, token)
    patch_mean: Tensor  # (batch, head, token): mean over the patch queries
    pure_mean: Tensor  # (batch, head, token): the same over only patches; 0 for the prefix
    aligned: Tensor  # (batch, head, row offset, column offset): mean over patch queries, only patches
    null: Tensor  # (batch, head, patch query), bool
    position_deviation: Tensor  # (batch, head): std over patch queries, mean over patch keys, not renormalised
    head_deviation: Tensor  # (batch,): std over heads, mean over patch queries and keys; nan for one head
    entropy: Tensor  # (batch, head): nats, mean over the patch queries
    prefix_entropy: Tensor  # (batch, head, prefix query): nats
    head_mean: Tensor  # (batch, query, token)

    def distance(self, grid: tuple[int, int]) -> Tensor:
        """Attention distance in grid widths, where a null row counts as distance 0: (batch, head)."""
        table = torch.from_numpy(lengths(grid)).to(self.aligned.dtype).to(self.aligned.device)
        return (self.aligned * table).sum((-2, -1))

    def everything_mean(self) -> Tensor:
        """Mean over all queries, those in front of the patches included: (batch, head, token)."""
        patches = self.null.shape[-1]
        total = self.patch_mean * patches + self.prefix_rows.sum(-2)
        return total / (patches + self.prefix_rows.shape[-2])

    def value_weighted(self, values: Tensor) -> Tensor:
        """``patch_mean`` times the length of each token's value, scaled to sum 1 (0 without any): (batch, head, token).

        Kobayashi et al. 2020 ("Attention is not only a weight"). ``values`` is (batch, head, token, channel).
        """
        weighted = self.patch_mean * torch.linalg.vector_norm(values.to(self.patch_mean.dtype), dim=-1)
        total = weighted.sum(-1, keepdim=True)
        return torch.where(total > 0, weighted / total, 0.0)


class BlockReducer:
    """Reduces one block after the other. Big intermediate arrays are kept: fresh memory costs as much as arithmetic."""

    def __init__(self, layout: TokenLayout) -> None:
        self.layout = layout
        self._rooms: dict[str, Tensor] = {}

    def __call__(self, attention: Tensor) -> BlockSummary:
        """Reduce ``attention`` (batch, head, query, key), which is left as it is. The next call reuses ``head_mean``.

        Raises ``RecordingError`` where the attention has not the tokens of the layout.
        """
        batch, heads, *tokens = attention.shape
        layout = self.layout
        if tokens != [len(layout), len(layout)]:
            raise RecordingError(
                f"attention is {tuple(tokens)}, but the model has {len(layout)} tokens ({len(layout.prefix)} and "
                f"{layout.grid[0]}x{layout.grid[1]} patches); use a view of the model's own image size"
            )
        summary = self._empty(attention)
        on_cpu = attention.device.type == "cpu"
        images = 1 if on_cpu else max(1, DEVICE_SLAB_BYTES // (4 * heads * len(layout) ** 2))
        for i in range(0, batch, images):
            self._reduce(attention[i : i + images], BlockSummary(*(part[i : i + images] for part in summary)))
        return summary

    def _empty(self, attention: Tensor) -> BlockSummary:
        (rows, columns), front, patches = self.layout.grid, len(self.layout.prefix), self.layout.n_patches
        batch, heads, tokens, _ = attention.shape
        dtype = torch.promote_types(attention.dtype, torch.float32)
        new = functools.partial(attention.new_empty, dtype=dtype)
        return BlockSummary(
            prefix_rows=attention[:, :, :front].to(dtype, copy=True),
            patch_mean=new(batch, heads, tokens),
            pure_mean=new(batch, heads, tokens),
            aligned=new(batch, heads, 2 * rows - 1, 2 * columns - 1),
            null=attention.new_empty(batch, heads, patches, dtype=torch.bool),
            position_deviation=new(batch, heads),
            head_deviation=new(batch),
            entropy=new(batch, heads),
            prefix_entropy=new(batch, heads, front),
            head_mean=self._room("head_mean", batch, tokens, tokens, dtype=dtype, device=attention.device),
        )

    def _reduce(self, attention: Tensor, out: BlockSummary) -> None:
        (rows, columns), front, patches = self.layout.grid, len(self.layout.prefix), self.layout.n_patches
        batch, heads = attention.shape[:2]
        dtype = out.patch_mean.dtype
        room = functools.partial(self._room, dtype=dtype, device=attention.device)
        for zeroed in (out.patch_mean, out.pure_mean, out.head_deviation, out.entropy):
            zeroed.zero_()
        along = room("along", batch, heads, columns, 2 * rows - 1, columns).zero_()  # still by column of the query
        squares = torch.zeros_like(out.patch_mean)
        shift: Tensor | None = None

        for first, stop in self._slabs(attention):
            slab = attention[:, :, front + first : front + stop].to(dtype)  # (batch, head, query, key)
            scratch = room("slab", *slab.shape)
            slab_total = slab.sum(2)
            out.patch_mean.add_(slab_total)

            mass = slab[..., front:].sum(-1, keepdim=True)
            out.null[..., first:stop] = mass[..., 0] == 0
            torch.div(slab, torch.where(mass == 0, 1, mass), out=scratch)  # 1 / mass would overflow for a tiny mass
            out.pure_mean.add_(scratch.sum(2))
            _add_rows(along, scratch[..., front:], first // columns)

            mean = torch.mean(slab, 1, out=out.head_mean[:, front + first : front + stop])  # (batch, query, key)
            torch.sub(slab, mean[:, None], out=scratch).square_()
            spread = torch.sum(scratch, 1, out=room("spread", *mean.shape))  # (heads - 1) times the variance
            out.head_deviation.add_(spread[..., front:].sqrt_().sum((1, 2)))

            # Squares around the mean of some rows: one pass, and yet nothing is lost where all rows are nearly equal.
            shift = slab_total[:, :, None] / (stop - first) if shift is None else shift
            squares += torch.sub(slab, shift, out=scratch).square_().sum(2)
            out.entropy.sub_(negative_entropy(slab, scratch, over=(2, 3)))

        assert shift is not None
        torch.mean(out.prefix_rows, 1, out=out.head_mean[:, :front])
        out.prefix_entropy.copy_(0 - negative_entropy(out.prefix_rows, torch.empty_like(out.prefix_rows), over=(-1,)))
        _fold_columns(along, out.aligned)
        for summed in (out.patch_mean, out.pure_mean, out.aligned, out.entropy):
            summed.div_(patches)
        out.pure_mean[..., :front] = 0
        out.head_deviation.div_(patches**2 * math.sqrt(heads - 1) if heads > 1 else 0)
        squares -= patches * (out.patch_mean - shift[:, :, 0]).square()
        deviation = (squares.clamp_min_(0) / (patches - 1)).sqrt_()[..., front:]
        out.position_deviation.copy_(deviation.mean(-1))

    def _slabs(self, attention: Tensor) -> Iterator[tuple[int, int]]:
        """First and last (exclusive) patch query of each slab of whole grid rows."""
        batch, heads, tokens, _ = attention.shape
        rows, columns = self.layout.grid
        budget = CPU_SLAB_BYTES if attention.device.type == "cpu" else DEVICE_SLAB_BYTES
        step = columns * min(rows, max(1, budget // (4 * batch * heads * columns * tokens)))
        return ((first, min(first + step, rows * columns)) for first in range(0, rows * columns, step))

    def _room(self, name: str, /, *shape: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Memory of that shape, whatever is in it; the same as the last time where it is large enough."""
        size, held = math.prod(shape), self._rooms.get(name)
        if held is None or held.numel() < size or (held.dtype, held.device) != (dtype, device):
            held = self._rooms[name] = torch.empty(size, dtype=dtype, device=device)
        return held[:size].view(shape)


def _add_rows(along: Tensor, slab: Tensor, first_row: int) -> None:
    """Add (batch, head, query, patch key) of whole grid rows to (batch, head, query column, row offset, key column)."""
    columns, rows = along.shape[2], (along.shape[3] + 1) // 2
    queries = slab.view(*slab.shape[:2], -1, columns, rows, columns).unbind(2)
    windows = along.unfold(3, rows, 1).movedim(-1, -2).unbind(3)  # each (batch, head, query column, row, key column)
    for row, query in enumerate(queries, first_row):
        windows[rows - 1 - row].add_(query)


def _fold_columns(along: Tensor, aligned: Tensor) -> None:
    """(batch, head, query column, row offset, key column) into (batch, head, row offset, column offset)."""
    columns = along.shape[2]
    windows = aligned.zero_().unfold(3, columns, 1).unbind(3)  # each (batch, head, row offset, key column)
    for window, query in zip(reversed(windows), along.unbind(2), strict=True):
        window.add_(query)


def negative_entropy(rows: Tensor, scratch: Tensor, over: tuple[int, ...]) -> Tensor:
    """Sum of p ln p over these axes, in nats; ``scratch`` is overwritten."""
    if not rows.is_cpu:  # which would have to be waited for below
        return torch.xlogy(rows, rows, out=scratch).sum(over)
    total = _log(rows, out=scratch).mul_(rows).sum(over)
    if bool(total.isnan().any()):  # 0 ln 0 is 0 by definition; zeros are rare, and clamping costs a pass over memory
        torch.clamp_min(rows, torch.finfo(rows.dtype).tiny, out=scratch)
        total = _log(scratch, out=scratch).mul_(rows).sum(over)
    return total


def _log(values: Tensor, out: Tensor) -> Tensor:
    """Natural logarithm, on a CPU; numpy's takes a third of the time of torch's."""
    with np.errstate(divide="ignore"):
        np.log(values.numpy(), out=out.numpy())
    return out
