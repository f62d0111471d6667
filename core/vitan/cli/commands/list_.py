"""``vitan list``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from ..app import plugins_of
from ..text import columns, count, shorten, terminal_width

if TYPE_CHECKING:
    from ...registry.names import Provider, Registry
    from ...registry.plugins import Plugins
    from ...registry.specs import ModelSpec

KINDS = ("models", "analyses", "datasets", "importers", "executors", "recipes", "plugins")

_Row = tuple[str, str, str]


@click.command("list", short_help="List models, analyses, datasets, plugins.")
@click.argument("kind", type=click.Choice(KINDS), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def list_(ctx: click.Context, kind: str | None, as_json: bool) -> None:
    """List models, analyses, datasets, recipes and plugins, with who provides them."""
    plugins = plugins_of(ctx)
    kinds = (kind,) if kind else KINDS[:3]
    if as_json:
        click.echo(json.dumps({name: list(_JSON[name](plugins)) for name in kinds}, indent=2))
        return
    sections = [(name, list(_ROWS[name](plugins))) for name in kinds]
    for i, (name, rows) in enumerate(sections):
        click.echo("\n" * bool(i) + click.style(f"{name} ({sum(bool(row[2]) for row in rows)})", bold=True))
        _print(rows, max((len(row[0]) for _, each in sections for row in each), default=0))
    if "models" in kinds and (examples := [spec.example for _, spec in plugins.catalogs]):
        click.echo("\nA library's own model goes by its name there, as in " + " or ".join(examples) + ".")
    if kind is None:
        click.echo("\n'vitan show NAME' tells more.")


def _print(rows: list[_Row], width: int) -> None:
    """Name, summary, provider; summaries are cut to fit a terminal, but never in a pipe."""
    if sys.stdout.isatty():
        room = terminal_width() - 2 - width - 2 - 2 - max((len(row[2]) for row in rows), default=0)
        rows = [(name, shorten(summary, max(20, room)), provider) for name, summary, provider in rows]
    padded = [(name.ljust(width), summary, provider) for name, summary, provider in rows]
    for line in columns(padded, indent="  "):
        click.echo(line)


def _model_rows(plugins: Plugins) -> Iterator[_Row]:
    for family, members in groupby(_by_family(plugins), key=lambda pair: pair[1].family):
        yield f"{family}:", "", ""
        for provider, spec in members:
            yield f" {spec.name}", spec.summary, _provider(plugins.models, provider, spec.name)
    for provider, catalog in plugins.catalogs:
        yield f"{catalog.name}:…", catalog.summary, _provider(plugins.catalogs, provider, catalog.name)


def _by_family(plugins: Plugins) -> list[tuple[Provider, ModelSpec]]:
    return sorted(plugins.models, key=lambda pair: pair[1].family)  # stable: within a family by name


def _rows(registry: Registry[Any]) -> Iterator[_Row]:
    for provider, spec in registry:
        yield spec.name, spec.summary, _provider(registry, provider, spec.name)


def _provider(registry: Registry[Any], provider: Provider, name: str) -> str:
    """The provider, and what to type where several offer the name."""
    clash = len(registry.providers(name)) > 1
    return f"{provider}  clash: use {provider.name}:{name}" if clash else str(provider)


def _plugin_rows(plugins: Plugins) -> Iterator[_Row]:
    for loaded in plugins.loaded:
        yield loaded.where, count(loaded.specs, "spec"), str(loaded.provider)
    for failure in plugins.failures:
        why = " ".join(f"{type(failure.error).__name__}: {failure.error}".split())
        yield failure.where, f"failed: {why}", str(failure.provider)


def _spec_json(registry: Registry[Any]) -> Iterator[dict[str, Any]]:
    for provider, spec in registry:
        yield {
            "name": spec.name,
            "summary": spec.summary,
            "provider": {"name": provider.name, "version": provider.version},
            "clash": len(registry.providers(spec.name)) > 1,
        }


def _model_json(plugins: Plugins) -> Iterator[dict[str, Any]]:
    for common, (_, spec) in zip(_spec_json(plugins.models), plugins.models, strict=True):
        about = {"family": spec.family, "arch": spec.arch, "patch": spec.patch, "image_size": spec.image_size}
        yield {**common, **about, "aliases": list(spec.aliases)}
    for common, (_, catalog) in zip(_spec_json(plugins.catalogs), plugins.catalogs, strict=True):
        yield {**common, "catalog": True, "example": catalog.example}


def _dataset_json(plugins: Plugins) -> Iterator[dict[str, Any]]:
    for common, (_, spec) in zip(_spec_json(plugins.datasets), plugins.datasets, strict=True):
        yield {**common, "offers": sorted(spec.offers), "files": spec.files, "licence": spec.licence}


def _plugin_json(plugins: Plugins) -> Iterator[dict[str, Any]]:
    for loaded in plugins.loaded:
        yield {**_about(loaded.provider, loaded.where), "specs": loaded.specs, "error": None}
    for failure in plugins.failures:
        why = f"{type(failure.error).__name__}: {failure.error}"
        yield {**_about(failure.provider, failure.where), "specs": 0, "error": why}


def _about(provider: Provider, where: str) -> dict[str, Any]:
    return {"module": where, "provider": {"name": provider.name, "version": provider.version}}


_ROWS = {
    "models": _model_rows,
    "analyses": lambda plugins: _rows(plugins.probes),
    "datasets": lambda plugins: _rows(plugins.datasets),
    "importers": lambda plugins: _rows(plugins.importers),
    "executors": lambda plugins: _rows(plugins.executors),
    "recipes": lambda plugins: _rows(plugins.recipes),
    "plugins": _plugin_rows,
}
_JSON = {
    "models": _model_json,
    "analyses": lambda plugins: _spec_json(plugins.probes),
    "datasets": _dataset_json,
    "importers": lambda plugins: _spec_json(plugins.importers),
    "executors": lambda plugins: _spec_json(plugins.executors),
    "recipes": lambda plugins: _spec_json(plugins.recipes),
    "plugins": _plugin_json,
}
