"""Best blocks as tables for papers and pages."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from vitan.analysis.records import Record
from vitan.errors import MismatchError
from vitan.results.best import best_blocks
from vitan.results.matrix import Matrix, matrix, written


def record(model: str, value: float, low: float | None = None, high: float | None = None, **more: Any) -> Record:
    known: dict[str, Any] = {"metric": "acc", "better": "higher", "unit": "%", "block": 3, "analysis": "knn", "n": 40}
    return Record(model=model, value=value, low=low, high=high, **{**known, "dataset": "dots", "view": "crop", **more})


def table_of(*records: Record) -> Matrix:
    return matrix(best_blocks(records), {each.metric: each.better for each in records})


HAND = (
    record("a_B16", 71.25, 69, 73),
    record("b&B16", 60.0, 57, 63),
    record("a_B16", 0.5, metric="error", better="lower", unit=""),
    record("b&B16", 0.25, metric="error", better="lower", unit=""),
    record("c", 0.75, metric="error", better="lower", unit=""),
)


def test_markdown_by_hand() -> None:
    assert written(table_of(*HAND), "md") == (
        "|  | acc | error |\n"
        "| --- | ---: | ---: |\n"
        "| a_B16 | **71.2** | 0.500 |\n"
        "| b&B16 | 60.0 | 0.250 |\n"
        "| c | – | 0.750 |\n"
    )  # fmt: skip


def test_latex_by_hand() -> None:
    assert written(table_of(*HAND), "latex", rows="task", intervals=True) == (
        "\\begin{tabular}{lrrr}\n\\toprule\n"
        " & a\\_B16 & b\\&B16 & c \\\\\n\\midrule\n"
        "acc & \\textbf{71.2} (69.0--73.0) & 60.0 (57.0--63.0) & -- \\\\\n"
        "error & 0.500 & 0.250 & 0.750 \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
    )


def test_csv_has_every_fact_of_every_cell() -> None:
    rows = list(csv.DictReader(io.StringIO(written(table_of(*HAND), "csv"))))
    assert [(row["model"], row["metric"], float(row["value"]), row["apart"]) for row in rows] == [
        ("a_B16", "acc", 71.25, "1"),
        ("b&B16", "acc", 60.0, "0"),
        ("a_B16", "error", 0.5, "0"),
        ("b&B16", "error", 0.25, "0"),
        ("c", "error", 0.75, "0"),
    ]
    assert rows[0]["block"] == "3"
    assert rows[2]["low"] == ""


@pytest.mark.parametrize(
    ("first", "second", "better", "bold"),
    [
        ((5, 4, 6), (3, 2, 3.9), "higher", [True, False]),
        ((5, 4, 6), (3, 2, 4), "higher", [False, False]),  # they touch
        ((5, 4, 6), (3, 2, 3.9), "lower", [False, True]),
        ((5, None, None), (3, 2, 4), "higher", [False, False]),
        ((5, 4, 6), (3, None, None), "higher", [False, False]),
    ],
)
def test_bold_is_what_no_other_interval_reaches(first: Any, second: Any, better: str, bold: list[bool]) -> None:
    table = table_of(record("a", *first, better=better), record("b", *second, better=better))
    assert [cell.bold for cell in table.cells.values()] == bold


def test_a_model_alone_is_not_the_best_of_anything() -> None:
    assert "**" not in written(table_of(record("a", 5, 4, 6)), "md")


def test_tasks_are_told_apart_by_what_differs() -> None:
    records = [record("a", 5, analysis=name, token=token) for name in ("knn", "probe") for token in ("cls", "patch")]
    assert written(table_of(*records), "md").splitlines()[0] == (
        "|  | knn acc cls | knn acc patch | probe acc cls | probe acc patch |"
    )


def test_what_cannot_be_compared_makes_no_table() -> None:
    with pytest.raises(MismatchError, match="not alike in n, so that one table would mislead"):
        table_of(record("a", 5), record("b", 6, n=80))


@pytest.mark.parametrize("text", ["a&b", "50%", "$x$", "a_b", "#1", "{x}", "~", "^2", "back\\slash"])
def test_names_are_read_by_latex_as_they_are(text: str) -> None:
    """No letter that means something to LaTeX stands alone."""
    latex = written(table_of(record(text, 5), record("b", 4)), "latex").splitlines()[4]
    name = latex.partition(" & 5.0")[0]
    bare = re.sub(r"\\text(backslash|asciitilde|asciicircum)\{\}|\\[&%$#_{}]", "", name)
    assert not re.search(r"[&%$#_{}~^\\]", bare)


def test_a_pipe_stays_in_its_cell() -> None:
    assert "| a\\|b |" in written(table_of(record("a|b", 5)), "md")
