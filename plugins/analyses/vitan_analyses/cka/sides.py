"""One side of a comparison: the layers of a model, in one of the ways in which ``cka`` reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from vitan.analysis.recordings import KINDS as POOLED
from vitan.analysis.recordings import TOKENS as POOLED_TOKENS
from vitan.anatomy import ModelInfo

from ..hsic import exact as hsic
from ..hsic import minibatch
from ..hsic.exact import Centred, Floats
from ..hsic.grams import KINDS, TOKENS
from ..hsic.minibatch import Layers

#: Which layers: block outputs over the whole set, and block outputs and both LayerNorms' outputs from minibatches.
WHOLE, BLOCKS, NORMS = "whole", "blocks", "norms"
#: The taps of a block that the layers are, in order. Both norms are the published choice for two models.
TAPS = {BLOCKS: ("block",), NORMS: ("norm1", "norm2")}


@dataclass(frozen=True)
class Reading:
    """Which tokens of which layers; ``word`` is short for arrays, ``token`` for records, ``title`` for figures."""

    layers: str
    kind: str
    word: str
    token: str
    title: str


#: Every reading by the name of its arrays.
READINGS = {kind: Reading(WHOLE, kind, kind, POOLED_TOKENS[kind], title) for kind, title in POOLED.items()} | {
    f"{kind}-{layers}": Reading(layers, kind, kind, TOKENS[kind], title)
    for layers in (BLOCKS, NORMS)
    for kind, title in KINDS.items()
}


@dataclass(frozen=True)
class Side:
    """Layers to compare, from the whole set or from minibatches; ``gaps`` says of each why it cannot be compared."""

    features: Centred | Layers
    gaps: tuple[str, ...]

    @classmethod
    def whole(cls, layers: Iterable[Floats]) -> Side:
        """Layers (sample, channel)."""
        centred = Centred.of(layers)
        return cls(centred, centred.gaps)

    @classmethod
    def batches(cls, layers: Layers) -> Side:
        """What was kept of minibatches."""
        return cls(layers, tuple(layers.gap(i) for i in range(len(layers))))


class Compared(Protocol):
    """What a comparison between models needs of each."""

    @property
    def model(self) -> ModelInfo:
        """What is known of the model."""

    @property
    def options(self) -> Any:
        """The options of the analysis, the same for all."""

    def readings(self) -> list[str]:
        """Which of ``READINGS`` there are of it."""

    def side(self, name: str, *, last: bool = False) -> Side:
        """What there is under such a name, of all blocks or of the last alone."""


def sampled(reading: Reading, options: Any) -> dict[str, Any]:
    """The parameter of records of this reading: the size of its minibatches, where it has any."""
    return {} if reading.layers == WHOLE else {"parameter": "batch", "at": options.size}


def relate(first: Side, second: Side) -> tuple[Floats, Floats | None]:
    """CKA of every layer with every other, and its standard error where there is one."""
    mine, theirs = first.features, second.features
    if isinstance(mine, Centred):
        assert isinstance(theirs, Centred), "both sides are readings of one name"
        return hsic.cka(mine, theirs), None
    assert isinstance(theirs, Layers), "both sides are readings of one name"
    found = minibatch.cka(mine, theirs)
    return found.cka, found.error
