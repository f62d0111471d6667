"""Labels of earlier frames carried on to the next one, by the similarity of tokens.

This is the label propagation of "Space-Time Correspondence as a Contrastive Random Walk" (NeurIPS 2020) as DINO and the
published code run it. The affinity of a token reaches only ``window`` tokens far, so only that much of it is computed:
the grid is cut into tiles, and each is multiplied with the rectangle that its window can reach. Context frames pass one
after another and leave their best values behind, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

#: Rows and columns of a tile, on a CPU and elsewhere: small tiles compute less in vain, large ones keep a GPU busy.
_TILE, _LARGE_TILE = 8, 28

#: First and last (exclusive) row or column.
_Span: TypeAlias = "tuple[int, int]"


@dataclass(frozen=True)
class Frame:
    """A frame that labels come from: ``tokens`` (row, column, channel), of length 1, and ``labels`` (token, class)."""

    tokens: Tensor
    labels: Tensor


@dataclass(frozen=True)
class _Tile:
    """Query tokens (``rows``, ``columns``) and the source tokens that they can reach (``reach_rows`` of a stripe).

    ``own`` and ``reach`` are the numbers of both in the whole grid; ``mask`` is 0 within the window and -inf outside,
    (own, reach), or None where all that is reached lies within.
    """

    rows: _Span
    columns: _Span
    reach_rows: _Span
    own: Tensor
    reach: Tensor
    mask: Tensor | None


@dataclass(frozen=True)
class _Stripe:
    """Tiles above one another. They reach the same ``columns``, which are made contiguous once for all of them."""

    columns: _Span
    tiles: tuple[_Tile, ...]


def normalise(tokens: Tensor) -> Tensor:
    """Tokens (..., channel) at length 1, in float32 or wider; a token of zeros stays."""
    return F.normalize(tokens if tokens.dtype == torch.float64 else tokens.float(), dim=-1)


class Propagation:
    """Soft labels for a frame of ``grid`` (rows, columns) tokens from those of its context.

    A source counts if it is at most ``window`` rows and columns away (0: anywhere). For each token the ``top_k`` most
    similar sources over all context frames together are kept, and with them whatever equals the last of these; they
    weigh exp(cosine / ``temperature``), over the sum of the weights.
    """

    def __init__(
        self, grid: tuple[int, int], *, window: int, top_k: int, temperature: float, device: torch.device | str = "cpu"
    ) -> None:
        self.grid, self.top_k, self.temperature = grid, top_k, temperature
        self._stripes = _cut(grid, window or max(grid), torch.device(device))

    def __call__(self, query: Tensor, context: Sequence[Frame]) -> Tensor:
        """Labels (token, class) of ``query`` (row, column, channel), whose tokens have length 1."""
        values, index = self._best(query, context)
        labels = torch.cat([frame.labels for frame in context])  # (source of all frames, class)
        kept = values[:, : self.top_k]
        weights = torch.exp((kept - kept[:, :1]) / self.temperature)
        weights = weights / weights.sum(1, keepdim=True)
        carried = torch.einsum("qk,qkc->qc", weights, labels[index[:, : self.top_k]])
        tied = (values[:, self.top_k] == kept[:, -1]) & kept[:, -1].isfinite()
        if bool(tied.any()):
            self._settle(query, context, tied, carried)
        return carried

    def _best(self, query: Tensor, context: Sequence[Frame]) -> tuple[Tensor, Tensor]:
        """The ``top_k`` + 1 largest similarities of each token, falling, and where they are in all frames' tokens.

        One more than needed: it tells whether the last one that counts has an equal. -inf where there are fewer.
        """
        rows, columns = self.grid
        best = query.new_full((rows * columns, 2, self.top_k + 1), -torch.inf)  # beside those of the frame at hand
        index = torch.zeros(best.shape, dtype=torch.long, device=query.device)
        for number, frame in enumerate(context):
            for tile, similar in self._similarities(query, frame):
                values, place = similar.topk(min(self.top_k + 1, similar.shape[1]))
                best[tile.own, 1, : values.shape[1]] = values
                index[tile.own, 1, : values.shape[1]] = tile.reach[place] + number * rows * columns
            best[:, 0], order = best.flatten(1).topk(self.top_k + 1)
            index[:, 0] = index.flatten(1).gather(1, order)
        return best[:, 0], index[:, 0]

    def _similarities(self, query: Tensor, frame: Frame, only: Tensor | None = None) -> Iterator[tuple[_Tile, Tensor]]:
        """Each tile with the cosines of its own tokens and those that it reaches, -inf outside the window.

        With ``only`` (token) tiles without such a token are left out.
        """
        for stripe in self._stripes:
            wanted = [tile for tile in stripe.tiles if only is None or bool(only[tile.own].any())]
            if not wanted:
                continue
            first, last = stripe.columns
            sources = frame.tokens[:, first:last].flatten(0, 1)  # (row and column, channel), contiguous
            for tile in wanted:
                own = query[slice(*tile.rows), slice(*tile.columns)].flatten(0, 1)
                reached = sources[tile.reach_rows[0] * (last - first) : tile.reach_rows[1] * (last - first)].T
                yield tile, own @ reached if tile.mask is None else torch.addmm(tile.mask.to(own), own, reached)

    def _settle(self, query: Tensor, context: Sequence[Frame], tied: Tensor, carried: Tensor) -> None:
        """Write the labels of ``tied`` tokens, where more than ``top_k`` sources may count, from all sources.

        The same products as before give the same bits, so that equals are still equal.
        """
        found: dict[int, tuple[_Tile, list[Tensor]]] = {}
        for frame in context:
            for tile, similar in self._similarities(query, frame, tied):
                found.setdefault(id(tile), (tile, []))[1].append(similar[tied[tile.own]])
        for tile, parts in found.values():
            similar = torch.cat(parts, 1)  # (tied token, source of all frames)
            least = similar.topk(self.top_k).values[:, -1:]
            weights = torch.exp((similar - similar.amax(1, keepdim=True)) / self.temperature)
            weights = torch.where(similar >= least, weights, 0)
            labels = torch.cat([frame.labels[tile.reach] for frame in context])
            own = tile.own[tied[tile.own]]
            carried[own] = (weights @ labels) / weights.sum(1, keepdim=True)


class Trail:
    """One video, followed frame by frame: remembers the first frame, and at most ``context`` of the latest ones."""

    def __init__(self, propagation: Propagation, context: int, tokens: Tensor, labels: Tensor) -> None:
        self._propagation = propagation
        self._first, self._latest = Frame(tokens, labels), deque[Frame](maxlen=context)

    def follow(self, tokens: Tensor) -> Tensor:
        """Soft labels (token, class) of the next frame's ``tokens`` (row, column, channel), which have length 1."""
        labels = self._propagation(tokens, [self._first, *self._latest])
        self._latest.append(Frame(tokens, labels))
        return labels


def _cut(grid: tuple[int, int], window: int, device: torch.device) -> tuple[_Stripe, ...]:
    """The grid in stripes of tiles; tiles that lie alike share one mask."""
    rows, columns = grid
    number = torch.arange(rows * columns, device=device).view(rows, columns)
    side = _TILE if device.type == "cpu" else _LARGE_TILE
    masks: dict[tuple[_Span, _Span, _Span, _Span], Tensor | None] = {}

    def tile(own_rows: _Span, own_columns: _Span, reach_columns: _Span) -> _Tile:
        reach_rows = _reach(own_rows, window, rows)
        alike = (*_relative(own_rows, reach_rows), *_relative(own_columns, reach_columns))
        if alike not in masks:
            masks[alike] = _mask(*alike, window, device)
        own = number[slice(*own_rows), slice(*own_columns)].flatten()
        reach = number[slice(*reach_rows), slice(*reach_columns)].flatten()
        return _Tile(own_rows, own_columns, reach_rows, own, reach, masks[alike])

    stripes = []
    for own_columns in _spans(columns, side):
        reached = _reach(own_columns, window, columns)
        stripes.append(_Stripe(reached, tuple(tile(r, own_columns, reached) for r in _spans(rows, side))))
    return tuple(stripes)


def _spans(length: int, step: int) -> Iterator[_Span]:
    """A side cut into as many parts as ``step`` gives, all about as long."""
    parts = -(-length // step)
    for part in range(parts):
        yield length * part // parts, length * (part + 1) // parts


def _reach(span: _Span, window: int, length: int) -> _Span:
    return max(0, span[0] - window), min(length, span[1] + window)


def _relative(own: _Span, reach: _Span) -> tuple[_Span, _Span]:
    """Both spans, counted from the start of what is reached."""
    return (own[0] - reach[0], own[1] - reach[0]), (0, reach[1] - reach[0])


def _mask(
    own_rows: _Span, rows: _Span, own_columns: _Span, columns: _Span, window: int, device: torch.device
) -> Tensor | None:
    def near(own: _Span, reach: _Span) -> Tensor:
        here, there = torch.arange(*own, device=device), torch.arange(*reach, device=device)
        return (here[:, None] - there).abs() <= window

    inside = near(own_rows, rows)[:, None, :, None] & near(own_columns, columns)[None, :, None, :]
    if bool(inside.all()):
        return None
    nothing = torch.zeros((), device=device)
    return torch.where(inside, nothing, -torch.inf).flatten(2).flatten(0, 1)  # (own, reach)
