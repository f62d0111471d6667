"""From checkpoints and logs to what is shipped: files of weights in half precision, and a card for each model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from vitan.digests import file_sha256
from vitan_models.tiny import CARDS, WEIGHTS, build

from .knn import top1
from .objectives import OBJECTIVES
from .training import KEPT, SEED, log_of, tail
from .world import AROUND, DRAWN, HELD_OUT, KEPT_SIDE, PER_CLASS, TRAINING, load


def finish(folder: Path, cards: Path = CARDS, weights: Path = WEIGHTS) -> list[str]:
    """Write the weights and the card of every model whose training has ended; returns their names."""
    done = [name for name in OBJECTIVES if is_done(folder / name, OBJECTIVES[name].recipe.steps)]
    weights.mkdir(parents=True, exist_ok=True)
    content = {
        "data": {
            "seeds": [TRAINING.start, TRAINING.stop - 1],
            "pictures": len(load(folder / "world")),
            "per_class": PER_CLASS,
            "drawn": DRAWN,
            "kept": KEPT_SIDE,
            "around": AROUND,
        },
        "made_with": {"torch": torch.__version__.partition("+")[0], "timm": timm.__version__},
        "neighbours_on": HELD_OUT,
        "random": {"neighbours": top1(build().state_dict())},
        "models": {name: card(name, folder / name, weights) for name in done},
    }
    write(content, cards)
    return done


def is_done(folder: Path, steps: int) -> bool:
    """Whether a training has come to its end."""
    log = log_of(folder)
    return bool(log) and log[-1]["step"] == steps and all((folder / f"{when}.pt").exists() for when in KEPT)


def card(name: str, folder: Path, weights: Path) -> dict[str, Any]:
    """How a model was trained, by its log, and which files hold it, which are written on the way."""
    objective, log = OBJECTIVES[name], log_of(folder)
    recipe = objective.recipe
    return {
        "objective": objective.about,
        "differs": objective.differs,
        "weak": objective.weak,
        "steps": log[-1]["step"],
        "batch": recipe.batch,
        "rate": recipe.rate,
        "decay": recipe.decay,
        "seed": SEED,
        "seconds": log[-1]["seconds"],
        "loss": {"first": log[0]["loss"], "last": round(tail(log), 4)},
        "files": {when: _file(name, when, folder, weights, recipe.steps) for when in KEPT},
    }


def _file(name: str, when: str, folder: Path, weights: Path, steps: int) -> dict[str, Any]:
    state = torch.load(folder / f"{when}.pt", weights_only=True)
    path, step = weights / f"{name}-{when}.safetensors", round(KEPT[when] * steps)
    half = halved(state)
    save_file(
        half, path, {"model": f"tiny-{name}, step {step} of {steps}"}
    )  # one entry: the order of more is by chance
    path.chmod(0o644)  # safetensors lets nobody else read it, and a package keeps that
    return {
        "name": path.name,
        "sha256": file_sha256(path),
        "size": path.stat().st_size,
        "step": step,
        "neighbours": top1({key: value.float() for key, value in half.items()}),  # as it is read again
    }


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in half precision. Raises ``ValueError`` where that has no number for one of them."""
    half = {key: value.half().contiguous() for key, value in state.items()}
    lost = [key for key, value in half.items() if not bool(value.isfinite().all())]
    if lost:
        raise ValueError(f"half precision cannot hold {', '.join(lost)}")
    return half


def write(content: Mapping[str, Any], cards: Path) -> None:
    """Write the cards so that two writings of the same differ in nothing."""
    cards.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
