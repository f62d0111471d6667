"""What every error of vitan does with its message."""

from __future__ import annotations

import pytest

from vitan.cli.text import columns, paragraph
from vitan.errors import DataError, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode 漢字 👩‍🚀\n\tsecond", "plain, ünïcode 漢字 👩‍🚀\n\tsecond"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x07\x00", "a\\rb\\x07\\x00"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\udcff", "\\udcff"),
        ("\u2028", "\\u2028"),
    ],
)
def test_nothing_commands_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == printable(shown) == shown
    assert str(DataError(text)) == shown
    assert columns([[f"<{text}>"]]) == [f"<{shown}>"]
    assert printable(paragraph(text)) == paragraph(text)
