"""Telling who waits how far something has got."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

_Item = TypeVar("_Item")
_PATIENCE = 1.0  # seconds that nobody has to be told about


def shown(items: Iterator[_Item], count: int, doing: str) -> Iterator[_Item]:
    """The items, of which there are ``count``; when they take longer than a second, a bar on stderr says how far it is.

    It is there where stderr is a terminal, and gone at the end.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        bar: Progress | None = None
        for number, item in enumerate(items, 1):
            if bar is None and time.monotonic() - began > _PATIENCE:
                bar = stack.enter_context(_bar())
                bar.add_task(doing, total=count)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=number)
            yield item


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
