"""What training does, asserted on the models that come with vitan: behaviour, and not shapes alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vitan
from vitan import Results

#: A world that none of the models has seen, and that the corpus does not know either.
WORLD = {"per_class": 8, "size": 128, "seed": 6}
MODELS = ("tiny-supervised", "tiny-clip", "tiny-dino", "tiny-mae", "tiny-random")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        asked = {"knn": {"k": [5]}, "attention": {}}
        return vitan.run(asked, MODELS, dataset_options=WORLD, batch_size=56, device="cpu")


def last(found: Results, model: str, metric: str, token: str = "") -> float:
    records = [r for r in found.records if (r.model, r.metric, r.head, r.of) == (model, metric, None, "")]
    blocks = [r for r in records if r.block is not None and token in ("", r.token)]
    return max(blocks, key=lambda record: record.block or 0).value


def test_they_are_at_home_without_a_word(found: Results) -> None:
    assert {each.dataset for each in found} == {"shapes"}
    assert not found.failed


@pytest.mark.parametrize("model", ["tiny-supervised", "tiny-clip"])
def test_labels_and_captions_teach_classes(found: Results, model: str) -> None:
    """Far beyond the floor, which is far below a half."""
    floor = last(found, "tiny-random", "knn-top1", "cls")
    assert floor < 40
    assert last(found, model, "knn-top1", "cls") > floor + 25


def test_training_changes_how_far_heads_look(found: Results) -> None:
    """Heads of an untrained model look nearly as far as uniform attention would; those that are trained part ways."""
    reach = {model: found["attention", model].arrays["attention-distance"].mean(0) for model in MODELS}
    spread = {model: float(np.ptp(each)) for model, each in reach.items()}
    for model in MODELS[:-1]:
        assert spread[model] > 2 * spread["tiny-random"], model


def test_their_own_training_is_an_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours get better from the start over a tenth of the training to its end."""
    monkeypatch.setenv("VITAN_CACHE", str(tmp_path))
    models = ["tiny-random", "tiny:clip-tenth", "tiny-clip"]
    found = vitan.run({"knn": {"k": [5]}}, models, "shapes", dataset_options=WORLD, batch_size=56, device="cpu")
    start, tenth, end = (last(found, model, "knn-top1", "cls") for model in models)
    assert start < tenth < end
