"""What analyses keep in common: a vector of each kind per image, its class, its role. Each is stored once for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from typing_extensions import override

from ..anatomy import ModelInfo
from ..data.batch import Batch
from ..data.samples import Dataset
from ..errors import MismatchError
from ..options import Options
from .accumulators import PerImage
from .probe import Recording

#: The kinds of vectors, with what figures call them.
KINDS = {"cls": "CLS", "patches": "mean patch"}
#: What records call them.
TOKENS = {"cls": "cls", "patches": "mean-patch"}


class Pooled(Recording):
    """Keeps both vectors of every block, from the raw outputs of the blocks and in float32.

    ``cls`` and ``patches`` hold rows (image, channel) by block. Registers belong to neither. A model without CLS has
    only the mean.
    """

    name: ClassVar[str] = "pooled"
    taps: ClassVar[frozenset[str]] = frozenset({"block"})

    def __init__(self, options: Options, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.cls, self.patches = PerImage(), PerImage()

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """Keep one vector of each kind per image."""
        layout, features = self.model.layout, taps["block"].float()  # (image, token, channel)
        if layout.cls is not None:
            self.cls.add(block, batch.index, features[:, layout.cls])
        self.patches.add(block, batch.index, features[:, layout.patches].mean(1))

    def bytes_per_image(self) -> int:
        """See ``Recording.bytes_per_image``."""
        kinds = 1 if self.model.layout.cls is None else 2
        return 4 * kinds * self.model.dim * len(self.model.blocks)

    def kept(self) -> dict[str, PerImage]:
        """What was kept, by kind."""
        kinds = {"cls": self.cls, "patches": self.patches}
        return {kind: kinds[kind] for kind in KINDS if kinds[kind].keys()}

    def images(self) -> list[int]:
        """The positions in the dataset of the images that were seen, ascending."""
        found: list[int] = self.patches.index(self.model.blocks[0]).tolist()
        return found


ROLES = ("bank", "query")


class Roles(Recording):
    """Keeps the role of every image; raises ``MismatchError`` for a sample that is neither in the bank nor a query."""

    name: ClassVar[str] = "roles"

    def __init__(self, options: Options, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.role = PerImage()

    @classmethod
    @override
    def check(cls, options: Options, dataset: Dataset, n: int) -> None:
        """Raise ``MismatchError`` unless there are a bank and queries among the first images, and nothing else."""
        if not (roles := dataset.roles()[:n]):
            return
        for place, role in enumerate(roles):
            if role not in ROLES:
                raise MismatchError(_strange(f"image {place} of the dataset", role))
        _check_both(*(sum(role == name for role in roles) for name in ROLES))

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:  # noqa: ARG002
        """Keep the roles once, whatever the block."""
        if block != self.model.blocks[0]:
            return
        for sample in batch.samples:
            if sample.role not in ROLES:
                raise MismatchError(_strange(f"sample {sample.id!r}", sample.role))
        self.role.add(0, batch.index, torch.tensor([ROLES.index(sample.role) for sample in batch.samples]))

    def split(self) -> tuple[Tensor, Tensor]:
        """The positions in the dataset of the bank and of the queries, ascending.

        Raises ``MismatchError`` where there are none of either.
        """
        index, role = self.role.index(0), self.role.rows(0)
        bank, queries = (index[role == number] for number in range(len(ROLES)))
        _check_both(len(bank), len(queries))
        return bank, queries


def _strange(sample: str, role: str) -> str:
    return (
        f"{sample} has the role {role!r}, but every picture must be in the bank or a query here; in the dataset "
        "folder, ROOT/bank/... and ROOT/query/... say which"
    )


def _check_both(bank: int, queries: int) -> None:
    for name, count, others in (("bank", bank, queries), ("query", queries, bank)):
        if not count:
            raise MismatchError(
                f"none of the {others} images has the role {name!r}, so there is nothing to compare; "
                "take more of the dataset (--limit takes its first images)"
            )


class Labels(Recording):
    """Keeps the label of every image; raises ``MismatchError`` for a sample without one."""

    name: ClassVar[str] = "labels"

    def __init__(self, options: Options, model: ModelInfo) -> None:
        super().__init__(options, model)
        self.label = PerImage()

    @classmethod
    @override
    def check(cls, options: Options, dataset: Dataset, n: int) -> None:
        """Raise ``MismatchError`` where one of the first images has no label."""
        labels = dataset.labels()[:n]
        if None in labels:
            raise MismatchError(f"image {labels.index(None)} of the dataset has no label, which is needed here")

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:  # noqa: ARG002
        """Keep the labels once, whatever the block."""
        if block != self.model.blocks[0]:
            return
        labels = [sample.label for sample in batch.samples]
        if None in labels:
            raise MismatchError(f"sample {batch.samples[labels.index(None)].id!r} has no label, which is needed here")
        self.label.add(0, batch.index, torch.tensor(labels))

    def rows(self) -> npt.NDArray[np.integer[Any]]:
        """The labels (image,), by position in the dataset."""
        found: npt.NDArray[np.integer[Any]] = self.label.rows(0).numpy()
        return found


def chosen(pooled: Pooled, token: str) -> tuple[str, PerImage]:
    """The rows of ``cls`` or ``patches``, with the name of what they are; patches where the model has no CLS."""
    kept = pooled.kept()
    name = token if token in kept else "patches"
    return name, kept[name]


def said(token: str, asked: str) -> str:
    """How a figure calls the vectors of a record's ``token``, and that they are not what was ``asked`` for."""
    kind = next(kind for kind, known in TOKENS.items() if known == token)
    return KINDS[kind] if kind == asked else f"{KINDS[kind]}, because this model has no CLS"
