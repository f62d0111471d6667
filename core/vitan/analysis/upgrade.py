"""Tables of records from before they were a schema, brought to today's columns; the way back does not exist.

There a statistic was the end of a metric's name, what was swept was always ``k``, and ``group`` held whatever else
there was to say: what a value is of, a token, a list of blocks, a type of head, the reason for a missing value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

from .records import BEST, LEVEL

Row: TypeAlias = "dict[str, str]"

_BOUNDS = {"-low": "low", "-high": "high", "-se": "error"}
_BEST_BLOCK = "-best-block"
#: What an analysis called ``k``, where it was no number of neighbours or ranks.
_PARAMETERS = {
    **dict.fromkeys(("cka", "residual"), "batch"),
    **dict.fromkeys(("clustering", "segments", "segments-dense", "attention"), "clusters"),
    **dict.fromkeys(("saliency", "attention-maps"), "mass"),
    **{"keypoints": "alpha", "spectrum": "cut-off"},
}
_POOLED = {"cls": "cls", "patches": "mean-patch"}
_KINDS = {"all": "all-tokens", "cls": "cls", "spatial": "patch-tokens", "patches": "mean-patch"}
_SOURCES = {"cls": "cls", "patches": "patch-tokens", "center": "centre-patch"}
#: Metrics that were of one token without saying so.
_SILENT = {
    **{"position-deviation": "patch-tokens", "patch-to-cls": "patch-tokens", "value-weighted-cls": "all-tokens"},
    **dict.fromkeys(("skip-branch-cka-attention", "skip-branch-cka-mlp"), "all-tokens"),
    **dict.fromkeys(("token-norm", "outlier-share", "outlier-images"), "patch-tokens"),
}
_PLACE = ("analysis", "model", "other", "dataset", "view", "protocol", "block", "head", "k")
#: How many queries a mean was over was a record of its own.
_COUNTS = re.compile(r"(map-\w+)-queries")


def upgraded(rows: Iterable[Mapping[str, str | None]]) -> list[Row]:
    """Rows with today's columns: intervals and errors beside their value, and each word of ``group`` in its place."""
    plain = [{name: value or "" for name, value in row.items()} for row in rows]
    metrics = {row.get("metric", "") for row in plain}
    values = [row for row in plain if not _is_statistic(row, metrics)]
    statistics = {(*_place(row), row.get("group", ""), row.get("metric", "")): row for row in plain}
    tokens = {_place(row)[:4]: _POOLED[row["group"]] for row in plain if row.get("group") in _POOLED}
    made = [_row(row, statistics, tokens) for row in values]
    for row in plain:
        if row.get("metric", "").endswith(_BEST_BLOCK):
            _mark_best(row, made)
        elif row.get("metric", "").endswith("-best-fixed-head") and row.get("head"):
            _mark_head(row, made)
        elif match := _COUNTS.fullmatch(row.get("metric", "")):
            _count(row, match[1], made)
    return made


def _is_statistic(row: Row, metrics: Collection[str]) -> bool:
    """Whether it says something of another record, and is none of its own."""
    metric = row.get("metric", "")
    end = next((end for end in (*_BOUNDS, _BEST_BLOCK) if metric.endswith(end)), None)
    of_another = end is not None and metric.removesuffix(end) in metrics
    fixed = metric.endswith("-best-fixed-head") and row.get("head", "") != ""
    return of_another or fixed or _COUNTS.fullmatch(metric) is not None


def _place(row: Row) -> tuple[str, ...]:
    return tuple(row.get(name, "") for name in _PLACE)


def _row(old: Row, statistics: Mapping[tuple[str, ...], Row], tokens: Mapping[tuple[str, ...], str]) -> Row:
    better = {"True": "higher", "False": "lower"}.get(old.get("higher_is_better", ""), "")
    kept = {name: value for name, value in old.items() if name not in ("k", "group", "higher_is_better")}
    row = {**kept, "better": better, "schema": "1"}
    for end, name in _BOUNDS.items():
        found = statistics.get((*_place(old), old.get("group", ""), f"{old.get('metric', '')}{end}"))
        row[name] = "" if found is None or found["value"] == "nan" else found["value"]
    if old.get("k"):
        row |= {"parameter": _PARAMETERS.get(old.get("analysis", ""), "k"), "at": old["k"]}
    for rule in (_gap, _token, _part):
        rule(row, old.get("group", ""))
    if row.get("analysis") in ("knn", "retrieval") and row["metric"] != "retrieval-unseen":
        row.setdefault("token", tokens.get(_place(old)[:4], ""))
    return row


def _gap(row: Row, group: str) -> None:
    if row["value"] == "nan" and group and not re.fullmatch(r"image \d+", group):
        row["gap"] = group
    elif row["value"] in ("inf", "-inf") and group:
        row |= {"value": "nan", "gap": group}


def _token(row: Row, group: str) -> None:
    """The token that stood in the metric's name or in the group."""
    analysis, metric = row.get("analysis", ""), row["metric"]
    if analysis in ("knn", "retrieval") and group in _POOLED:
        row["token"] = _POOLED[group]
    elif match := _NAMED.get(analysis, _nothing)(metric):
        row |= {"metric": match[0], "token": match[1]}
    elif metric in _SILENT:
        row["token"] = _SILENT[metric]


def _ending(tokens: Mapping[str, str]) -> Callable[[str], tuple[str, str] | None]:
    def split(metric: str) -> tuple[str, str] | None:
        whole, _, end = metric.rpartition("-")
        return (whole, tokens[end]) if whole and end in tokens else None

    return split


def _saliency(metric: str) -> tuple[str, str] | None:
    match = re.fullmatch(r"iou-(cls|patches|center)(-.+)?", metric)
    return (f"iou{match[2] or ''}", _SOURCES[match[1]]) if match else None


def _nothing(metric: str) -> None:  # noqa: ARG001  # analyses that named no token
    return None


def _position(metric: str) -> tuple[str, str] | None:
    match = re.fullmatch(r"(mask-area|peak)-(.+)", metric)
    return (match[1], match[2]) if match else None


def _similarity(metric: str) -> tuple[str, str] | None:
    match = re.fullmatch(r"(.+-last)-(cls|patches)(-calibrated|-p)?", metric)
    return (f"{match[1]}{match[3] or ''}", _POOLED[match[2]]) if match else None


def _entropy(metric: str) -> tuple[str, str] | None:
    return {"entropy-cls": ("entropy", "cls"), "entropy": ("entropy", "patch-tokens")}.get(metric)


_NAMED: Mapping[str, Callable[[str], tuple[str, str] | None]] = {
    "attention": _entropy,
    "attention-maps": _position,
    "saliency": _saliency,
    "similarity": _similarity,
    **dict.fromkeys(("cka", "residual"), _ending(_KINDS)),
    **dict.fromkeys(("clustering", "spectrum"), _ending(_POOLED)),
    **dict.fromkeys(("segments", "segments-dense"), _ending({"objects": "patch-tokens"})),
}


def _part(row: Row, group: str) -> None:
    """What the value is of, or the word that belongs to it."""
    metric = row["metric"]
    if metric == "head-type":
        row["label"] = group
    elif metric.startswith("mass-on-"):
        role = metric.removeprefix("mass-on-")
        row |= {"metric": "mass-on-token", "of": "token", "name": "patch" if role == "patches" else role}
    elif match := re.fullmatch(r"head-type-(?!peak-)(.+)", metric):
        row |= {"metric": "head-type-score", "of": "type", "name": match[1]}
    elif match := re.fullmatch(r"image (\d+)", group):
        row |= {"of": "image", "name": match[1]}
    elif group and not row.get("gap") and not row.get("token") and row.get("analysis") != "retrieval":
        condition = re.fullmatch(r"[a-z]+_[a-z]+ \S+|(?:truncation|occlusion) \S+", group)
        kinds = {"video-segmentation": "object", "keypoints": "condition" if condition else "category"}
        row |= {"of": kinds.get(row.get("analysis", ""), "group"), "name": group}


def _mark_best(old: Row, rows: Iterable[Row]) -> None:
    """The best block, and those that could not be told from it, were a record of their own."""
    metric, listed = old["metric"].removesuffix(_BEST_BLOCK), old.get("group", "").rpartition(": ")[2]
    level = set(re.findall(r"\d+", listed))
    for row in rows:
        same = all(row.get(name, "") == old.get(name, "") for name in _PLACE[:6])
        if row["metric"] == metric and same and row.get("at", "") == old.get("k", "") and not row.get("of"):
            best = old["value"] != "nan" and row.get("block") == str(int(float(old["value"])))
            row["label"] = BEST if best else LEVEL if row.get("block") in level else ""


def _mark_head(old: Row, rows: Iterable[Row]) -> None:
    """Which head was the best one stood in its column, in a second record."""
    split = _saliency(old["metric"])
    for row in rows:
        same = all(row.get(name, "") == old.get(name, "") for name in (*_PLACE[:6], "block"))
        if split and same and (row["metric"], row.get("token")) == split:
            row["label"] = f"head {old['head']}"


def _count(old: Row, metric: str, rows: Iterable[Row]) -> None:
    for row in rows:
        if row["metric"] == metric and all(row.get(name, "") == old.get(name, "") for name in _PLACE[:6]):
            row["n"] = str(int(float(old["value"])))
