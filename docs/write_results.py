"""Write docs/results.md: the columns of records.csv, and every metric of every analysis, from their specs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vitan.analysis.records import COLUMNS, KEY
from vitan.registry.plugins import installed
from vitan.registry.specs import Metric, ProbeSpec

PAGE = Path(__file__).with_name("results.md")

#: What stands in each column.
MEANINGS = {
    "analysis": "the analysis, as in `vitan list analyses`",
    "model": "the model; `NAME@FILE-123abc` with weights of your own",
    "other": "the second model, where the value is between two",
    "dataset": "the dataset",
    "metric": "what was measured; see below",
    "value": "the number; `nan` where there is none, and `gap` says why",
    "unit": "its unit, empty for a ratio",
    "low": "lower end of a 95 % interval of this value",
    "high": "upper end of it",
    "error": "standard error of this value",
    "better": "`higher`, `lower`, or empty where neither is better",
    "block": "block, from 0; empty for the whole model",
    "head": "head, from 0; empty for all heads together",
    "token": "`cls`, `mean-patch` (one vector), `patch-tokens`, `all-tokens`, or the token that an analysis looks from",
    "of": "what kind of thing it is of, if not of the whole: `image`, `class`, `category`, `object`, `condition`",
    "name": "which of these",
    "parameter": "what the analysis sweeps: `k`, `mass`, `alpha`, `batch`, `clusters`",
    "at": "at which value of it",
    "label": "a word that belongs to the value: the type of a head, `best`, `level with the best`",
    "gap": "why the value is `nan`, and nothing else",
    "n": "how many images, or queries, the value was computed from",
    "weights": "sha256 of the file of weights",
    "fingerprint": "of the dataset: the same for the same images",
    "view": "how an image becomes pixels: `crop`, `dense`, `squash`, `letterbox`, `thumbnail`",
    "protocol": "`paper` is the published code's way, `default` the correct one where they differ",
    "options": "options of the analysis that are not the defaults",
    "schema": "version of these columns; tables of before are brought to them, and keep theirs",
}

HEAD = """\
# Results: columns and metrics

`records.csv` at the root of a results folder holds every number below it, one a row; nothing has to be parsed out of
a name. No two rows share all of these columns: {key}.

This page is written from the analyses by `make docs/results.md`.

## In pandas and polars

One line each, since every column is a column:

    import pandas as pd
    records = pd.read_csv("results/records.csv")
    entropy = records.query("metric == 'entropy' and head.isna()")
    entropy.pivot(index="block", columns=["model", "token"], values="value")
    records[records.label == "best"][["analysis", "model", "metric", "block", "value", "low", "high"]]

    import polars as pl
    records = pl.read_csv("results/records.csv", infer_schema_length=None)
    entropy = records.filter(pl.col("metric") == "entropy", pl.col("head").is_null())
    entropy.pivot(["model", "token"], index="block", values="value")

`vitan.load_results("results").frame(metric="entropy")` is the first of these without the file.

## Columns
"""


def page() -> str:
    """The whole page."""
    plugins = installed()
    lines = [HEAD.format(key=", ".join(f"`{name}`" for name in KEY)), *_columns(), "", "## Metrics", ""]
    for provider, spec in plugins.probes:
        if provider.name == "vitan":
            lines += _metrics(spec)
    return "\n".join(lines).rstrip() + "\n"


def _columns() -> Iterator[str]:
    yield "| column | what it holds |"
    yield "|---|---|"
    for name in COLUMNS:
        yield f"| `{name}` | {MEANINGS[name]} |"


def _metrics(spec: ProbeSpec) -> Iterator[str]:
    yield f"### {spec.name}"
    yield ""
    yield spec.summary
    yield ""
    yield "| metric | what it is | unit | range | better | source |"
    yield "|---|---|---|---|---|---|"
    for metric in spec.metrics:
        better, unit = metric.better or "", metric.unit or ""
        yield f"| `{metric.name}` | {metric.summary} | {unit} | {_range(metric)} | {better} | {metric.source} |"
    yield ""


def _range(metric: Metric) -> str:
    ends = ["" if end is None else f"{end:.4g}" for end in (metric.low, metric.high)]
    return "" if not any(ends) else f"{ends[0] or '−∞'} … {ends[1] or '∞'}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
