"""What the shipped models can do on worlds that they have never seen, by vitan itself, beside their untrained twin."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vitan
from vitan.results.best import Best
from vitan_models.tiny import CARDS

from .finishing import write
from .world import MEASURED


@dataclass(frozen=True)
class Task:
    """A number of an analysis, taken at a model's best block; ``at`` is the swept parameter, where there is one."""

    analysis: str
    metric: str
    token: str = ""
    at: float | None = None

    def is_of(self, best: Best) -> bool:
        """Whether a best block is this task's."""
        asked = best.task
        return (asked.analysis, asked.metric, asked.token) == (self.analysis, self.metric, self.token) and (
            self.at is None or asked.at == self.at
        )


TASKS = {
    "k-NN": Task("knn", "knn-top1", "cls", 20),
    "classes": Task("clustering", "nmi", "cls"),
    "objects": Task("segments", "nmi", "patch-tokens"),
    "key points": Task("keypoints", "pck", at=0.1),
    "saliency": Task("saliency", "iou-best-fixed-head", "cls"),
    "video": Task("video-segmentation", "j-and-f-mean"),
}
_PICTURES = {"per_class": 40, "size": 160, "seed": MEASURED}
_FILMS = {"films": 6, "seed": MEASURED}


def measure(cards: Path = CARDS) -> None:
    """Measure every model that has a card, and the untrained one, and write it beside their cards."""
    content = json.loads(cards.read_text(encoding="utf-8"))
    for name in ("random", *content["models"]):
        known = content["measured"].get(name)
        digest = content["models"][name]["files"]["end"]["sha256"] if name != "random" else ""
        if not known or known["weights"] != digest:
            content["measured"][name] = {"weights": digest, **_measured(f"tiny-{name}")}
            write(content, cards)


def _measured(model: str) -> dict[str, Any]:
    """The value of each task at the model's best block, which one that is, and the interval where there is one."""
    frozen = sorted({task.analysis for task in TASKS.values()} - {"video-segmentation"})
    pictures = vitan.run(frozen, models=[model], dataset="shapes", dataset_options=_PICTURES, figures=False)
    films = vitan.run("video-segmentation", [model], "shapes-video", dataset_options=_FILMS, figures=False)
    bests = [*vitan.best_blocks(pictures), *vitan.best_blocks(films)]
    return {name: _value(next(best for best in bests if task.is_of(best))) for name, task in TASKS.items()}


def _value(best: Best) -> dict[str, Any]:
    ends = {"low": best.low, "high": best.high} if best.low is not None and best.high is not None else {}
    return {"value": round(best.value, 4), "block": best.block, **{key: round(end, 4) for key, end in ends.items()}}
