"""``vitan show``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from ...registry.plugins import load_kind
from ..app import data_root_option, plugins_of
from ..names import complete_any
from ..text import columns, paragraph, size

if TYPE_CHECKING:
    from ...options import Options
    from ...registry.names import Registry
    from ...registry.plugins import Plugins
    from ...registry.specs import (
        DatasetSpec,
        ImporterSpec,
        Metric,
        ModelCatalog,
        ModelSpec,
        ProbeSpec,
        RecipeSpec,
        Spec,
        WeightSource,
    )

#: What is shown of one thing: plain values, lists of them, or lists of mappings.
_About = dict[str, Any]


@click.command(short_help="Tell all about one of them, with its options.")
@click.argument("name", shell_complete=complete_any)
@data_root_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Tell everything about a model, an analysis, a dataset or a recipe."""
    found = list(_find(plugins_of(ctx), name))
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
        return
    for i, about in enumerate(found):
        click.echo("\n" * bool(i) + _title(about))
        click.echo(paragraph(about["summary"]))
        for line in _lines(about):
            click.echo(line)


def _find(plugins: Plugins, name: str) -> Iterator[_About]:
    """Whatever has that name, of every kind."""
    catalog, colon, _ = name.partition(":")
    if colon and plugins.catalogs.providers(catalog):
        provider, _ = plugins.catalogs.find(catalog)
        yield {"kind": "model", "provider": str(provider), **_model(plugins.model(name))}
        return
    kinds: tuple[tuple[str, Registry[Any], Callable[[Any], _About]], ...] = (
        ("model", plugins.models, _model),
        ("model catalog", plugins.catalogs, _catalog),
        ("analysis", plugins.probes, _analysis),
        ("dataset", plugins.datasets, _dataset),
        ("importer", plugins.importers, _importer),
        ("recipe", plugins.recipes, _recipe),
    )
    bare = name.rpartition(":")[2]
    there = [each for each in kinds if each[1].providers(bare)]
    if not there:
        known = [spec.name for _, registry, _ in kinds for _, spec in registry]
        close = plugins.meant(name) or difflib.get_close_matches(bare, dict.fromkeys(known), n=3)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise UsageError(f"nothing is called {name!r}.{hint} 'vitan list' shows all names.")
    for kind, registry, describe in there:
        provider, spec = registry.find(name)
        yield {"kind": kind, "provider": str(provider), **describe(spec)}


def _common(spec: Spec) -> _About:
    return {"name": spec.name, "summary": spec.summary}


def _model(spec: ModelSpec) -> _About:
    formats = [each.name for each in spec.formats]
    return {
        **_common(spec),
        "family": spec.family,
        "architecture": f"{spec.arch}, patch {spec.patch}, image size {spec.image_size}",
        "normalisation": f"mean {_numbers(spec.mean)}, std {_numbers(spec.std)}",
        "aliases": list(spec.aliases),
        "paper": spec.paper,
        "weights": [_source(source) for source in spec.weights] or "none: the model is used as it is built",
        "on this machine": _located(spec),
        "--weights takes": [*formats, "the model's own state dict"] if formats or spec.weights else [],
    }


def _catalog(spec: ModelCatalog) -> _About:
    return {**_common(spec), "use": f"--model {spec.example}"}


def _analysis(spec: ProbeSpec) -> _About:
    from ...anatomy import TAPS

    kind = load_kind(spec)
    return {
        **_common(spec),
        "measures": _first_paragraph(kind.__doc__),
        "reads": [f"{tap} ({TAPS.get(tap, 'unknown')})" for tap in sorted(kind.reads())],
        "view": kind.view,
        "needs": sorted(kind.needs) or "images alone",
        "paper": spec.paper,
        "metrics": [_metric(metric) for metric in spec.metrics],
        "options": _options(kind.Options),
    }


def _metric(metric: Metric) -> _About:
    return {
        "metric": metric.name,
        "summary": metric.summary,
        "unit": metric.unit,
        "better": metric.better,
        "range": [metric.low, metric.high],
        "source": metric.source,
    }


def _importer(spec: ImporterSpec) -> _About:
    return {**_common(spec), "reads": spec.files, "use": f"vitan import FOLDER --importer {spec.name}"}


def _recipe(spec: RecipeSpec) -> _About:
    from ... import api

    plan = api.read_plan(spec.plan)
    return {
        **_common(spec),
        "analyses": [part.name for part in plan.analyses],
        "models": [part.name for part in plan.models],
        "dataset": plan.dataset.name,
        "use": f"vitan run --plan {spec.plan}",
    }


def _dataset(spec: DatasetSpec) -> _About:
    return {
        **_common(spec),
        "root": f"--root, or in VITAN_DATA_DIR {' or '.join(spec.folders)}" if spec.folders else "",
        "files": _files(spec) if spec.folders else spec.files or "none needed",
        "on this machine": _opened(spec) if spec.folders else [],
        "offers": sorted(spec.offers) or "images alone",
        "licence": spec.licence,
        "options": _options(load_kind(spec).Options),
    }


def _files(spec: DatasetSpec) -> list[_About]:
    """The lines of ``spec.files``, each with whether it is there where the dataset has a root."""
    from ...errors import DataError
    from ...files import find_root

    try:
        root = find_root(None, spec.name, spec.folders)
    except DataError:
        root = None
    lines = []
    for line in spec.files.splitlines():
        pattern, _, what = (part.strip() for part in line.partition("  "))
        looked = root is not None and not pattern.endswith(":")
        there = any(True for _ in root.glob(pattern)) if root and looked else None
        lines.append({"path": pattern, "what": what, "there": there})
    return lines


def _opened(spec: DatasetSpec) -> list[str]:
    """Where VITAN_DATA_DIR is set, what opening it with its defaults gives: how much is there, or what is missing."""
    from ... import api
    from ...errors import OptionError, VitanError
    from ...files import data_dir

    if data_dir() is None:
        return []
    try:
        dataset = api.load_dataset(spec)
    except OptionError:  # nothing is known without the options that it needs
        return []
    except VitanError as error:
        return [str(error)]
    return [f"{len(dataset)} pictures by default", *dataset.notes()]


def _options(kind: type[Options]) -> list[_About]:
    from ..plugin_options import fields_of

    return [
        {
            "flag": field.flag,
            "type": field.kind,
            "required": field.required,
            "default": field.default,
            "allowed": field.allowed,
            "description": field.description,
            "note": field.note,
        }
        for field in fields_of(kind)
    ]


def _source(source: WeightSource) -> _About:
    from ...registry.specs import FileSource, HubSource, PackageSource, UrlSource

    where = ""
    if isinstance(source, UrlSource):
        where = source.url
    elif isinstance(source, HubSource):
        where = f"Hugging Face {source.repo}, {source.file}, revision {source.revision}"
    elif isinstance(source, PackageSource):
        where = f"Python package {source.requirement}, {source.member}"
    elif isinstance(source, FileSource):
        where = str(source.path)
    return {
        "from": where,
        "size": source.size,
        "licence": source.licence,
        "sha256": source.sha256,
        "md5": source.md5,
        "note": source.note,
    }


def _located(spec: ModelSpec) -> str:
    from ...errors import WeightsUnavailableError
    from ...models.weights import locate

    if not spec.weights:
        return ""
    try:
        return str(locate(spec, offline=True).path)
    except WeightsUnavailableError:
        return "not yet; the first run fetches it"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split()).replace("``", "")


def _title(about: _About) -> str:
    return click.style(about["name"], bold=True) + f" · {about['kind']} · {about['provider']}"


def _lines(about: _About) -> Iterator[str]:
    plain = {key: value for key, value in about.items() if key not in ("kind", "provider", "name", "summary")}
    rows: list[tuple[str, str]] = []
    for key, value in plain.items():
        if key == "on this machine" and isinstance(value, list):
            rows += zip(chain([key], repeat("")), value, strict=False)
        elif value and not _is_list_of_mappings(value):
            rows.append((key, _value(value)))
    yield from columns(rows, indent="  ")
    for key, value in plain.items():
        if key == "weights" and _is_list_of_mappings(value):
            yield "  weights, in order of preference"
            for number, source in enumerate(value, 1):
                yield f"    {number}  {source['from']}"
                yield f"       {_facts(source)}"
        elif key == "metrics" and value:
            yield "  metrics"
            for metric in value:
                better = f"{metric['better']} is better" if metric["better"] else ""
                yield f"    {metric['metric']}  {', '.join(filter(None, (metric['unit'], better)))}".rstrip()
                yield paragraph(metric["summary"], "        ")
        elif key == "files" and _is_list_of_mappings(value):
            yield "  files below the root"
            yield from _tree(value)
        elif key == "options":
            yield "  options" if value else "  options  none"
            for option in value:
                typed = f"/ --no-{option['flag'][2:]}" if option["type"] == "yes/no" else option["type"]
                yield f"    {option['flag']} {typed}  {option['note']}"
                yield paragraph(option["description"], "        ")


def _tree(files: list[_About]) -> Iterator[str]:
    words = {True: "there", False: "missing", None: ""}
    width = max(len(each["path"]) for each in files if each["what"])
    for each in files:
        yield f"    {each['path'].ljust(width)}  {words[each['there']]:7}  {each['what']}".rstrip()


def _facts(source: _About) -> str:
    amount = size(source["size"]) if source["size"] else "size unknown"
    digests = [f"{kind} {source[kind]}" for kind in ("sha256", "md5") if source[kind]]
    return ", ".join([amount, f"licence {source['licence']}", *digests, *([source["note"]] if source["note"] else [])])


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _is_list_of_mappings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
