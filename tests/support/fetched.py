"""A model of which only the sources of its weights matter."""

from __future__ import annotations

import pytest

from vitan.registry.specs import ModelSpec, WeightSource


def toy(*weights: WeightSource) -> ModelSpec:
    """A model with these sources; building it fails the test."""
    return ModelSpec(
        name="toy-S16",
        summary="toy",
        family="toy",
        arch="S",
        patch=16,
        build=lambda: pytest.fail("built"),
        weights=weights,
    )
