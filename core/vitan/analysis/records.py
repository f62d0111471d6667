"""What an analysis ends with: tidy records and named arrays. A record is one value; nothing of it hides in a name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

#: The version of the columns below, in provenance and in every row.
SCHEMA = 2
#: What ``better`` may say.
DIRECTIONS = ("higher", "lower", "")
#: What ``label`` says of the block with the best value of a sweep, and of those that cannot be told from it.
BEST, LEVEL = "best", "level with the best"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One value, where it was measured, of what, and how it was made.

    ``low`` and ``high`` are the bounds of an interval of this very value, ``error`` its standard error. ``block`` and
    ``head`` count from 0; ``token`` is ``cls``, ``mean-patch``, ``patch-tokens`` or ``all-tokens``, or another token
    that an analysis looks from. ``of`` and ``name`` say what the value is of, if not of the whole: ``class`` and
    ``bird``, ``image`` and its id, ``object``, ``category``, ``condition``. ``parameter`` and ``at`` are what an
    analysis sweeps: ``k`` and 20, ``mass`` and 0.6. ``label`` is a word that belongs to the value, such as the type of
    a head or ``best``. ``gap`` says why the value is nan, and nothing else. ``n`` is the number of images or queries
    that the value was computed from.

    A probe fills in the first part. The runner fills in the rest: ``unit`` and ``better`` from the metrics that the
    analysis declares, ``n`` where the probe left it open, ``model`` where it is not a comparison, and what follows.
    ``other`` is the second model of a comparison; ``options`` are those of the analysis that are not its defaults.

    Raises ``TypeError`` for a value that is no number, and ``ValueError`` for an unknown direction or for a ``gap``
    beside a value.
    """

    metric: str
    value: float
    unit: str = ""
    better: str = ""
    low: float | None = None
    high: float | None = None
    error: float | None = None
    block: int | None = None
    head: int | None = None
    token: str = ""
    of: str = ""
    name: str = ""
    parameter: str = ""
    at: float | None = None
    label: str = ""
    gap: str = ""
    n: int | None = None

    model: str = ""
    other: str = ""
    weights: str = ""
    dataset: str = ""
    fingerprint: str = ""
    view: str = ""
    protocol: str = "default"
    analysis: str = ""
    options: str = ""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if isinstance(self.value, (str, bytes)) or not hasattr(self.value, "__float__"):
            raise TypeError(
                f"the value of {self.metric} is {self.value!r}, not a number; a missing one is nan, with a gap"
            )
        if self.better not in DIRECTIONS:
            raise ValueError(f"better of {self.metric} is {self.better!r}: use 'higher', 'lower' or ''")
        if self.gap and not math.isnan(self.value):
            raise ValueError(
                f"{self.metric} is {self.value} and yet has a gap ({self.gap}); a gap says why a value is nan"
            )


#: The columns that no two records of a results folder share.
KEY = (
    *("analysis", "model", "other", "dataset", "view", "protocol"),
    *("metric", "block", "head", "token", "of", "name", "parameter", "at"),
)
_LEADING = ("analysis", "model", "other", "dataset", "metric", "value", "unit", "low", "high", "error")
COLUMNS = (*_LEADING, *(f.name for f in fields(Record) if f.name not in _LEADING))


def identity(record: Record) -> tuple[Any, ...]:
    """What no other record of a results folder shares with this one: the values of ``KEY``."""
    return tuple(getattr(record, column) for column in KEY)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Records and arrays.

    ``axes`` names the axes of the arrays, as in ``{"attention-distance": ("image", "block", "head")}``. ``between``
    holds arrays that exist between two models, under (first, second) and their name. ``headline`` names the metrics
    that a short table should show: a handful, each with one value per block.
    """

    records: tuple[Record, ...]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    between: Mapping[tuple[str, str], Mapping[str, np.ndarray]] = field(default_factory=dict)
    headline: tuple[str, ...] = ()
