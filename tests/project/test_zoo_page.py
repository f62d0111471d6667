"""``docs/zoo.md`` is what the cards say."""

from __future__ import annotations

from pathlib import Path

from scripts import load_script

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_cards_say() -> None:
    script = load_script(ROOT / "docs" / "write_zoo.py")
    assert (ROOT / "docs" / "zoo.md").read_text("utf-8") == script.page(), "run 'make docs/zoo.md'"
