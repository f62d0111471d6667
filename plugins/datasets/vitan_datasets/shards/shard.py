"""What a shard tells of its pictures, whatever it is written as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

#: A label as a file has it: a number, a word, or none.
Label: TypeAlias = "int | str | None"


class Shard(Protocol):
    """One file of many pictures. It can be pickled, and read from many threads."""

    #: The name of each picture in its file, no two alike.
    names: Sequence[str]
    #: The label of each.
    labels: Sequence[Label]
    #: What labels that are numbers are called, as far as the file says.
    classes: tuple[str, ...]

    def read(self, position: int) -> bytes:
        """A picture as it is stored; raises ``ImageError`` without the file's name, or ``OSError``."""
