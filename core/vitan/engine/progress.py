"""Who is told how far a run is."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Who is told how far a run is."""

    def begin(self, title: str, total: int) -> None:
        """A pass over ``total`` images starts."""

    def advance(self, images: int, *, reused: bool = False) -> None:
        """So many more images are done; ``reused`` ones were found stored, and say nothing about how fast it goes."""

    def begin_drawing(self, what: str) -> None:
        """Figures are drawn from now on."""

    def drawn(self, name: str) -> None:
        """One more figure is saved, under this name."""

    def end(self) -> None:
        """The pass, or the drawing, is over."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def download(self, description: str, done: int, total: int | None) -> None:
        """A file is being fetched; sizes in bytes."""


class Silent:
    """Tells nobody how far a run is."""

    def begin(self, title: str, total: int) -> None:
        """See ``Reporter``."""

    def advance(self, images: int, *, reused: bool = False) -> None:
        """See ``Reporter``."""

    def begin_drawing(self, what: str) -> None:
        """See ``Reporter``."""

    def drawn(self, name: str) -> None:
        """See ``Reporter``."""

    def end(self) -> None:
        """See ``Reporter``."""

    def note(self, text: str) -> None:
        """See ``Reporter``."""

    def download(self, description: str, done: int, total: int | None) -> None:
        """See ``Reporter``."""
