"""Recipes that come with vitan: whole runs as plan files, each of which answers a question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vitan import RecipeSpec, hookimpl

_HERE = Path(__file__).parent


@hookimpl
def vitan_recipes() -> Iterator[RecipeSpec]:
    """What needs nothing but vitan."""
    yield RecipeSpec(
        name="demo",
        summary="six ways to train one tiny ViT, compared by seven analyses on drawn pictures",
        plan=_HERE / "demo.yaml",
    )
    yield RecipeSpec(
        name="corpus",
        summary="everything that is measured of pictures, of the models that come with vitan; with its results",
        plan=_HERE / "corpus.yaml",
        records=_HERE / "corpus.csv",
    )
