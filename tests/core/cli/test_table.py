"""``vitan table`` says what keeps its rows from being compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vitan.analysis.records import Record
from vitan.analysis.tables import to_csv


def curve(**changes: Any) -> list[Record]:
    """Two blocks, of which the second is the better one."""
    known: dict[str, Any] = {
        **{"metric": "acc", "better": "higher", "token": "cls", "n": 40, "model": "a-B16", "weights": "1" * 64},
        **{"dataset": "dots", "fingerprint": "f" * 32, "view": "crop", "analysis": "knn"},
        **changes,
    }
    return [Record(block=0, value=50.0, **known), Record(block=1, value=60.0, **known)]


def write(records: list[Record], root: Path) -> None:
    """Records in the folder of the first one's model."""
    folder = root / f"{records[0].model}-{records[0].weights[:1]}" / "dots" / "knn"
    folder.mkdir(parents=True)
    (folder / "records.csv").write_text(to_csv(records), encoding="utf-8")


def test_the_table_says_what_its_rows_differ_in(bare: Any, tmp_path: Path) -> None:
    write(curve(), tmp_path)
    write(curve(model="b-B16", n=280, options="temperature=0.1"), tmp_path)
    write(curve(weights="2" * 64), tmp_path)
    lines = bare("table", tmp_path).out.splitlines()
    assert lines[1] == "  not alike in n and options and weights: compare only rows that agree there"
    assert lines[2].split()[-3:] == ["n", "options", "weights"]
    assert sorted(line.split()[-3:] for line in lines[3:]) == [
        ["280", "temperature=0.1", "11111111"],
        ["40", "default", "11111111"],
        ["40", "default", "22222222"],
    ]


def test_a_table_of_what_is_alike_has_no_more_to_say(bare: Any, tmp_path: Path) -> None:
    write(curve(), tmp_path)
    write(curve(model="b-B16", weights="2" * 64), tmp_path)
    out = bare("table", tmp_path).out
    assert "not alike" not in out
    assert "options" not in out


def test_json_has_all_that_could_differ(bare: Any, tmp_path: Path) -> None:
    write(curve(options="k=1"), tmp_path)
    (row,) = json.loads(bare("table", tmp_path, "--json").out)
    assert (row["n"], row["options"], row["weights"], row["fingerprint"]) == (40, "k=1", "1" * 64, "f" * 32)


def test_a_table_for_a_paper(bare: Any, tmp_path: Path) -> None:
    write(curve(), tmp_path)
    write(curve(model="b-B16", weights="2" * 64), tmp_path)
    out = bare("table", tmp_path, "--format", "latex").out
    assert out.startswith("\\begin{tabular}{lr}\n\\toprule\n & acc cls \\\\\n")
    assert bare("table", tmp_path, "--format", "md", "--rows", "task").out.splitlines()[0] == "|  | a-B16 | b-B16 |"
    write(curve(model="c-B16", n=7), tmp_path)
    refused = bare("table", tmp_path, "--format", "md")
    assert refused.code == 2
    assert "not alike in n" in refused.err


RECIPES = """
from pathlib import Path
from vitan import RecipeSpec, hookimpl


@hookimpl
def vitan_recipes():
    yield RecipeSpec(name="corpus", summary="known", plan=Path({plan!r}), records=Path({records!r}))
    yield RecipeSpec(name="bare", summary="not run yet", plan=Path({plan!r}))
"""


def test_other_results_stand_beside_ones_own(bare: Any, tmp_path: Path) -> None:
    """Those of a recipe or of a folder, of the same analysis and dataset alone."""
    own, others, plugin = tmp_path / "own", tmp_path / "others", tmp_path / "recipes.py"
    write(curve(), own)
    write([*curve(model="b-B16"), *curve(model="b-B16", analysis="retrieval"), *curve(model="c", dataset="x")], others)
    (records,) = others.glob("*/*/*/records.csv")
    plugin.write_text(RECIPES.format(plan=str(tmp_path / "plan.yaml"), records=str(records)))
    for against in ("corpus", others):
        out = bare("-p", plugin, "table", own, "--against", against).out
        assert [line.split()[2] for line in out.splitlines()[2:]] == ["a-B16", "b-B16"]
    for against, part in (("bare", "vitan show bare"), ("nowhere", "(corpus)")):
        ran = bare("-p", plugin, "table", own, "--against", against)
        assert (ran.code, part in ran.err) == (2, True)
    write(curve(dataset="elsewhere"), tmp_path / "other")
    ran = bare("-p", plugin, "table", tmp_path / "other", "--against", "corpus")
    assert "nothing of the same analysis and dataset; it has knn on dots" in ran.err
