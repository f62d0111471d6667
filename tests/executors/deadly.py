"""A plugin whose analysis ends the process that runs it: the first that meets its picture, or every one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path
from typing import Any, Literal

from vitan import ProbeSpec, hookimpl

_TOYS = run_path(str(Path(__file__).parents[1] / "core" / "cli" / "toys.py"))


def _deadly() -> Any:
    from pydantic import Field

    from vitan import Options

    class DeadlyOptions(Options):
        mark: str = Field(description="a file that says that somebody has died")
        kills: Literal["once", "always", "never"] = Field("once", description="whom")
        image: int = Field(130, description="the picture that ends it")

    class Deadly(_TOYS["_mean_probe"]()):  # type: ignore[misc]
        """The mean, if one lives to tell it."""

        Options = DeadlyOptions

        def update_block(self, block: int, taps: Any, batch: Any) -> None:
            mark = Path(self.options.mark)
            met = self.options.image in batch.index and self.options.kills != "never"
            if met and not (self.options.kills == "once" and mark.exists()):
                mark.open("a").write("x")
                os.kill(os.getpid(), signal.SIGKILL)
            super().update_block(block, taps, batch)

        def compute(self) -> Any:
            from vitan import Record, Result

            return Result(
                records=tuple(Record(metric="mean", value=float(self.means.mean(b)), block=b) for b in (0, 1))
            )

    return Deadly


@hookimpl
def vitan_probes() -> Iterator[ProbeSpec]:
    """The one analysis."""
    yield ProbeSpec(name="deadly", summary="ends its process", load=_deadly)
