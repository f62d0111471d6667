"""A report as one HTML page: style, script and numbers are inside, and its policy lets it ask for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..analysis.records import COLUMNS, Record
from ..version import __version__
from .content import Content, Made, facts_as_text, headline

#: The reference of a picture's source, as an ``<img>`` has it.
Source = Callable[[Path], str]
_KINDS = {".png": "image/png", ".gif": "image/gif"}
#: The columns that one chooses rows by; the search finds words of all.
_FILTERS = {*("analysis", "model", "other", "dataset", "metric", "block", "head"), *("token", "of", "at", "protocol")}
_NUMBERS = {field.name for field in fields(Record) if field.type in ("float", "float | None", "int", "int | None")}


def embedded(path: Path) -> str:
    """The picture itself as the source."""
    return f"data:{_KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def render(content: Content, source: Source = embedded, *, state: str = "") -> str:
    """The whole page. ``state`` is what a server that follows a run says of the folder; without, nothing is asked."""
    sections = {
        "made": ("How it was made", _made(content)),
        "warnings": (f"Gaps and warnings ({len(content.warnings)})", _warnings(content)),
        "blocks": ("Block by block", _blocks(content)),
        "records": ("All numbers", _records(content)),
        "figures": ("Figures", _figures(content, source)),
    }
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, (title, _) in sections.items())
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{escape(title)}</h2>{inner}</section>'
        for name, (title, inner) in sections.items()
    )
    models = len({record.model for record in content.records if record.model})
    return frame(
        content.title,
        f'<p class="lead">{_count(models, "model")}, {_count(len(content.records), "number")}, '
        f"{_count(sum(map(len, content.pictures.values())), 'figure')}. Written by vitan {escape(__version__)}.</p>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>{body}'
        '<dialog id="figure" aria-label="Figure"><form method="dialog"><button>Close</button></form>'
        '<div role="region" tabindex="0" aria-label="Figure at full size"><img alt=""></div></dialog>',
        state=state,
    )


def frame(title: str, body: str, *, state: str = "") -> str:
    """A page with that body, under a policy that allows nothing but what is inside, or the server it came from."""
    script, style = _asset("report.js"), _asset("report.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    own = "'self'" if state else "'none'"
    policy = f"default-src 'none'; img-src data: {own if state else ''}; connect-src {own}; base-uri 'none'; "
    policy += f"form-action 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        f'<!DOCTYPE html>\n<html lang="en" data-state="{escape(state)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)} · vitan</title><style>{style}</style></head><body>"
        f'<a class="skip" href="#content">Skip to the content</a><main id="content"><h1>{escape(title)}</h1>'
        f'{body}</main><script type="module">{script}</script></body></html>\n'
    )


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    """A table whose columns sort when their heads are pressed. Each row is what heads it, then its cells, as HTML."""
    columns = "".join(
        f'<th scope="col"><button type="button">{escape(head)}<span aria-hidden="true"></span></button></th>'
        for head in heads
    )
    body = "".join(f'<tr><th scope="row">{escape(first)}</th>{"".join(cells)}</tr>' for first, *cells in rows)
    kind = ' class="numbers"' if numbers else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table data-sorts{kind}>'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _made(content: Content) -> str:
    heads = ("model", "analysis", "dataset", "images", "view", "weights", "dtype", "vitan", "when")
    rows = [[name, *(f"<td>{escape(cell)}</td>" for cell in cells)] for name, *cells in map(_row, content.made)]
    if not rows:
        return "<p>Nothing here says how it was made; it may be imported.</p>"
    environments = "".join(f"<li>{escape(line)}</li>" for line in dict.fromkeys(m.environment for m in content.made))
    folders = "".join(
        f"<details><summary>{escape(made.place)}</summary><h3>Plan</h3><pre tabindex='0'>{escape(made.plan)}</pre>"
        f"<h3>Provenance</h3><pre tabindex='0'>{escape(facts_as_text(made))}</pre></details>"
        for made in content.made
    )
    return (
        table("One row for each analysis of each model", heads, rows)
        + f"<p>Made with</p><ul>{environments}</ul>"
        + f"<details><summary>Plans and provenance, folder by folder</summary>{folders}</details>"
    )


def _row(made: Made) -> tuple[str, ...]:
    skipped = len(made.facts.get("skipped") or ())
    images = made["dataset.images"] + (f", {skipped} left out" if skipped else "")
    weights = f"{made['weights.origin']} {made['weights.sha256'][:8]}"
    dtype = next((line.split(": ")[1] for line in made.plan.splitlines() if line.startswith("dtype: ")), "")
    when = made["when"].replace("T", " ")[:16]
    names = made["model.name"], made["probe.name"], made["dataset.name"]
    return *names, images, made["state.place.view"], weights, dtype, made["packages.vitan"], when


def _warnings(content: Content) -> str:
    if not content.warnings:
        return "<p>None: every value is there, and all models saw the same.</p>"
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in content.warnings) + "</ul>"


def _blocks(content: Content) -> str:
    """A table for each headline metric: a row for each model, a column for each block, shaded from least to most."""
    found = headline(content)
    if not found:
        return "<p>No analysis here has one value for each block.</p>"
    shown = []
    for number, (title, records) in enumerate(found.items()):
        blocks = sorted({record.block for record in records if record.block is not None})
        values = {(record.model, record.block): record for record in records}
        finite = [record.value for record in records if math.isfinite(record.value)] or [0.0]
        low, high = min(finite), max(finite)
        rows = [
            [model, *(_cell(values.get((model, block)), low, high) for block in blocks)]
            for model in dict.fromkeys(record.model for record in records)
        ]
        inner = table(title, ["model", *map(str, blocks)], rows, numbers=True)
        shown.append(f"<details{' open' if not number else ''}><summary>{escape(title)}</summary>{inner}</details>")
    return "<p>Blocks count from 0; the shade runs from the least value of a table to its largest.</p>" + "".join(shown)


def _cell(record: Record | None, low: float, high: float) -> str:
    if record is None:
        return "<td></td>"
    if not math.isfinite(record.value):
        return f'<td title="{escape(record.gap)}">{record.value}</td>'
    share = (record.value - low) / (high - low) if high > low else 0.0
    interval = "" if record.low is None or record.high is None else f" [{record.low!r}, {record.high!r}]"
    return f'<td style="--share:{share:.3f}" title="{record.value!r}{interval}">{record.value:.4g}</td>'


def _records(content: Content) -> str:
    """The numbers as columns for the script, which makes the table; what is the same in all rows is said once."""
    columns = [(name, [getattr(record, name) for record in content.records]) for name in COLUMNS]
    same = [(name, values[0]) for name, values in columns if len(set(values)) == 1]
    varying = [(name, values) for name, values in columns if len(set(values)) > 1]
    said = ", ".join(f"{escape(name)} {escape(str(value))}" for name, value in same if value not in ("", None))
    data = json.dumps([_column(name, values) for name, values in varying], allow_nan=False, separators=(",", ":"))
    return (
        (f"<p>The same in every row: {said}.</p>" if said else "")
        + '<div id="explore"><noscript>Without scripts, see records.csv in the folder of the results.</noscript></div>'
        + f'<script type="application/json" id="numbers">{data.replace("<", chr(92) + "u003c")}</script>'
    )


def _column(name: str, values: Sequence[Any]) -> dict[str, Any]:
    about = {"name": name, "filter": name in _FILTERS}
    if name in _NUMBERS:
        return {**about, "values": [_plain(value) for value in values]}
    words = list(dict.fromkeys(values))
    place = {word: number for number, word in enumerate(words)}
    return {**about, "words": words, "values": [place[value] for value in values]}


def _plain(value: float | None) -> float | str | None:
    """What JSON can hold: None stays nothing, and what is not finite becomes its name."""
    return value if value is None or math.isfinite(value) else str(value)


def _figures(content: Content, source: Source) -> str:
    if not content.pictures:
        return "<p>None was drawn, or none was asked for.</p>"
    return "".join(_shelf(place, paths, source) for place, paths in content.pictures.items())


def _shelf(place: str, paths: Sequence[Path], source: Source) -> str:
    first, *rest = place.split("/")
    title = " · ".join((first if first != "comparison" else "between models", *reversed(rest)))
    pictures = "".join(
        f'<figure><button type="button"><img src="{escape(source(path))}" alt="{escape(f"{title}: {path.stem}")}" '
        f'loading="lazy" decoding="async"></button><figcaption>{escape(path.stem)}</figcaption></figure>'
        for path in paths
    )
    opened = " open" if first == "comparison" else ""
    summary = f"<summary>{escape(title)} ({len(paths)})</summary>"
    return f'<details{opened}>{summary}<div class="shelf">{pictures}</div></details>'


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
