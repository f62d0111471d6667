"""How far a run is, on stderr: bars on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from .text import duration, shorten, size, terminal_width

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, Task, TaskID
    from rich.text import Text

#: Seconds between two lines about one pass in a log.
_EVERY = 60.0
#: Seconds in which no image was computed, but stored state found; a rate would say nothing.
_NOTHING = 0.01
#: Columns of a bar, and of everything beside a title: 12000/12000 images, 123.4 images/s, 0:12:34.
_BAR, _BESIDE = 14, 54


def reporter() -> Bars | Lines:
    """What a run reports to (a ``vitan.engine.progress.Reporter``): bars if stderr is a terminal, lines otherwise."""
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """A line when a pass begins, one a minute, and one at the end."""

    def __init__(self) -> None:
        self._total = self._done = 0
        self._start = self._said = 0.0
        self._fetching: dict[str, float] = {}

    def begin(self, title: str, total: int) -> None:
        """A pass starts."""
        self._total, self._done = total, 0
        self._start = self._said = time.monotonic()
        self.note(f"{title}: {total} images")

    def advance(self, images: int) -> None:
        """So many more images are done."""
        self._done += images
        now = time.monotonic()
        if now - self._said > _EVERY and self._done < self._total:
            self._said = now
            rate = self._done / (now - self._start)
            left = duration((self._total - self._done) / rate)
            self.note(f"  {self._done} of {self._total} images, {rate:.1f} images/s, {left} left")

    def end(self) -> None:
        """The pass is over, perhaps early."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        word = "done" if self._done == self._total else f"stopped at {self._done} of {self._total}"
        rate = f", {self._done / seconds:.1f} images/s" if seconds > _NOTHING else ""
        self.note(f"  {word}: {self._done} images in {seconds:.1f} s{rate}")

    def note(self, text: str) -> None:
        """Something the user should know."""
        print(text, file=sys.stderr, flush=True)

    def download(self, description: str, done: int, total: int | None) -> None:
        """A file is being fetched."""
        if description not in self._fetching:
            self._fetching[description] = time.monotonic()
            self.note(f"fetching {description}" + (f" ({size(total)})" if total else ""))
        if total and done >= total:
            seconds = max(time.monotonic() - self._fetching.pop(description), 1e-9)
            self.note(f"  fetched {size(done)} in {seconds:.1f} s, {size(done / seconds)}/s")

    def close(self) -> None:
        """Nothing to leave."""


class Bars:
    """Bars with rate and time left."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._fetching = ""

    def begin(self, title: str, total: int) -> None:
        """A pass starts."""
        self._open(_pass_columns(), title, total)

    def advance(self, images: int) -> None:
        """So many more images are done."""
        if self._progress and self._task is not None:
            self._progress.advance(self._task, images)

    def end(self) -> None:
        """The pass is over; its bar stays where it is."""
        self.close()

    def note(self, text: str) -> None:
        """Something the user should know, above the bar."""
        if self._progress:
            self._progress.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def download(self, description: str, done: int, total: int | None) -> None:
        """A file is being fetched."""
        if description != self._fetching:
            self._open(_download_columns(), description, total)
            self._fetching = description
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)
        if total and done >= total:
            self.close()

    def close(self) -> None:
        """Stop drawing, so that others may write."""
        if self._progress:
            self._progress.stop()
        self._progress, self._task, self._fetching = None, None, ""

    def _open(self, columns: list[ProgressColumn], title: str, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self.close()
        # stdout is for data and never goes through the bar
        self._progress = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
        self._progress.start()
        self._task = self._progress.add_task(shorten(title, max(20, terminal_width() - _BESIDE)), total=total)


def _pass_columns() -> list[ProgressColumn]:
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Images per second."""

        def render(self, task: Task) -> Text:
            rate = task.finished_speed or task.speed
            return Text(f"{rate:.1f} images/s" if rate else "", style="progress.data.speed")

    rest = [MofNCompleteColumn(), Rate(), TimeRemainingColumn(elapsed_when_finished=True)]
    return [SpinnerColumn(), _title(), BarColumn(bar_width=_BAR), *rest]


def _download_columns() -> list[ProgressColumn]:
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    rest = [DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    return [_title(), BarColumn(bar_width=_BAR), *rest]


def _title() -> ProgressColumn:
    from rich.progress import TextColumn

    return TextColumn("{task.description}", markup=False)
