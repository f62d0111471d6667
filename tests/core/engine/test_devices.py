"""Every word that torch has for a device, and some that it has not."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

import vitan
from vitan.engine.devices import check_device, reading_threads
from vitan.errors import OptionError

#: torch makes a ``torch.device`` of each of these, whether it can compute there or not.
KINDS = (
    *("xpu", "mps", "cuda", "meta", "hpu", "vulkan", "privateuseone", "xla", "ipu", "mkldnn", "fpga", "lazy", "ideep"),
    *("opengl", "opencl", "hip", "ve", "mtia", "maia"),
)
STRANGE = ("ort", "banana", "", " ", "CPU", "cpu:3", "cpu:-1", "cuda:-1", "cuda:7", "cuda:0:1", "cuda ", "0", "meta:0")


@pytest.fixture(autouse=True)
def _a_machine_with_one_processor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("cuda", "mps", "xpu", "mtia"):
        monkeypatch.setattr(getattr(torch, kind), "device_count", lambda: 0)


@pytest.mark.parametrize("device", [*KINDS, *STRANGE])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device: str) -> None:
    with pytest.raises(OptionError, match=r"^--device .*: torch has no such device here; use cpu, or auto$"):
        check_device(device)
    with pytest.raises(OptionError, match="torch has no such device here"):
        vitan.load_model("random-S32", device=device)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_the_processor_is_always_there(device: str) -> None:
    check_device(device)


def test_devices_are_counted_by_torchs_module_of_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by one that another package brings, as for Gaudi."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "hpu", SimpleNamespace(device_count=lambda: 1), raising=False)
    for device in ("cuda", "cuda:1", "hpu", "hpu:0"):
        check_device(device)
    with pytest.raises(OptionError, match="use cpu or cuda:0 or cuda:1, or auto"):
        check_device("cuda:2")


@pytest.mark.parametrize(
    ("device", "cores", "threads"), [("cpu", 64, 2), ("cuda", 64, 16), ("mps", 8, 7), ("cuda", 1, 2)]
)
def test_pictures_are_read_by_as_many_threads_as_suit_the_device(
    monkeypatch: pytest.MonkeyPatch, device: str, cores: int, threads: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert reading_threads(device) == threads
