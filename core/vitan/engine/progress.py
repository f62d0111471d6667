"""Who is told how far a run is."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Who is told how far a run is."""

    def begin(self, title: str, total: int) -> None:
        """A pass over ``total`` images starts."""

    def advance(self, images: int, *, reused: bool = False) -> None:
        """So many more images are done; ``reused`` ones were found stored, and say nothing about how fast it goes."""

    def end(self) -> None:
        """The pass is over."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def download(self, description: str, done: int, total: int | None) -> None:
        """A file is being fetched; sizes in bytes."""
