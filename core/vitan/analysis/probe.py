"""Recordings watch a stream of forward passes, block by block; a probe is one that sums it up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic

from typing_extensions import Self

from ..anatomy import ModelInfo
from ..options import Options, OptionsT
from .accumulators import Accumulator

if TYPE_CHECKING:
    from torch import Tensor

    from ..data.batch import Batch
    from ..data.preparation import Preparation
    from ..data.samples import Dataset
    from .records import Result


@dataclass(frozen=True)
class Batching:
    """How a recording needs the images of a pass to be cut into batches, where that matters to its numbers.

    ``size`` is the number of images in a batch. With a ``seed`` the images come in an order shuffled by it, the same
    for every model. ``grouped`` passes see one group of the dataset (a video, a category) after the other: a batch
    never holds two, and each group is a shard of its own.
    """

    size: int | None = None
    seed: int | None = None
    grouped: bool = False


class Recording(ABC, Generic[OptionsT]):
    """Watches the passes of a model, and keeps what it sees.

    A recording reads the ``taps`` it names, and keeps everything it learns in accumulators that are attributes of its
    own: these are saved, merged across shards and restored without further help. Whatever else it keeps between calls
    is scratch, and lost at the end of a shard.

    ``name`` and ``version`` are what stored state is found by, wherever the class lives: a recording that analyses
    share declares a name that nobody else uses (a plugin's begins with its own name, as in ``acme/gaze``), and a probe
    goes by the name of its analysis. ``version`` must change whenever the numbers of the stored state change.
    """

    Options: ClassVar[type[Options]] = Options
    name: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    taps: ClassVar[frozenset[str]] = frozenset()
    view: ClassVar[str] = "crop"

    def __init__(self, options: OptionsT, model: ModelInfo) -> None:
        self.options, self.model = options, model

    @classmethod
    def view_for(cls, options: OptionsT) -> str:  # noqa: ARG003  # for those whose options choose it
        """The name of the view that it looks through with these options."""
        return cls.view

    @classmethod
    def batching(cls, options: OptionsT) -> Batching | None:  # noqa: ARG003  # most do not mind
        """The batches that it needs with these options; None takes them as they come."""
        return None

    @classmethod
    def preparation(cls, options: OptionsT) -> Preparation | None:  # noqa: ARG003  # most need none
        """What it needs of each sample's annotation; ``batch.prepared`` holds it under this."""
        return None

    @classmethod
    def check(cls, options: OptionsT, dataset: Dataset, n: int) -> None:
        """Refuse, before weights are loaded, what it could only refuse after the pass over the first ``n`` images.

        No picture is read for it: ``Dataset.labels``, ``roles`` and ``groups`` say what the dataset can tell, and are
        empty where it cannot. Raises ``VitanError``s that name the way out.
        """

    @abstractmethod
    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """See one block of one batch; blocks come in ascending order.

        ``taps`` maps the names asked for to tensors on the model's device, in its dtype; they must not be changed, and
        are gone after the call. Attention is (window, head, query, key), features are (window, token, channel), and a
        window is an image unless the view is divided.
        """

    def finish(self) -> None:  # nothing to do for most
        """The shard is over, and in a grouped pass the group; what is to be kept must be in the accumulators now."""

    def bytes_per_image(self) -> int:
        """About how much an image adds to the stored state; 0 where that is little or nothing."""
        return 0

    def accumulators(self) -> dict[str, Accumulator]:
        """The state, by attribute name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Accumulator)}

    def merge(self, other: Self) -> None:
        """Take in what another shard's recording has seen."""
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


class Probe(Recording[OptionsT]):
    """Subclass this to add an analysis: a recording, and the numbers that come of it.

    ``uses`` names recordings without options that several analyses share: each is made and stored once for a pass, and
    the probe finds it under that attribute. A probe that needs nothing besides has no ``taps`` of its own.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    uses: ClassVar[Mapping[str, type[Recording]]] = {}

    def __init__(self, options: OptionsT, model: ModelInfo) -> None:
        super().__init__(options, model)
        for name, kind in self.uses.items():
            setattr(self, name, kind(kind.Options(), model))

    def recordings(self) -> list[Recording]:
        """Itself, if it has taps of its own, and what it shares."""
        return [*([self] if self.taps else []), *(getattr(self, name) for name in self.uses)]

    @classmethod
    def check(cls, options: OptionsT, dataset: Dataset, n: int) -> None:  # noqa: ARG003
        """See ``Recording.check``; what it shares is checked. A probe that refuses more calls this first."""
        for kind in cls.uses.values():
            kind.check(kind.Options(), dataset, n)

    @classmethod
    def requires(cls, options: OptionsT) -> frozenset[str]:  # noqa: ARG003  # for those whose options ask for more
        """What the dataset must offer for these options."""
        return cls.needs

    @classmethod
    def reads(cls) -> frozenset[str]:
        """Its own taps and those of what it shares."""
        return cls.taps.union(*(kind.taps for kind in cls.uses.values()))

    def update_block(self, block: int, taps: Mapping[str, Tensor], batch: Batch) -> None:
        """See ``Recording.update_block``; a probe without taps of its own is never called."""
        raise NotImplementedError(f"{type(self).__name__} reads {', '.join(self.taps)} and has no update_block")

    def memory(self, images: int) -> int:
        """About how many bytes ``compute`` holds at its peak over so many images; 0 where that is little.

        Where nothing else is said it is what the probe itself keeps of them, read and then put together.
        """
        return 2 * images * self.bytes_per_image()

    @abstractmethod
    def compute(self) -> Result:
        """Turn the state into numbers."""

    @classmethod
    def compare(cls, probes: Sequence[Self]) -> Result | None:  # noqa: ARG003  # most analyses compare nothing
        """Numbers between several models, from their merged states; None if there is nothing to compute.

        The probes have seen the same images in the same view, with the same options. A record between two models names
        the first in ``model`` and the second in ``other``.
        """
        return None
