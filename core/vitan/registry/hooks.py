"""The hooks of a plugin. They take nothing and yield specs, so they can grow without breaking anyone."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from .specs import DatasetSpec, ExecutorSpec, ImporterSpec, ModelCatalog, ModelSpec, ProbeSpec, RecipeSpec

PROJECT = "vitan"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def vitan_models() -> Iterable[ModelSpec | ModelCatalog]:
    """Yield the models (or whole catalogs of them) that this plugin can load."""
    return ()


@hookspec
def vitan_probes() -> Iterable[ProbeSpec]:
    """Yield the analyses that this plugin can run."""
    return ()


@hookspec
def vitan_datasets() -> Iterable[DatasetSpec]:
    """Yield the datasets that this plugin can read."""
    return ()


@hookspec
def vitan_importers() -> Iterable[ImporterSpec]:
    """Yield the readers of other programs' results that this plugin has."""
    return ()


@hookspec
def vitan_executors() -> Iterable[ExecutorSpec]:
    """Yield the executors, who make units elsewhere, that this plugin has."""
    return ()


@hookspec
def vitan_recipes() -> Iterable[RecipeSpec]:
    """Yield the recipes, plans with a name, that this plugin has."""
    return ()
