"""Completion of names in the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import VitanError
from .app import plugins_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..registry.plugins import Plugins


def complete_models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Models, and what the names of a library's models start with."""
    plugins = _plugins(ctx)
    if plugins is None:
        return []
    found = [(spec.name, spec.summary) for _, spec in plugins.models]
    return _items([*found, *((f"{spec.name}:", spec.summary) for _, spec in plugins.catalogs)], incomplete)


def complete_analyses(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Analyses."""
    plugins = _plugins(ctx)
    return _items([(spec.name, spec.summary) for _, spec in plugins.probes] if plugins else [], incomplete)


def complete_datasets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Datasets, or a folder of pictures."""
    from click.shell_completion import CompletionItem

    plugins = _plugins(ctx)
    items = _items([(spec.name, spec.summary) for _, spec in plugins.datasets] if plugins else [], incomplete)
    return items or [CompletionItem(incomplete, type="dir")]


def complete_any(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models, analyses and datasets."""
    datasets = [item for item in complete_datasets(ctx, param, incomplete) if item.type == "plain"]
    return [*complete_models(ctx, param, incomplete), *complete_analyses(ctx, param, incomplete), *datasets]


def _plugins(ctx: click.Context) -> Plugins | None:
    """What can be completed; a plugin file that cannot be used completes nothing, and is complained of when run."""
    try:
        more: Any = ctx.params.get("plugin_files", ()) if ctx.parent else ()
        return plugins_of(ctx, more, warn=False)
    except VitanError:
        return None


def _items(found: list[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    start = incomplete.lower()
    return [CompletionItem(name, help=summary) for name, summary in found if name.lower().startswith(start)]
