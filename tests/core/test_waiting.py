"""Telling how far something has got."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.progress import Progress

from vitan import waiting


@pytest.mark.parametrize(("patience", "told"), [(-1.0, True), (100.0, False)])
def test_a_bar_is_shown_to_those_who_wait(monkeypatch: pytest.MonkeyPatch, patience: float, told: bool) -> None:
    screen = StringIO()
    monkeypatch.setattr(waiting, "_PATIENCE", patience)
    monkeypatch.setattr(waiting, "_bar", lambda: Progress(console=Console(file=screen, force_terminal=True)))
    assert list(waiting.shown(iter("abc"), 3, "counting letters")) == ["a", "b", "c"]
    assert ("counting letters" in screen.getvalue() and "100%" in screen.getvalue()) is told


def test_nothing_is_shown_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    with waiting._bar() as bar:
        bar.add_task("counting", total=1)
    assert capfd.readouterr() == ("", "")
