"""The report is one file that holds everything below a folder, and asks for nothing."""

from __future__ import annotations

import base64
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import vitan
from vitan.analysis.records import Record
from vitan.errors import OptionError, StoreError, UsageError
from vitan.reports.content import gather
from vitan.reports.page import render

from .conftest import Write, values

_EMPTY = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """A page taken apart: tags in balance, cells by row, attributes, and what scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.rows: list[list[str]] = []
        self.said, self.scripts = "", {}
        self._script = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        self._script = dict(attrs).get("id") or dict(attrs).get("type") or "" if tag == "script" else ""
        self.open += [] if tag in _EMPTY else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        elif self.open and self.open[-1] != "style":
            self.said += data
            if {"td", "th"} & set(self.open):
                self.rows[-1][-1] += data


def stored(page: Page) -> list[dict[str, Any]]:
    """The rows that the script is given."""
    columns = json.loads(page.scripts["numbers"])
    cells = [[c["words"][v] if "words" in c else v for v in c["values"]] for c in columns]
    return [dict(zip([c["name"] for c in columns], row, strict=True)) for row in zip(*cells, strict=True)]


def test_it_is_one_file_in_the_folder_that_asks_for_nothing(root: Path, write: Write) -> None:
    folder = write(values())
    path = vitan.report(root)
    page = Page(path.read_text(encoding="utf-8"))
    assert path == root / "report.html"
    assert page.open == []
    sources = [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action", "poster")]
    assert all(value.startswith(("data:", "#")) or not value for value in sources)
    policy = next(value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    (picture,) = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert base64.b64decode(picture.partition(",")[2]) == (folder / "curve.png").read_bytes()


def test_every_number_of_a_metric_that_nobody_knows_is_there(root: Path, write: Write) -> None:
    write(values())
    folder = write([*values("b-B16"), Record(metric="lost", value=float("nan"), gap="no dots", analysis="stranger")])
    page = Page(render(gather(root)))
    with (folder / "records.csv").open(encoding="utf-8") as file:
        expected = [float(row["value"]) for row in csv.DictReader(file)]
    assert [row["value"] for row in stored(page)] == [*expected[:3], *expected[:3], "nan"]
    assert ["a-B16", "0.25", "10", "2"] in page.rows
    assert "stranger · dots · surprise (bits)" in page.said
    assert "stranger of : lost has no value: no dots" in page.said


def test_it_says_how_numbers_were_made_and_what_keeps_them_apart(root: Path, write: Write) -> None:
    write(values(), skipped=[{"index": 2, "why": "it is torn"}])
    write(values("b-B16"), dataset={"name": "dots", "fingerprint": "g", "images": 9})
    write(values("c-B16"))
    (root / "c-B16/dots/stranger/provenance.json").unlink()
    page = Page(render(gather(root)))
    row = ["a-B16", "stranger", "dots", "3, 1 left out", "crop", "here 01234567", "float32", "1", "2026-01-02 03:04"]
    assert row in page.rows
    assert "a-B16/dots/stranger: image 2 was left out: it is torn" in page.said
    assert "stranger on dots: models differ in images and number of images" in page.said
    assert "c-B16/dots/stranger: how this was made is not written there" in page.said


def test_what_is_alike_has_no_warning(root: Path, write: Write) -> None:
    write(values())
    write(values("b-B16"))
    assert gather(root).warnings == ()


def test_names_are_text_wherever_they_stand(root: Path, write: Write) -> None:
    evil = "</script><img src=x onerror=alert(1)>\"'&"
    write(values(evil, metric=evil, token=evil), headline=[evil], figure="a'\"b.png", dataset={"name": evil})
    page = Page(render(gather(root)))
    assert page.open == []
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert {row["block"]: row["value"] for row in stored(page)} == {0: 0.25, 1: 10.0, 2: 2.0}
    assert evil in page.said


def test_figures_are_all_or_those_between_models_or_none(root: Path, write: Write) -> None:
    single = write(values())
    between = root / "comparison/dots/stranger"
    between.mkdir(parents=True)
    (between / "models.json").write_text('["a-B16", "b-B16"]', encoding="utf-8")
    (between / "compare.png").write_bytes((single / "curve.png").read_bytes())
    counted = {shown: sum(map(len, gather(root, shown).pictures.values())) for shown in ("all", "comparisons", "none")}
    assert counted == {"all": 2, "comparisons": 1, "none": 0}
    assert list(gather(root).pictures) == ["comparison/dots/stranger", "a-B16/dots/stranger"]


def test_the_same_folder_gives_the_same_page(root: Path, write: Write) -> None:
    write(values())
    assert vitan.report(root).read_bytes() == vitan.report(root).read_bytes()


def test_what_cannot_be_reported_is_said(root: Path, write: Write, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no results"):
        vitan.report(root)
    write(values())
    with pytest.raises(OptionError, match="figures: 'some'"):
        vitan.report(root, figures="some")
    with pytest.raises(UsageError, match="cannot be written"):
        vitan.report(root, output=tmp_path)


def test_the_script_is_the_one_that_the_policy_allows(root: Path, write: Write) -> None:
    import hashlib

    write(values())
    text = render(gather(root))
    digest = re.search(r"sha256-([^']+)'", text)[1]
    script = Page(text).scripts["module"]
    assert base64.b64decode(digest) == hashlib.sha256(script.encode()).digest()


def test_the_command_says_where_the_page_is(root: Path, write: Write, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from vitan.cli import main

    write(values())
    done = CliRunner().invoke(main, ["report", str(root), "-o", str(tmp_path / "out.html"), "--figures", "none"])
    assert done.exit_code == 0
    assert done.output.split()[0] == str(tmp_path / "out.html")
    assert (tmp_path / "out.html").read_text(encoding="utf-8") == render(gather(root, "none"))
