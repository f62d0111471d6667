"""The tiny models that come with vitan: their files, their cards, and that they are called tiny."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors import safe_open

from vitan.digests import file_sha256
from vitan.errors import UnknownNameError
from vitan.models.model import load_model
from vitan.registry.plugins import installed
from vitan.testing import check_model
from vitan_models import tiny

CARDS = tiny.cards()
FILES = [(name, when) for name, card in CARDS.items() for when in card["files"]]


def spec_of(name: Any, when: Any) -> Any:
    return installed().model(f"tiny-{name}" if when == "end" else f"tiny:{name}-{when}")


def test_those_that_are_trained_are_run_where_no_model_is_named() -> None:
    assert sorted(installed().embedded()) == sorted(f"tiny-{name}" for name in CARDS)


def test_there_are_six_and_their_untrained_twin() -> None:
    names = {spec.name for _, spec in installed().models if spec.name.startswith("tiny-")}
    methods = ["supervised", "clip", "dino", "moco", "mae", "beit"]
    assert list(CARDS) == methods
    assert names == {f"tiny-{name}" for name in [*methods, "random"]}


@pytest.mark.parametrize(("name", "when"), FILES)
def test_a_file_is_the_one_that_its_card_tells_of(name: Any, when: Any) -> None:
    file = CARDS[name]["files"][when]
    path = tiny.WEIGHTS / file["name"]
    assert (file_sha256(path), path.stat().st_size) == (file["sha256"], file["size"])
    assert file["size"] < 3 * 2**20
    with safe_open(path, "pt") as opened:
        assert opened.metadata() == {"model": f"tiny-{name}, step {file['step']} of {CARDS[name]['steps']}"}


def test_no_file_is_without_a_card() -> None:
    told = {card["files"][when]["name"] for card in CARDS.values() for when in card["files"]}
    assert {path.name for path in tiny.WEIGHTS.iterdir()} == told
    assert sum(path.stat().st_size for path in tiny.WEIGHTS.iterdir()) < 25e6


@pytest.mark.parametrize(("name", "when"), FILES)
def test_weights_are_loaded_as_all_others_are(name: Any, when: Any) -> None:
    spec = spec_of(name, when)
    model = load_model(spec)
    assert model.digest == CARDS[name]["files"][when]["sha256"]
    assert {parameter.dtype for parameter in model.module.parameters()} == {torch.float32}
    check_model(spec, weights=spec.weights[0].path)


def test_a_file_that_was_changed_is_refused(tmp_path: Any) -> None:
    from dataclasses import replace

    from vitan.errors import WeightsUnavailableError

    spec = spec_of(*FILES[0])
    path = tmp_path / "other.safetensors"
    path.write_bytes(spec.weights[0].path.read_bytes()[:-1] + b"\0")
    with pytest.raises(WeightsUnavailableError, match="sha256"):
        load_model(replace(spec, weights=(replace(spec.weights[0], path=path),)))


@pytest.mark.parametrize("name", [*CARDS, "random"])
def test_a_tiny_model_is_called_tiny_and_looks_like_its_family(name: Any) -> None:
    plugins = installed()
    spec = plugins.model(f"tiny-{name}")
    kin = [other for _, other in plugins.models if other.family == spec.family and not other.name.startswith("tiny-")]
    assert kin
    assert {(other.colour, other.marker) for other in kin} == {(spec.colour, spec.marker)}
    assert {f"{other.label} (tiny)" for other in kin} == {spec.label}
    assert spec.untrained == (name == "random")
    assert (spec.embedded, spec.home) == (True, "shapes")


def test_the_untrained_twin_is_what_all_began_with() -> None:
    """MoCo's patch projection, which is never trained, is still the twin's."""
    twin = tiny.build().state_dict()
    early = load_model(spec_of("moco", "tenth")).module.state_dict()
    same = {key for key, value in early.items() if torch.equal(value, twin[key].half().float())}
    assert same == {"patch_embed.proj.weight", "patch_embed.proj.bias"}


def test_only_known_moments_of_a_training_can_be_asked_for() -> None:
    with pytest.raises(UnknownNameError, match="tiny:dino-tenth"):
        installed().model("tiny:dino-third")


@pytest.mark.parametrize("name", CARDS)
def test_a_card_tells_a_training_that_learned(name: Any) -> None:
    card = CARDS[name]
    assert name == "dino" or card["loss"]["last"] < card["loss"]["first"]  # DINO's moves with its centre
    assert card["files"]["end"]["step"] == card["steps"]
    assert card["files"]["tenth"]["step"] == round(card["steps"] / 10)
