"""Training one model: batches, the optimiser, and a checkpoint from which it can go on."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from .objectives import OBJECTIVES, Objective
from .objectives.base import Recipe
from .world import Pictures

SEED = 0
#: When the weights are kept for good: after a tenth of the steps, and in the end.
KEPT = {"tenth": 0.1, "end": 1.0}
_LOGGED, _SAVED, _STEEPEST = 25, 100, 3.0


class Views(Dataset[tuple[tuple[Tensor, ...], int]]):
    """The views of every picture, each time others."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def __len__(self) -> int:
        return len(self._objective.pictures)

    def __getitem__(self, index: int) -> tuple[tuple[Tensor, ...], int]:
        return self._objective.views(index), index


def train(name: str, pictures: Pictures, folder: Path, recipe: Recipe | None = None) -> list[dict[str, float]]:
    """Train a model, or go on where an earlier call has stopped; returns the log, a row for every 25 steps.

    ``folder`` gets the log, the checkpoint, and the trunk's weights after a tenth of the steps and in the end.
    """
    torch.manual_seed(SEED)
    random.seed(SEED)
    objective = OBJECTIVES[name](pictures)
    plan = recipe or objective.recipe
    optimiser = create_optimizer_v2(objective, "adamw", lr=plan.rate, weight_decay=plan.decay)
    schedule = CosineLRScheduler(
        optimiser, t_initial=plan.steps, lr_min=plan.rate / 100, warmup_t=max(1, plan.steps // 20), warmup_lr_init=1e-6,
        warmup_prefix=True, t_in_epochs=False,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    state, log = folder / "checkpoint.pt", log_of(folder)
    done = _go_on(state, objective, optimiser) if state.exists() else 0
    log = [row for row in log if row["step"] <= done]
    began = time.process_time() - (log[-1]["seconds"] if log else 0)
    objective.train()
    for step, (views, index) in zip(range(done, plan.steps), _batches(objective, plan.batch, done), strict=False):
        schedule.step_update(step)
        loss = objective.loss(views, index)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(objective.parameters(), _STEEPEST)
        optimiser.step()
        objective.after_step((step + 1) / plan.steps)
        _keep(objective, folder, step + 1, plan.steps)
        if not (step + 1) % _LOGGED or step + 1 == plan.steps:
            log.append({"step": step + 1, "loss": round(loss.item(), 4), "seconds": round(time.process_time() - began)})
        if not (step + 1) % _SAVED or step + 1 == plan.steps:
            _save(state, objective, optimiser, step + 1)
            (folder / "log.json").write_text(json.dumps(log), encoding="utf-8")
    return log


def _batches(objective: Objective, size: int, done: int) -> Iterator[tuple[tuple[Tensor, ...], list[int]]]:
    """Batches without end, each epoch in another order; ``done`` batches come before."""
    generator = torch.Generator().manual_seed(SEED + done)
    torch.manual_seed(SEED + done)  # of the crops: what goes on does not see those of the beginning again
    random.seed(SEED + done)
    views = Views(objective)
    while True:
        sampler = RandomSampler(views, generator=generator)
        for seen, index in DataLoader(views, batch_size=size, sampler=sampler, drop_last=True):
            yield tuple(seen), index.tolist()


def _keep(objective: Objective, folder: Path, step: int, steps: int) -> None:
    for name, share in KEPT.items():
        if step == round(share * steps):
            torch.save(objective.trunk.state_dict(), folder / f"{name}.pt")


def _save(path: Path, objective: Objective, optimiser: Any, step: int) -> None:
    part = path.with_suffix(".part")
    torch.save({"objective": objective.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, part)
    part.replace(path)


def _go_on(path: Path, objective: Objective, optimiser: Any) -> int:
    found = torch.load(path, weights_only=True)
    objective.load_state_dict(found["objective"])
    optimiser.load_state_dict(found["optimiser"])
    return int(found["step"])


def log_of(folder: Path) -> list[dict[str, float]]:
    """The log that a training has written into its folder; empty before that."""
    path = folder / "log.json"
    rows: list[dict[str, float]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return rows


def tail(log: list[dict[str, float]]) -> float:
    """The mean loss of the last twentieth of a log."""
    last = log[-max(1, len(log) // 20) :]
    return float(np.mean([row["loss"] for row in last]))
