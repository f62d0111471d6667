"""Every analysis on a pretended device that has no float64 and does not mix with the CPU, as Apple's GPUs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from narrow import DEVICE, OnDevice, PretendedDevice
from vitan.analysis.accumulators import PerImage, Sum
from vitan.errors import RecordingError
from vitan.registry.plugins import installed
from vitan.testing import check_probe
from vitan.testing.probes import _Feed

PROBES = {spec.name: spec for _, spec in installed().probes}


def test_what_is_pretended() -> None:
    on = OnDevice(torch.tensor([1.0, 2.0]))
    assert on.device == DEVICE
    assert isinstance(on.sum(), OnDevice)
    assert on.cpu().tolist() == [1, 2]
    assert on.cpu().double().dtype == torch.float64
    for refused in (lambda: on.double(), lambda: on.to("cpu", torch.float64), lambda: on + torch.ones(2)):
        with pytest.raises((TypeError, RuntimeError), match=r"float64|same device"):
            refused()
    with PretendedDevice():
        assert isinstance(torch.zeros(2, device=DEVICE), OnDevice)


def test_sums_are_exact_though_the_device_has_no_float64() -> None:
    total, rows = Sum(), PerImage()
    values = torch.tensor([[0.1, 2.0], [0.2, -5.0]])
    total.add(0, OnDevice(values))
    rows.add(0, [0, 1], OnDevice(values))
    assert total.total(0).tolist() == values.double().sum(0).tolist()
    assert torch.equal(rows.rows(0), values)


def test_a_device_that_loses_values_on_the_way_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As some versions of torch do on Apple's: no error, and zeros. Rows of attention would no longer sum to 1."""
    tap = _Feed._tap
    monkeypatch.setattr(_Feed, "_tap", lambda *args: OnDevice(tap(*args)))
    monkeypatch.setattr(OnDevice, "cpu", lambda self: torch.zeros(self.shape, dtype=self.dtype))
    with PretendedDevice(), pytest.raises(RecordingError, match="lost on their way from the device"):
        check_probe(PROBES["attention"], draw=False)


@pytest.mark.parametrize("name", PROBES)
def test_analyses_ask_for_nothing_that_the_device_lacks(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tap = _Feed._tap
    monkeypatch.setattr(_Feed, "_tap", lambda *args: OnDevice(tap(*args)))
    options = {"knn": {"k": (1, 5)}}.get(name, {})
    with PretendedDevice():
        check_probe(PROBES[name], draw=False, **options)
