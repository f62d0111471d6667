"""The corpus: its records are of the models that are shipped, and pages say what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from scripts import load_script
from vitan.analysis.records import Record
from vitan.results.folder import read_table
from vitan_models.tiny import cards

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    return load_script(DOCS / "write_corpus.py")


@pytest.fixture(scope="module")
def records(corpus: ModuleType) -> tuple[Record, ...]:
    return read_table(corpus.RECORDS)


def test_pages_say_what_the_records_say(corpus: ModuleType, records: tuple[Record, ...]) -> None:
    found = list(corpus.pages(records))
    assert found
    for path, text, wanted in found:
        assert text == wanted, f"{path}: run 'make docs/corpus'"


def test_a_record_that_changes_changes_its_page(corpus: ModuleType, records: tuple[Record, ...]) -> None:
    text = "before\n<!-- corpus: tiny-tasks -->\n<!-- end -->\nafter\n"
    shown = corpus.filled(text, records)
    assert shown.count("|") > 10 * len(corpus.TINY)
    assert corpus.filled(shown, records) == shown
    other = [replace(r, value=r.value / 2) if r.metric == "knn-top1" else r for r in records]
    assert corpus.filled(shown, other) != shown


def test_the_corpus_is_of_the_weights_that_are_shipped(corpus: ModuleType, records: tuple[Record, ...]) -> None:
    digests = {f"tiny-{name}": card["files"]["end"]["sha256"] for name, card in cards().items()}
    assert set(digests) < set(corpus.TINY)
    for model, digest in digests.items():
        assert {r.weights for r in records if r.model == model} == {digest}, f"{model}: run 'make corpus'"


def test_every_task_is_there_for_every_model_in_every_world(corpus: ModuleType, records: tuple[Record, ...]) -> None:
    for task in corpus.TASKS:
        for model in corpus.TINY:
            worlds = {r.fingerprint for r in records if r.model == model and task.has(r)}
            assert len(worlds) == len(corpus.SEEDS) + 1, f"{task.called} of {model}"
