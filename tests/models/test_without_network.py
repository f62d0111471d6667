"""Without a network: nothing is asked of it where that is forbidden, and elsewhere it is given up soon."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from vitan.cli import main
from vitan.errors import WeightsUnavailableError
from vitan.models.weights import fetch, locate, wheel
from vitan.registry.plugins import installed
from vitan.registry.specs import HubSource, ModelSpec, PackageSource, UrlSource, WeightSource

SOURCES: dict[str, WeightSource] = {
    "url": UrlSource(url="https://weights.example.org/vit.pth"),
    "hub": HubSource(repo="somebody/vit", file="vit.safetensors"),
    "package": PackageSource(requirement="vit-weights==1.0", member="vit_weights/vit.pth"),
}
MODELS = ("dino-B16", "clip-B16", "timm:vit_tiny_patch16_224", "open_clip:ViT-B-32/laion2b_s34b_b79k")
#: What would be an address on the hub, and what is no name at all.
ADDRESSES = (
    *("hf-hub:timm/vit_base_patch16_224.dino", "timm:hf-hub:timm/vit_base_patch16_224.dino"),
    *("open_clip:hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "facebook/dino-vitb16", "https://example.org/vit.pth"),
)

Asked = list[str]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    """No network, empty caches, and who was asked for in spite of that."""
    said: Asked = []

    def unreachable(*args: Any, **kwargs: Any) -> Any:
        said.append(str(args[-1]))
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, unreachable)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, unreachable)
    monkeypatch.setattr(wheel, "subprocess", SimpleNamespace(run=unreachable))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HF_HUB_OFFLINE", "VITAN_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("HOME", "TORCH_HOME", "VITAN_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(fetch, "_hub_cached", lambda source: None)
    monkeypatch.chdir(tmp_path)
    return said


def of(source: WeightSource) -> ModelSpec:
    return ModelSpec(
        name="vit-B16",
        summary="a model",
        family="vit",
        arch="B",
        patch=16,
        build=lambda: pytest.fail("built"),
        weights=(source,),
    )


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("variable", ["VITAN_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_asks_for_nothing(kind: str, variable: str, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    begun = time.monotonic()
    with pytest.raises(WeightsUnavailableError) as caught:
        locate(of(SOURCES[kind]))
    assert time.monotonic() - begun < 1
    last = str(caught.value).splitlines()[-1]
    assert f"was not fetched, because this run is offline ({variable} is set)" in last
    assert "--weights FILE" in last
    assert asked == []


@pytest.mark.parametrize("kind", SOURCES)
def test_an_unreachable_network_is_given_up_soon(kind: str, asked: Asked) -> None:
    begun = time.monotonic()
    with pytest.raises(WeightsUnavailableError) as caught:
        locate(of(SOURCES[kind]))
    assert time.monotonic() - begun < 3
    assert asked
    assert "name resolution" in str(caught.value)
    last = str(caught.value).splitlines()[-1]
    if kind != "package":  # pip says itself what it lacks
        assert "was not fetched, because the network could not be reached" in last
        assert "VITAN_OFFLINE=1" in last
    assert "--weights FILE" in last


def commands(tmp_path: Path) -> Callable[[str], list[list[str]]]:
    def of_model(name: str) -> list[list[str]]:
        plan = tmp_path / "plan.yaml"
        plan.write_text(yaml.safe_dump({"analyses": ["attention"], "models": [name], "dataset": "samples"}))
        return [
            ["show", name],
            ["validate", str(plan)],
            ["run", "attention", "-m", name, "--limit", "1", "--device", "cpu"],
            ["run", "--plan", str(plan)],
        ]

    return of_model


@pytest.mark.parametrize("name", [*MODELS, *ADDRESSES])
def test_no_command_asks_for_a_model_offline(
    name: str, asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VITAN_OFFLINE", "1")
    for words in commands(tmp_path)(name):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(words, prog_name="vitan")
        assert asked == []
        refused = words[0] == "run" or name in ADDRESSES
        said = capsys.readouterr()
        assert bool(left.value.code) == refused, said
        if refused:
            last = (said.err or said.out).splitlines()[-1]
            assert ("not a name" in last or "called" in last) if name in ADDRESSES else "--weights FILE" in last


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--json"], ["doctor"], ["cache"], ["completion", "bash"], ["verify", "--help"], ["-h"]]
)
@pytest.mark.parametrize("offline", ["", "1"])
def test_no_other_command_asks_for_anything(
    words: list[str], offline: str, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITAN_OFFLINE", offline)
    with pytest.raises(SystemExit):
        main(words, prog_name="vitan")
    assert asked == []


def test_what_cannot_be_had_is_said_before_anything_is_built(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    from vitan.models.model import load_model

    monkeypatch.setenv("VITAN_OFFLINE", "1")
    with pytest.raises(WeightsUnavailableError, match="this run is offline"):
        load_model(of(SOURCES["url"]))
    assert installed().model("dino-B16").weights
    assert asked == []
