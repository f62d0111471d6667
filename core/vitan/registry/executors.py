"""What an executor is: who does tasks, in other processes or on other machines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol

from typing_extensions import Self


class Task(Protocol):
    """Work that any process can do that has the same plugins, data and cache; it can be pickled."""

    def __call__(self, worker: int = 0) -> None:
        """Do it, on the GPU of that number if there are several. Raises whatever keeps it from that."""


class Executor(ABC):
    """Who does tasks. ``where`` is what follows the colon in ``--executor NAME:WHERE``; ``jobs`` how many at a time."""

    @abstractmethod
    def __init__(self, where: str, jobs: int | None, threads: int) -> None:
        """Raise ``UsageError`` for what cannot be used; ``threads`` is how many each worker computes with."""

    @abstractmethod
    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, bool]]:
        """Do all tasks, and yield each when it is over, in any order, with whether its worker lived through it.

        What a task raises is no loss: it is over.
        """

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End workers that were started here, and leave those that were there."""
