"""A probe watches a stream of forward passes, block by block, and sums it up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import Self

from .accumulators import Accumulator
from .options import Options
from .tokens import TokenLayout

if TYPE_CHECKING:
    from torch import Tensor

    from .data import Batch
    from .results import Result


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What a probe knows of the model in front of it. ``blocks`` are those that were asked for, ascending."""

    name: str
    family: str
    arch: str
    patch: int
    image_size: int
    depth: int
    heads: int
    dim: int
    layout: TokenLayout
    blocks: tuple[int, ...]


class Probe(ABC):
    """Subclass this to add an analysis.

    A probe reads the ``taps`` it names, and keeps everything it learns in accumulators that are attributes of its own:
    these are saved, merged across shards and restored without further help. Whatever else it keeps between calls is
    scratch of the batch at hand. ``version`` must change whenever the numbers of the stored state change.
    """

    Options: ClassVar[type[Options]] = Options
    version: ClassVar[str] = "1"
    taps: ClassVar[frozenset[str]]
    needs: ClassVar[frozenset[str]] = frozenset()
    view: ClassVar[str] = "crop"

    def __init__(self, options: Any, model: ModelInfo) -> None:
        self.options, self.model = options, model

    @classmethod
    def requires(cls, options: Any) -> frozenset[str]:  # noqa: ARG003  # for those whose options ask for more
        """What the dataset must offer for these options."""
        return cls.needs

    @abstractmethod
    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """See one block of one batch; blocks come in ascending order.

        ``taps`` maps the names asked for to tensors on the model's device, in its dtype; they must not be changed, and
        are gone after the call. Attention is (batch, head, query, key), features are (batch, token, channel).
        """

    @abstractmethod
    def compute(self, n_batches: int) -> Result:
        """Turn the state into numbers; ``n_batches`` is how many batches the whole dataset was cut into."""

    @classmethod
    def compare(cls, probes: Sequence[Self]) -> Result | None:  # noqa: ARG003  # most analyses compare nothing
        """Numbers between several models, from their merged states; None if there is nothing to compute.

        The probes have seen the same images in the same view, with the same options. A record between two models names
        the first in ``model`` and the second in ``other``.
        """
        return None

    def accumulators(self) -> dict[str, Accumulator]:
        """The state, by attribute name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Accumulator)}

    def merge(self, other: Self) -> None:
        """Take in what another shard's probe has seen."""
        theirs = other.accumulators()
        for name, mine in self.accumulators().items():
            mine.merge(theirs[name])

    def state(self) -> dict[str, Tensor]:
        """All accumulators as tensors, under ``attribute.part``."""
        return {f"{n}.{k}": t for n, acc in self.accumulators().items() for k, t in acc.state().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Replace the state by what ``state`` returned earlier."""
        for name, acc in self.accumulators().items():
            acc.load({k.partition(".")[2]: t for k, t in state.items() if k.partition(".")[0] == name})
