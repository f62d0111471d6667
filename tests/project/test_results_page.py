"""``docs/results.md``: written from the specs, and what it shows works."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from types import ModuleType

import pytest

from scripts import load_script
from vitan.analysis.records import COLUMNS
from vitan.analysis.tables import from_csv, to_csv

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "core" / "analysis" / "data" / "records-schema-2.csv.gz"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script(ROOT / "docs" / "write_results.py")


def test_the_page_is_what_the_specs_say(script: ModuleType) -> None:
    assert (ROOT / "docs" / "results.md").read_text("utf-8") == script.page(), "run 'make docs/results.md'"


def test_every_column_is_explained(script: ModuleType) -> None:
    assert list(script.MEANINGS.keys() ^ set(COLUMNS)) == []


def test_every_metric_that_an_analysis_gives_is_on_the_page(script: ModuleType) -> None:
    text = script.page()
    records = from_csv(gzip.decompress(OLD.read_bytes()).decode())
    missing = {record.metric for record in records if f"| `{record.metric}` |" not in text}
    assert missing == set()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_lines_for_frames_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    pytest.importorskip(library)
    (tmp_path / "results").mkdir()
    records = from_csv(gzip.decompress(OLD.read_bytes()).decode())
    (tmp_path / "results" / "records.csv").write_text(to_csv(records), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    blocks = re.findall(r"(?:^    .*\n)+", page, flags=re.M)
    (code,) = (block for block in blocks if f"import {library}" in block)
    lines = re.sub(r"^    ", "", code, flags=re.M)
    names: dict[str, object] = {}
    exec(compile(lines, "results.md", "exec"), names)
    last = lines.strip().splitlines()[2 if library == "pandas" else -1]
    assert len(names["records"]) == len(records)  # type: ignore[arg-type]
    assert last
