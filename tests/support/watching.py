"""Showing activations to a probe and to what it shares, as a pass would."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from vitan.analysis.probe import Probe
from vitan.data.batch import Batch


def watch(probe: Probe, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
    """One block of one batch; ``taps`` may hold more than is read."""
    for recording in probe.recordings():
        recording.update_block(block, {name: taps[name] for name in recording.taps}, batch)
