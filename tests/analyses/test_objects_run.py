"""Saliency and segments as a run has them: one pass a view, and token masks made once for all models."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

import vitan_analyses.saliency
import vitan_analyses.segments
from toys import SHALLOW, TOY, outcomes_of
from vitan import DatasetSpec
from vitan.engine.job import prepare
from vitan.engine.plan import make_plan
from vitan.engine.runner import Outcome
from vitan.engine.store import Store
from vitan.options import Options
from vitan.registry.names import Provider
from vitan.registry.plugins import Plugins
from vitan.testing.made_up import MadeUp
from vitan_analyses.regions import token_masks


class Pictures(MadeUp):
    def __init__(self, _: Options) -> None:
        super().__init__(32)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Counts the pictures whose outlines are laid on patches."""
    counted = Mock(side_effect=token_masks.regions)
    monkeypatch.setattr(token_masks, "regions", counted)
    return counted


def run(store: Store, model: int, **changes: object) -> list[Outcome]:
    plugins = Plugins()
    spec = DatasetSpec(name="pictures", summary="noise", load=lambda: Pictures, offers=frozenset({"masks"}))
    here = SimpleNamespace(vitan_models=lambda: [TOY, SHALLOW], vitan_datasets=lambda: [spec])
    plugins.register(Provider("toys", "1.0"), "toys", _hooks(here))
    for module in (vitan_analyses.saliency, vitan_analyses.segments):
        plugins.register(Provider("vitan", "1.0"), module.__name__, module)
    content = {
        "analyses": [{"name": "saliency"}, {"name": "segments"}, {"name": "segments-dense"}],
        "models": [{"name": TOY.name}, {"name": SHALLOW.name}],
        "dataset": {"name": "pictures"},
        "batch_size": 4,
        **changes,
    }
    return outcomes_of(prepare(make_plan(content, "test"), plugins), model, store, Mock())


def _hooks(module: SimpleNamespace) -> SimpleNamespace:
    from vitan import hookimpl

    return SimpleNamespace(**{name: hookimpl(function) for name, function in vars(module).items()})


def test_token_masks_are_made_once_for_each_grid(tmp_path: Path, made: Mock) -> None:
    store = Store(tmp_path)
    first = run(store, 0)
    assert made.call_count == 2 * 9  # nine pictures, in the crop for two analyses together and in the dense view
    made.reset_mock()
    second = run(store, 1)
    assert made.call_count == 0
    for outcomes in (first, second):
        saliency, crop, dense = (outcome.result for outcome in outcomes)
        assert saliency.arrays["image"].tolist() == list(range(9))
        assert len(crop.arrays["label"]) == len(dense.arrays["label"]) == 18
    assert [outcome.result.records[0].view for outcome in first] == ["crop", "crop", "dense"]


def test_the_summary_is_made_again_without_a_pass(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before = run(store, 0)
    analyses = [{"name": "saliency", "options": {"seed": 1}}, {"name": "segments", "options": {"k": 3}}]
    saliency, segments = run(store, 0, analyses=analyses)
    assert saliency.reused
    assert segments.reused
    assert np.array_equal(saliency.result.arrays["iou-cls"], before[0].result.arrays["iou-cls"])
    assert {record.at for record in segments.result.records if record.metric == "nmi"} == {3}
