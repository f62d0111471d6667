"""Find, for a pixel of one picture, the most similar pixel of another, without ever enlarging features.

In the published definition both grids of L2-normalised tokens are enlarged to pixels (bilinear, half-pixel centres,
clamped at the rim) and not normalised again; the match is the target pixel of the largest dot product. Enlarging is
linear, so the same numbers come from similarities per token that are enlarged afterwards: a point costs rows × columns
dot products instead of side², and two maps of side² × channel values are never made.

A bilinear map is linear along each axis between two token centres, so its largest value lies on a pixel next to a
centre. Only those columns are enlarged to find the best row, and then that one row entirely.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

#: Pixels that are so little below the best one, relative to it, count as equal to it.
TIE = 1e-6
_POINTS = 512  # how many are enlarged at a time; memory is about 27 kB each for 14 × 14 tokens


def normalise(tokens: Tensor) -> Tensor:
    """Tokens (..., channel) of length 1, at least float32; tokens of length 0 stay so."""
    return F.normalize(tokens.to(torch.promote_types(tokens.dtype, torch.float32)), dim=-1)


@lru_cache(maxsize=16)
def enlargement(cells: int, pixels: int) -> Tensor:
    """How much each of ``cells`` counts in each of ``pixels``: (pixel, cell), float64; bilinear, half-pixel centres."""
    low, high, share = _between(torch.arange(pixels), cells, pixels)
    weights = torch.zeros(pixels, cells, dtype=torch.float64)
    weights.scatter_add_(1, low[:, None], 1 - share[:, None])
    return weights.scatter_add_(1, high[:, None], share[:, None])


def source_vectors(tokens: Tensor, image: Tensor, pixel: Tensor, side: int) -> Tensor:
    """The enlarged map of each point's picture at its pixel: (point, channel).

    ``tokens`` is (image, row, column, channel), ``image`` (point,) and ``pixel`` (point, 2) holds columns and rows.
    """
    rows, columns = tokens.shape[1:3]
    found = torch.zeros(len(image), tokens.shape[-1], dtype=tokens.dtype, device=tokens.device)
    x, y = pixel.cpu().T  # shares are float64, which not every device has
    for row, down in _corners(y, rows, side):
        for column, across in _corners(x, columns, side):
            share = _on(tokens, down * across)[:, None]
            found += share * tokens[image, row.to(image.device), column.to(image.device)]
    return found


def best_pixels(similarities: Tensor, side: int) -> Tensor:
    """The best pixel (column, row) of each enlarged map of similarities (point, row, column): int64 (point, 2).

    Of the pixels within ``TIE`` of the largest value the lowest row counts, and in it the lowest column.
    """
    found = [_best_pixels(part, side) for part in torch.split(similarities, _POINTS)]
    return torch.cat(found) if found else torch.zeros(0, 2, dtype=torch.long, device=similarities.device)


def match(tokens: Tensor, source: Tensor, pixel: Tensor, target: Tensor, side: int) -> Tensor:
    """The pixel (column, row) that each point finds in its target picture: float32 (point, 2).

    ``tokens`` (image, row, column, channel) are normalised; ``source`` and ``target`` (point,) are positions in it,
    ``pixel`` (point, 2) is where the point is in its source. NaN where the features of either are not finite.
    """
    vectors = source_vectors(tokens, source, pixel, side)
    found = torch.full((len(source), 2), float("nan"), device=tokens.device)
    for image in torch.unique(target).tolist():
        points = (target == image).nonzero()[:, 0]
        similarities = vectors[points] @ tokens[image].flatten(0, 1).T  # (point, token)
        sound = similarities.isfinite().all(1)
        maps = similarities[sound].reshape(-1, *tokens.shape[1:3])
        found[points[sound]] = best_pixels(maps, side).float()
    return found


def _best_pixels(similarities: Tensor, side: int) -> Tensor:
    rows, columns = similarities.shape[1:]
    tall, wide = (_on(similarities, enlargement(cells, side)) for cells in (rows, columns))
    candidates = wide[_beside_centres(columns, side)]  # (candidate, column)
    best_of_row = (tall @ similarities @ candidates.T).amax(-1)  # (point, pixel row)
    best = best_of_row.amax(-1, keepdim=True)
    enough = best - TIE * best.abs()
    row = _first(best_of_row >= enough)
    line = (tall[row, None] @ similarities @ wide.T)[:, 0]  # (point, pixel column)
    column = _first(line >= enough.minimum(line.amax(-1, keepdim=True)))  # its rounding may differ from that above
    return torch.stack([column, row], 1)


def _on(like: Tensor, shares: Tensor) -> Tensor:
    """Shares in the precision of ``like`` and on its device, narrowed first: not every device has float64."""
    return shares.to(like.dtype).to(like.device)


def _first(true: Tensor) -> Tensor:
    return true.to(torch.uint8).argmax(-1)  # torch gives the first of several


def _between(pixel: Tensor, cells: int, pixels: int) -> tuple[Tensor, Tensor, Tensor]:
    """The cells before and after the centre of each pixel, and the share of the latter."""
    place = ((pixel.double() + 0.5) * cells / pixels - 0.5).clamp(0, cells - 1)
    low = place.floor().long()
    return low, (low + 1).clamp(max=cells - 1), place - low


def _corners(pixel: Tensor, cells: int, pixels: int) -> tuple[tuple[Tensor, Tensor], ...]:
    low, high, share = _between(pixel, cells, pixels)
    return (low, 1 - share), (high, share)


@lru_cache(maxsize=16)
def _beside_centres(cells: int, pixels: int) -> list[int]:
    """The first and the last pixel of every stretch between two token centres, and of those at the rim."""
    place = (torch.arange(pixels).double() + 0.5) * cells / pixels - 0.5
    stretch = place.floor().clamp(-1, cells - 1)
    changes = (stretch.diff() != 0).nonzero()[:, 0].tolist()
    return sorted({0, *changes, *(pixel + 1 for pixel in changes), pixels - 1})
