"""The role of every image: in the bank that is searched, or a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from vitan.accumulators import PerImage
from vitan.batch import Batch
from vitan.errors import MismatchError
from vitan.probe import ModelInfo, Recording

ROLES = ("bank", "query")


class Roles(Recording):
    """Keeps the role of every image; raises ``MismatchError`` for a sample that is neither in the bank nor a query."""

    name: ClassVar[str] = "roles"

    def __init__(self, options: Any, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.role = PerImage()

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:  # noqa: ARG002
        """Keep the roles once, whatever the block."""
        if block != self.model.blocks[0]:
            return
        for sample in batch.samples:
            if sample.role not in ROLES:
                raise MismatchError(
                    f"sample {sample.id!r} has the role {sample.role!r}, but every picture must be in the bank or a "
                    "query here; in the dataset folder, ROOT/bank/... and ROOT/query/... say which"
                )
        self.role.add(0, batch.index, torch.tensor([ROLES.index(sample.role) for sample in batch.samples]))

    def split(self) -> tuple[Tensor, Tensor]:
        """The positions in the dataset of the bank and of the queries, ascending.

        Raises ``MismatchError`` where there are none of either.
        """
        index, role = self.role.index(0), self.role.rows(0)
        bank, queries = (index[role == number] for number in range(len(ROLES)))
        for name, some, other in (("bank", bank, queries), ("query", queries, bank)):
            if not len(some):
                raise MismatchError(
                    f"none of the {len(other)} images has the role {name!r}, so there is nothing to compare; "
                    "take more of the dataset (--limit takes its first images)"
                )
        return bank, queries
