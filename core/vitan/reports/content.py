"""What a report tells, gathered from a results folder: how it was made, numbers, gaps, figures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis.records import Record
from ..errors import StoreError
from ..results.drawn import Figures
from ..results.folder import PLAN, find_all, pictures_of, read_provenance, read_records


@dataclass(frozen=True, kw_only=True)
class Made:
    """How the numbers of one folder were made: its provenance (empty where there is none) and its plan, as text."""

    place: str
    facts: Mapping[str, Any]
    plan: str

    def __getitem__(self, path: str) -> str:
        """A fact by the names that lead to it, as in ``weights.origin``; empty where it is not known."""
        found: Any = self.facts
        for name in path.split("."):
            found = found.get(name, "") if isinstance(found, Mapping) else ""
        return str(found)

    @property
    def environment(self) -> str:
        """The machine and the libraries, on one line."""
        packages = self.facts.get("packages")
        named = [f"{name} {version}" for name, version in packages.items()] if isinstance(packages, Mapping) else []
        parts = [*named, f"Python {self['python']}", self["system"], f"device {self['device']}"]
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Content:
    """All that a report tells. ``pictures`` are by the place of their folder, those between models first."""

    title: str
    made: tuple[Made, ...]
    records: tuple[Record, ...]
    pictures: Mapping[str, tuple[Path, ...]]
    warnings: tuple[str, ...]


def gather(root: Path, figures: Figures = "all") -> Content:
    """Read a results folder; raises ``StoreError`` where it holds no records, or some that cannot be read."""
    records = read_records(root)
    between, single = find_all(root)
    shown = {"all": [*between, *single], "comparisons": between, "none": []}[figures]
    drawn = {_place(folder, root): pictures_of(folder) for folder in shown}
    made, unknown = [], []
    for folder in single:
        try:
            made.append(Made(place=_place(folder, root), facts=read_provenance(folder), plan=_plan(folder)))
        except StoreError:
            unknown.append(f"{_place(folder, root)}: how this was made is not written there; it may be imported")
    return Content(
        title=root.resolve().name,
        made=tuple(made),
        records=records,
        pictures={place: paths for place, paths in drawn.items() if paths},
        warnings=(*unknown, *_left_out(made), *_unlike(made), *_gaps(records)),
    )


def headline(content: Content) -> dict[str, list[Record]]:
    """The values by block that a short table should show, of all models: by what they are of, in words."""
    asked = {(made["probe.name"], name) for made in content.made for name in _names(made.facts.get("headline"))}
    found: dict[str, list[Record]] = {}
    for record in content.records:
        whole = record.head is None and not record.of and not record.other and record.block is not None
        if whole and (record.analysis, record.metric) in asked:
            found.setdefault(_title(record), []).append(record)
    return found


def _title(record: Record) -> str:
    at = "" if record.at is None else f"{record.parameter} = {record.at:g}"
    protocol = "" if record.protocol == "default" else f"protocol {record.protocol}"
    named = f"{record.metric} ({record.unit})" if record.unit else record.metric
    return " · ".join(part for part in (record.analysis, record.dataset, named, record.token, at, protocol) if part)


def _left_out(made: Sequence[Made]) -> Iterator[str]:
    for each in made:
        for image in each.facts.get("skipped") or ():
            yield f"{each.place}: image {image['index']} was left out: {image['why']}"


def _unlike(made: Sequence[Made]) -> Iterator[str]:
    """What keeps models from being compared: other images, another number of them, another view."""
    words = {"dataset.fingerprint": "images", "dataset.images": "number of images", "state.place.view": "view"}
    groups: dict[tuple[str, str], list[Made]] = {}
    for each in made:
        groups.setdefault((each["probe.name"], each["dataset.name"]), []).append(each)
    for (analysis, dataset), group in groups.items():
        differing = [word for path, word in words.items() if len({each[path] for each in group}) > 1]
        if differing:
            yield f"{analysis} on {dataset}: models differ in {' and '.join(differing)}; compare only what agrees there"


def _gaps(records: Sequence[Record]) -> Iterator[str]:
    gaps = Counter((r.analysis, r.model, r.metric, r.gap) for r in records if r.gap)
    for (analysis, model, metric, gap), times in gaps.items():
        yield f"{analysis} of {model}: {metric} has no value{f' ({times} times)' if times > 1 else ''}: {gap}"


def _names(value: Any) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []


def _plan(folder: Path) -> str:
    try:
        return (folder / PLAN).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _place(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()


def facts_as_text(made: Made) -> str:
    """The whole provenance, for whoever wants every digest."""
    return json.dumps(made.facts, indent=1, ensure_ascii=False)
