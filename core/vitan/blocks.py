"""Which blocks are meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .errors import MismatchError

#: More than any model has; what is no block at this depth is none at all.
DEEPEST = 1000

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
        elif word.isdigit():
            chosen.add(int(word))
        elif dash and low.isdigit() and high.isdigit() and int(low) <= int(high):
            chosen.update(range(int(low), int(high) + 1))
        else:
            raise MismatchError(f"--blocks {word}: give 'all', an index, a range such as 3-7, or one of {_NAMES}")
    if not chosen:
        raise MismatchError(f"--blocks names none; give 'all', an index, a range such as 3-7, or one of {_NAMES}")
    if max(chosen) >= depth:
        raise MismatchError(f"--blocks {','.join(wanted)}: the model has blocks 0 to {depth - 1}")
    return tuple(sorted(chosen))
