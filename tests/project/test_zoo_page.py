"""``docs/zoo.md`` is what the cards say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_cards_say() -> None:
    spec = importlib.util.spec_from_file_location("write_zoo", ROOT / "docs" / "write_zoo.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (ROOT / "docs" / "zoo.md").read_text("utf-8") == script.page(), "run 'make docs/zoo.md'"
