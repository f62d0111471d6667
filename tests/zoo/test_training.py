"""The trainer of the tiny models: every objective learns, goes on where it stopped, and ends in a file and a card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vitan.digests import file_sha256
from vitan_models.tiny import build
from zoo import finishing, world
from zoo.objectives import OBJECTIVES
from zoo.objectives.base import Recipe
from zoo.objectives.beit import block_mask
from zoo.training import log_of, train
from zoo.world import Pictures

SHORT = Recipe(steps=12, batch=16, rate=2e-3)


@pytest.fixture(scope="module")
def pictures() -> Any:
    """A small world, of a seed that is no one's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "PER_CLASS", 4)
        pixels, labels, captions = world._world(99)
    return Pictures(pixels, torch.tensor(labels), captions)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def losses_of_one_batch(name: Any, pictures: Any, steps: Any = 12) -> Any:
    """The losses of one and the same batch while an objective is trained on it.

    DINO's centre is held where it is: while it moves, so does what the student has to say, and the loss with it.
    """
    torch.manual_seed(0)
    objective = OBJECTIVES[name](pictures).train()
    index = list(range(0, len(pictures), 2))
    seen = [objective.views(each) for each in index]
    views = [torch.stack(each) for each in zip(*seen, strict=True)]
    optimiser = torch.optim.AdamW(objective.parameters(), lr=2e-3)
    losses = []
    for step in range(steps):
        loss = objective.loss(views, index)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        objective.after_step(step / steps)
        if name == "dino":
            objective.centre.zero_()
        losses.append(loss.item())
    return objective, losses


# Learning


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_falls(name: Any, pictures: Any) -> None:
    objective, losses = losses_of_one_batch(name, pictures)
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    moved = [key for key, value in objective.trunk.state_dict().items() if not torch.equal(value, START[key])]
    still = START.keys() - set(moved)
    assert still <= ({"patch_embed.proj.weight", "patch_embed.proj.bias"} if name == "moco" else set())


START = build().state_dict()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_all_begin_with_the_same_weights(name: Any, pictures: Any) -> None:
    torch.manual_seed(5)
    trunk = OBJECTIVES[name](pictures).trunk.state_dict()
    assert trunk.keys() == START.keys()
    assert all(torch.equal(value, START[key]) for key, value in trunk.items())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_says_what_it_is(name: Any) -> None:
    kind = OBJECTIVES[name]
    assert "arXiv:" in kind.about
    assert kind.differs
    assert kind.weak


@pytest.mark.parametrize("name", ["dino", "moco"])
def test_no_gradient_reaches_an_average(name: Any, pictures: Any) -> None:
    objective, _ = losses_of_one_batch(name, pictures, steps=1)
    averages = [objective.teacher, objective.teacher_head] if name == "dino" else [objective.slow]
    assert all(parameter.grad is None for average in averages for parameter in average.parameters())


@pytest.mark.parametrize("share", [0.25, 0.4, 0.75])
def test_so_many_patches_are_hidden_and_in_blocks(share: Any) -> None:
    for _ in range(20):
        mask = block_mask(8, share)
        assert int(mask.sum()) == round(share * 64)
        square = mask.view(8, 8)
        beside = (square[:, 1:] & square[:, :-1]).sum() + (square[1:] & square[:-1]).sum()
        assert beside > mask.sum() / 2, "hidden patches lie beside one another"


# Going on, and the end


def test_training_goes_on_where_it_stopped(pictures: Any, tmp_path: Path) -> None:
    recipe = Recipe(steps=SHORT.steps, batch=8, rate=1e-3)
    train("mae", pictures, tmp_path, Recipe(steps=4, batch=8, rate=1e-3))
    before = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    log = train("mae", pictures, tmp_path, recipe)
    after = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert (before["step"], after["step"]) == (4, SHORT.steps)
    assert [row["step"] for row in log] == [4, SHORT.steps]
    assert log == log_of(tmp_path)
    assert train("mae", pictures, tmp_path, recipe) == log, "there is nothing left to do"


def test_finishing_writes_files_that_their_card_tells_of(
    pictures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "world").mkdir()
    np.save(tmp_path / "world" / "pixels.npy", pictures.pixels)
    known = {"labels": pictures.labels.tolist(), "captions": pictures.captions}
    (tmp_path / "world" / "known.json").write_text(json.dumps(known))
    monkeypatch.setattr(OBJECTIVES["mae"], "recipe", Recipe(steps=10, batch=8, rate=1e-3))
    monkeypatch.setattr(finishing, "top1", lambda _: {"cls": 1.0, "patches": 2.0})
    train("mae", pictures, tmp_path / "mae")
    cards, weights = tmp_path / "cards.json", tmp_path / "weights"
    assert finishing.finish(tmp_path, cards, weights) == ["mae"]
    first = cards.read_bytes()
    card = json.loads(first)["models"]["mae"]
    assert (card["steps"], card["files"]["tenth"]["step"], card["files"]["end"]["step"]) == (10, 1, 10)
    for file in card["files"].values():
        path = weights / file["name"]
        assert (file_sha256(path), path.stat().st_size) == (file["sha256"], file["size"])
        assert {value.dtype for value in load_file(path).values()} == {torch.float16}
    finishing.finish(tmp_path, cards, weights)
    assert cards.read_bytes() == first, "the same again"


def test_what_half_precision_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold b"):
        finishing.halved({"a": torch.ones(2), "b": torch.tensor([1e6])})


# The world


def test_evaluation_worlds_are_never_trained_on() -> None:
    assert not set(world.TRAINING) & set(range(10))
    assert world.HELD_OUT in range(10)


def test_pictures_are_drawn_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "TRAINING", range(99, 100))
    monkeypatch.setattr(world, "PER_CLASS", 4)
    world.render(tmp_path)
    pictures = world.load(tmp_path)
    assert pictures.pixels.shape[1:] == (3, world.KEPT_SIDE, world.KEPT_SIDE)
    assert set(pictures.labels.tolist()) == set(range(14))
    assert len(pictures) == len(pictures.labels) == len(pictures.captions)
    assert all(len(captions) == 3 for captions in pictures.captions)
    assert pictures.square(0).dtype == torch.uint8
