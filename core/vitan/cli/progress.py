"""How far a run is, on stderr: bars on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from .text import duration, shorten, size, terminal_width

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, Task, TaskID
    from rich.text import Text

#: Seconds between two lines about one pass in a log.
_EVERY = 60.0
#: Columns of a bar, and of everything beside a title: 12000/12000 images, 123.4 images/s, 0:12:34.
_BAR, _BESIDE = 14, 54


def reporter() -> Bars | Lines:
    """What a run reports to (a ``vitan.engine.progress.Reporter``): bars if stderr is a terminal, lines otherwise."""
    return Bars() if sys.stderr.isatty() else Lines()


class _Pace:
    """How fast images are computed, and how long the rest may take; those found stored count for neither."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.reused = total, 0, 0
        self.start = self._last = time.monotonic()
        self._busy = 0.0

    def advance(self, images: int, reused: bool) -> float:
        """So many more images are done; the time."""
        now = time.monotonic()
        self._busy += 0.0 if reused else now - self._last
        self.done, self.reused, self._last = self.done + images, self.reused + images * reused, now
        return now

    @property
    def rate(self) -> float:
        """Images per second, of those that were computed; 0 where none was."""
        return (self.done - self.reused) / max(self._busy, 1e-9)

    def left(self) -> float | None:
        """Seconds for the rest, if all of it has to be computed; None where nothing can be told."""
        return (self.total - self.done) / self.rate if self.rate else None


class Lines:
    """A line when a pass begins, one a minute, and one at the end; and one for each figure."""

    def __init__(self) -> None:
        self._pace, self._said = _Pace(0), 0.0
        self._fetching: dict[str, float] = {}
        self._drawing = False

    def begin(self, title: str, total: int) -> None:
        """A pass starts."""
        self._pace = _Pace(total)
        self._said = self._pace.start
        self.note(f"{title}: {total} images")

    def advance(self, images: int, *, reused: bool = False) -> None:
        """So many more images are done."""
        pace, now = self._pace, self._pace.advance(images, reused)
        if now - self._said > _EVERY and pace.done < pace.total:
            self._said, left = now, pace.left()
            rest = "" if left is None else f", {pace.rate:.1f} images/s, {duration(left)} left"
            self.note(f"  {pace.done} of {pace.total} images{rest}")

    def begin_drawing(self, what: str) -> None:
        """Figures are drawn from now on."""
        self._drawing, self._done, self._start = True, 0, time.monotonic()
        self.note(f"  drawing {what}")

    def drawn(self, name: str) -> None:
        """One more figure is saved."""
        self._done += 1
        self.note(f"    {name}")

    def end(self) -> None:
        """The pass is over, perhaps early, or the drawing."""
        if self._drawing:
            self._drawing, seconds = False, time.monotonic() - self._start
            self.note(f"  drew {self._done} figure{'s' * (self._done != 1)} in {seconds:.1f} s")
            return
        pace = self._pace
        seconds = pace.advance(0, reused=pace.done == pace.reused) - pace.start
        word = "done" if pace.done == pace.total else f"stopped at {pace.done} of {pace.total}"
        rate = f", {pace.rate:.1f} images/s" if pace.rate else ""
        stored = f", {pace.reused} of them from stored state" if pace.reused else ""
        self.note(f"  {word}: {pace.done} images in {seconds:.1f} s{stored}{rate}")

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
        self._pace = _Pace(0)

    def begin(self, title: str, total: int) -> None:
        """A pass starts."""
        self._pace = _Pace(total)
        self._open(_pass_columns(self._pace), title, total)

    def advance(self, images: int, *, reused: bool = False) -> None:
        """So many more images are done."""
        self._pace.advance(images, reused)
        if self._progress and self._task is not None:
            self._progress.advance(self._task, images)

    def begin_drawing(self, what: str) -> None:
        """Figures are drawn from now on, nobody knows how many."""
        self._open(_drawing_columns(), f"  drawing {what}", None)

    def drawn(self, name: str) -> None:
        """One more figure is saved; the bar shows its name."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, advance=1, name=name)

    def end(self) -> None:
        """The pass, or the drawing, is over; its bar stays where it is."""
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
        room = max(20, terminal_width() - _BESIDE)
        self._task = self._progress.add_task(shorten(title, room), total=total, name="")


def _pass_columns(pace: _Pace) -> list[ProgressColumn]:
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, SpinnerColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Images per second."""

        def render(self, task: Task) -> Text:  # noqa: ARG002  # as columns are called
            return Text(f"{pace.rate:.1f} images/s" if pace.rate else "", style="progress.data.speed")

    class Left(ProgressColumn):
        """The time that the rest takes, and at the end the time that all of it took."""

        def render(self, task: Task) -> Text:
            seconds = task.finished_time if task.finished else pace.left()
            shown = "-:--:--" if seconds is None else str(timedelta(seconds=round(seconds)))
            return Text(shown, style="progress.elapsed" if task.finished else "progress.remaining")

    return [SpinnerColumn(), _title(), BarColumn(bar_width=_BAR), MofNCompleteColumn(), Rate(), Left()]


def _drawing_columns() -> list[ProgressColumn]:
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

    count = TextColumn("{task.completed} figures")
    name = TextColumn("{task.fields[name]}", markup=False)
    return [SpinnerColumn(), _title(), BarColumn(bar_width=_BAR), count, TimeElapsedColumn(), name]


def _download_columns() -> list[ProgressColumn]:
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    rest = [DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    return [_title(), BarColumn(bar_width=_BAR), *rest]


def _title() -> ProgressColumn:
    from rich.progress import TextColumn

    return TextColumn("{task.description}", markup=False)
