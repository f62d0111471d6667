"""What an executor is: who does tasks, in other processes or on other machines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeAlias

from typing_extensions import Self

from ..errors import VitanError


@dataclass(frozen=True)
class Word:
    """What comes back of a task that came to its end: the names of the units that are now in the store.

    ``busy`` says that others are at the rest, ``error`` what kept the worker from it.
    """

    units: tuple[str, ...] = ()
    busy: bool = False
    error: VitanError | None = None


class Task(Protocol):
    """Work that any process can do that has the same plugins, data and cache; it can be pickled."""

    def __call__(self, worker: int = 0) -> Word:
        """Do it, on the GPU of that number if there are several. Raises nothing: whatever goes wrong is in the word."""


#: What became of a task: its word, or what kept the worker from giving one, such as its end.
Ended: TypeAlias = Word | Exception


class Executor(ABC):
    """Who does tasks. ``where`` is what follows the colon in ``--executor NAME:WHERE``; ``jobs`` how many at a time."""

    @abstractmethod
    def __init__(self, where: str, jobs: int | None, threads: int) -> None:
        """Raise ``UsageError`` for what cannot be used; ``threads`` is how many each worker computes with."""

    @abstractmethod
    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Ended]]:
        """Do all tasks, and yield each as soon as it is over, in any order, with what became of it.

        Workers that end take no others with them, and tasks that they were not yet at are none of those that they lose.
        It is the engine that has what was lost done again: it calls this once more.
        """

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End workers that were started here, and leave those that were there."""
