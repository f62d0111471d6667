"""The parts of a Vision Transformer, in the words of records: taps, tokens, blocks, and what is known of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .errors import MismatchError

#: Every tap, with what it is. Shapes: attention (batch, head, query, key); q, k, v (batch, head, token, channel of the
#: head); the rest (batch, token, channel).
TAPS = {
    "attention": "softmax probabilities, each row sums to 1",
    "q": "queries as they enter the dot product, before the scale",
    "k": "keys as they enter the dot product",
    "v": "values as they are averaged",
    "block_in": "the block's input",
    "norm1": "the first LayerNorm's output",
    "attention_branch": "what the attention branch adds, after LayerScale",
    "mid": "block_in + attention_branch",
    "norm2": "the second LayerNorm's output",
    "mlp_branch": "what the MLP branch adds, after LayerScale",
    "block": "the block's output, mid + mlp_branch",
}


@dataclass(frozen=True, kw_only=True)
class TapMap:
    """Where a model's modules are. Paths are relative to the model (``blocks``) or to a block (the rest).

    ``attention_end`` and ``mlp_end`` are the last modules of the two branches (after LayerScale); where a block has
    none, the branches are the differences of ``block``, ``mid`` and ``block_in``.
    """

    blocks: str = "blocks"
    attention: str = "attn"
    norm1: str = "norm1"
    norm2: str = "norm2"
    attention_end: str = "drop_path1"
    mlp_end: str = "drop_path2"


TIMM = TapMap()
OPEN_CLIP = TapMap(blocks="transformer.resblocks", norm1="ln_1", norm2="ln_2", attention_end="ls_1", mlp_end="ls_2")


#: What a token in front of the patches can be.
ROLES = ("cls", "register", "distillation")


@dataclass(frozen=True)
class TokenLayout:
    """The roles of the tokens: first those of ``prefix``, in order, then the patches of ``grid``, row by row.

    ``grid`` is (rows, columns). A model without a CLS token has an empty prefix.

    Raises ``ValueError`` for an unknown role, two CLS tokens or an empty grid.
    """

    prefix: tuple[str, ...]
    grid: tuple[int, int]

    def __post_init__(self) -> None:
        if unknown := set(self.prefix) - set(ROLES):
            raise ValueError(f"unknown token roles {sorted(unknown)}: use {', '.join(ROLES)}")
        if self.prefix.count("cls") > 1:
            raise ValueError("a sequence has at most one CLS token")
        if min(self.grid) < 1:
            raise ValueError(f"the patch grid {self.grid} is empty")

    @property
    def patches(self) -> slice:
        """Where the patch tokens are in the sequence."""
        return slice(len(self.prefix), len(self))

    @property
    def n_patches(self) -> int:
        """How many patch tokens there are."""
        return self.grid[0] * self.grid[1]

    @property
    def cls(self) -> int | None:
        """Index of the CLS token, or None."""
        return self.prefix.index("cls") if "cls" in self.prefix else None

    def __len__(self) -> int:
        """All tokens."""
        return len(self.prefix) + self.n_patches


#: More than any model has; what is no block at this depth is none at all.
DEEPEST = 1000
_LONGEST_INDEX = 18  # digits of an index; Python refuses to read thousands of them

#: Names for blocks by depth, as in the published code: quarter points count the last block of that quarter.
NAMED_BLOCKS: Mapping[str, Callable[[int], int]] = {
    "first": lambda depth: 0,  # noqa: ARG005
    "q1": lambda depth: depth // 4 - 1,
    "middle": lambda depth: depth // 2 - 1,
    "q3": lambda depth: 3 * depth // 4 - 1,
    "last": lambda depth: depth - 1,
}

_NAMES = ", ".join(NAMED_BLOCKS)


def select_blocks(wanted: Sequence[str], depth: int) -> tuple[int, ...]:
    """Blocks by name (``all``, ``first``, ``q1``, ``middle``, ``q3``, ``last``), index or range (``3-7``), ascending.

    Raises ``MismatchError`` for a word that is none of these or a block that the model does not have.
    """
    chosen: set[int] = set()
    for word in wanted:
        low, dash, high = word.partition("-")
        if word == "all":
            chosen.update(range(depth))
        elif word in NAMED_BLOCKS:
            chosen.add(max(0, NAMED_BLOCKS[word](depth)))
        elif _is_index(word):
            chosen.add(int(word))
        elif dash and _is_index(low) and _is_index(high) and int(low) <= int(high):
            chosen.update((*range(int(low), min(int(high) + 1, depth)), int(high)))
        else:
            raise MismatchError(f"--blocks {word}: give 'all', an index, a range such as 3-7, or one of {_NAMES}")
    if not chosen:
        raise MismatchError(f"--blocks names none; give 'all', an index, a range such as 3-7, or one of {_NAMES}")
    if max(chosen) >= depth:
        raise MismatchError(f"--blocks {','.join(wanted)}: the model has blocks 0 to {depth - 1}")
    return tuple(sorted(chosen))


def _is_index(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _LONGEST_INDEX


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What a probe knows of the model in front of it. ``blocks`` are those that were asked for, ascending.

    ``label``, ``colour`` and ``marker`` are of its family, for figures; see ``ModelSpec``.
    """

    name: str
    family: str
    arch: str
    patch: int
    image_size: int
    depth: int
    heads: int
    dim: int
    layout: TokenLayout
    blocks: tuple[int, ...]
    label: str = ""
    colour: str = ""
    marker: str = ""
