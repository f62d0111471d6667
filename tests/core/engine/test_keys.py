"""What the keys of stored state are made of, written out by hand: whoever changes this throws away users' state."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from toys import Sharpness
from vitan import ProbeSpec
from vitan.analysis.probe import Batching, Recording
from vitan.anatomy import TokenLayout
from vitan.data.preparation import Preparation
from vitan.data.views import make_view
from vitan.engine import keys
from vitan.engine.job import Analysis
from vitan.engine.schedule import Partition, Sharing, cut


class Kept(Recording):
    name, version = "acme/kept", "3"

    def update_block(self, block: Any, taps: Any, batch: Any) -> None: ...


@dataclass(frozen=True)
class Area(Preparation):
    name, version = "acme/area", "2"
    power: int = 1

    def prepare(self, sample: Any, placement: Any, grid: Any, view: Any) -> Any:
        return {}


MODEL = SimpleNamespace(
    spec=SimpleNamespace(name="toy-T8", source="", image_size=32, patch=8, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
    info=SimpleNamespace(name="toy-T8@mine", blocks=(0, 2), layout=TokenLayout(("cls",), (4, 4))),
    tensors="abc",
)
JOB = SimpleNamespace(
    dataset_spec=SimpleNamespace(name="pictures", source=""),
    fingerprint="f1",
    plan=SimpleNamespace(precision="ieee", dtype="float16", device="cuda:1", limit=7),
)


@pytest.mark.parametrize(
    ("partition", "batching", "expected"),
    [
        (cut(7, 2, shard_images=4), Batching(2), {"size": 2, "seed": None, "grouped": False}),
        (Partition(7, [0, 4, 6, 7], [0, 1, 3]), Batching(4, None, True), {"size": 4, "seed": None, "grouped": True}),
        (cut(7, 2, seed=5, shard_images=4), Batching(2, 5), {"size": 2, "seed": 5, "grouped": False, "n": 7}),
    ],
)
def test_a_shard_is_its_images_view_and_batches(partition: Any, batching: Any, expected: Any) -> None:
    """The number of images matters only where it decides the order."""
    sharing, view = Sharing("dense", batching, ()), make_view("dense", 32, 8)
    assert keys.of_place(JOB, sharing, partition, view, MODEL, partition.shards()[1]) == {
        "dataset": ["pictures", "f1"],
        "view": ["dense", 32, 8],
        "batching": expected,
        "images": [4, 7],
    }


def test_a_unit_is_also_the_tensors_input_and_arithmetic_of_its_model() -> None:
    """Not the name of a file of weights, nor which of several devices."""
    assert keys.of_unit({"probe": 1}, {"images": [0, 2]}, MODEL, JOB.plan) == {
        "probe": 1,
        "images": [0, 2],
        "model": "toy-T8",
        "weights": "abc",
        "normalise": [(0.5, 0.5, 0.5), (0.2, 0.2, 0.2)],
        "blocks": (0, 2),
        "dtype": "float16",
        "device": "cuda",
    }


def test_what_is_made_of_them_goes_by_declared_names() -> None:
    assert keys.of_probe(analysis_of(Sharpness, "sharpness", scale=3.0)) == {
        "probe": ["sharpness", "acme", "1"],
        "options": {"power": 1.0},
    }
    assert keys.of_shared(Kept, Kept.Options()) == {"recording": ["acme/kept", "3"], "options": {}}
    assert keys.of_preparation(Area(2), {"images": [0, 2]}, (4, 4)) == {
        "images": [0, 2],
        "preparation": ["acme/area", "2"],
        "fields": {"power": 2},
        "grid": (4, 4),
    }


def analysis_of(kind: Any, name: Any, **options: Any) -> Any:
    spec = ProbeSpec(name=name, summary=name, load=lambda: kind)
    return Analysis(spec, "acme 1.2", kind, kind.Options(**options))
