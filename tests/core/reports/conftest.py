from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitan.analysis.records import Record
from vitan.analysis.tables import to_csv

Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def write(root: Path) -> Write:
    """Results of one analysis of one model as ``vitan run`` leaves them: provenance, plan, records and a figure."""

    def folder(records: list[Record], *, figure: str = "curve.png", **facts: Any) -> Path:
        first = records[0]
        place = root / "".join(c if c.isalnum() or c == "-" else "_" for c in first.model) / "dots" / first.analysis
        place.mkdir(parents=True)
        known = {
            **{"model": {"name": first.model}, "probe": {"name": first.analysis}, "headline": ["surprise"]},
            **{"dataset": {"name": "dots", "fingerprint": "f", "images": 3}, "skipped": [], "python": "3.11"},
            **{"weights": {"origin": "here", "sha256": "0123456789"}, "state": {"place": {"view": "crop"}}},
            **{"packages": {"vitan": "1", "torch": "2"}, "when": "2026-01-02T03:04:05+00:00", **facts},
        }
        (place / "provenance.json").write_text(json.dumps(known), encoding="utf-8")
        (place / "plan.yaml").write_text("dtype: float32\n", encoding="utf-8")
        (place / "records.csv").write_text(to_csv(records), encoding="utf-8")
        Image.fromarray(np.full((4, 4, 3), 200, np.uint8)).save(place / figure)
        return place

    return folder


def values(model: str = "a-B16", **changes: Any) -> list[Record]:
    """Three blocks of a metric that no code of the core knows."""
    known = {**{"metric": "surprise", "unit": "bits", "analysis": "stranger", "dataset": "dots", "n": 3}, **changes}
    return [Record(model=model, block=block, value=value, **known) for block, value in enumerate((0.25, 10.0, 2.0))]
