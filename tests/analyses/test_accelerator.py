"""What analyses ask of an accelerator while they watch, held to a budget on a pretended one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import vitan
from vitan.analysis.accumulators import PerImage, Sum
from vitan.anatomy import TokenLayout
from vitan.errors import RecordingError
from vitan.options import Options
from vitan.registry.plugins import plugins_from
from vitan.testing import check_on_accelerator
from vitan.testing.accelerator import pretending
from vitan_analyses.attention.reduce import negative_entropy
from vitan_analyses.saliency.rows import maps_of_rows, saliency_maps, source_rows

#: Kernels for one batch over three blocks of a small model, and no more. Copies that nothing waits for are none.
BUDGET = {
    "attention": 700,
    "attention-maps": 12,
    "cka": 170,
    "clustering": 4,
    "keypoints": 12,
    "knn": 4,
    "residual": 350,
    "retrieval": 4,
    "saliency": 8,
    "segments": 24,
    "segments-dense": 72,
    "similarity": 4,
    "spectrum": 8,
}
SPECS = {spec.name: spec for _, spec in plugins_from(None).probes}
#: It scores every frame on the CPU before it goes on to the next.
WAITS = {"video-segmentation"}


def test_every_analysis_is_held_to_a_budget_or_known_to_wait() -> None:
    ours = {name for name, spec in SPECS.items() if spec.load().__module__.startswith("vitan_analyses")}
    assert ours == BUDGET.keys() | WAITS


@pytest.mark.parametrize("name", BUDGET)
def test_nothing_waits_for_the_device_in_the_block_loop(name: str) -> None:
    asked = check_on_accelerator(SPECS[name])
    assert sum(asked.kernels.values()) <= BUDGET[name]


@pytest.mark.parametrize("name", WAITS)
def test_what_is_said_to_wait_does(name: str) -> None:
    with pytest.raises(AssertionError, match="waits for a value"):
        check_on_accelerator(SPECS[name])


# What is done otherwise on an accelerator gives the same, here tried on a CPU


def test_sums_split_there_are_those_split_here_to_the_bit() -> None:
    here, there = Sum(), Sum()
    for shape in ((8, 5, 7), (2000, 3), (1, 1)):
        rows = torch.randn(shape, dtype=torch.float64) * 10.0 ** torch.randint(-12, 9, shape)
        for some in rows.split(1024):
            here._put(len(shape), *here._split_here(0, some))
            there._put(len(shape), *there._split_there(0, some))
    assert all(
        torch.equal(mine, yours)
        for key in (2, 3)
        for mine, yours in zip(here._limbs[key], there._limbs[key], strict=True)
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 5e12])
@pytest.mark.parametrize("ask", [Sum.state, lambda s: s.total(2), lambda s: Sum().merge(s), lambda s: s.merge(Sum())])
def test_what_cannot_be_summed_there_is_an_error_as_soon_as_the_sum_is_asked_for(bad: float, ask: Any) -> None:
    total = Sum()
    total._put(2, *total._split_there(2, torch.tensor([[1.0, bad]], dtype=torch.float64)))
    total._put(2, *total._split_there(2, torch.ones(1, 2, dtype=torch.float64)))
    with pytest.raises(RecordingError, match="a value of block 2 is not finite or not below 4e"):
        ask(total)


@pytest.mark.parametrize("paper", [False, True])
@pytest.mark.parametrize("prefix", [(), ("cls",), ("cls", "register")])
def test_maps_made_of_rows_are_those_made_at_once(paper: bool, prefix: tuple[str, ...]) -> None:
    layout = TokenLayout(prefix, (3, 4))
    attention = torch.randn(2, 3, len(layout), len(layout)).softmax(-1)
    at_once = saliency_maps(attention, layout, paper=paper)
    made = maps_of_rows(source_rows(attention, layout).numpy(), layout, paper=paper)
    np.testing.assert_allclose(made, at_once, rtol=1e-5, equal_nan=True)


def test_entropy_there_takes_zeros_for_nothing() -> None:
    rows = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    here = negative_entropy(rows, torch.empty_like(rows), over=(-1,))
    assert here.tolist() == pytest.approx([-math.log(2), 0.0])
    assert torch.xlogy(rows, rows).sum(-1).tolist() == pytest.approx(here.tolist())


def _bool(x: Any) -> Any:
    return bool(x.sum() > 0)


def _mask(x: Any) -> Any:
    return x[x > 0]


def _mixed(x: Any) -> Any:
    return x + torch.ones(4)


def _numpy(x: Any) -> Any:
    return x.to("cpu", non_blocking=True).numpy()


@pytest.mark.parametrize("do", [_bool, _mask, _mixed, _numpy, torch.Tensor.tolist, torch.Tensor.item])
def test_whatever_waits_or_mixes_devices_is_seen(do: Callable[[Any], Any]) -> None:
    with pytest.raises(AssertionError, match=r"test_accelerator\.py:\d+"), pretending("cuda"):
        do(torch.ones((4,) if do is not torch.Tensor.item else (), device="cuda"))


def test_copies_are_counted_and_those_that_are_waited_for_named() -> None:
    with pretending("cuda") as asked:
        there = torch.ones(4, device="cuda") * torch.arange(4.0).to("cuda")
        there.to("cpu", copy=True, non_blocking=True)
        assert asked.faults == []
        there.cpu()
    assert (asked.leaving, asked.arriving) == (32, 16)
    assert len(asked.faults) == 1
    assert "test_accelerator.py" in asked.faults[0]
    assert dict(asked.kernels) == {"ones": 1, "mul": 1}


def test_what_stays_on_the_cpu_is_computed() -> None:
    with pretending("cuda"):
        assert torch.tensor([1.0, 2.0]).sum().item() == 3
        kept = PerImage()
        kept.add(0, [1, 0], torch.tensor([[1.0], [2.0]]))
        assert kept.rows(0).tolist() == [[2.0], [1.0]]


def test_a_probe_that_waits_is_named_with_the_line() -> None:
    class Waiting(vitan.Probe):
        """Asks for a value."""

        Options = Options
        taps = frozenset({"block"})

        def update_block(self, block: int, taps: Any, batch: Any) -> None:
            float(taps["block"].mean())

        def compute(self) -> Any: ...

    spec = vitan.ProbeSpec(name="waiting", summary="waits", load=lambda: Waiting)
    with pytest.raises(AssertionError, match=r"test_accelerator\.py:\d+ waits for a value"):
        check_on_accelerator(spec)
