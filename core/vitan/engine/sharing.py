"""Which analyses can share a pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..analysis.probe import Batching
from ..data.views import DIVIDED
from .job import Analysis

#: Divided views have several windows to a picture, and so take so many times fewer pictures at a time.
_FEWER = 4


@dataclass(frozen=True)
class Sharing:
    """Analyses that one pass can feed."""

    view: str
    batching: Batching
    analyses: tuple[Analysis, ...]


def arrange(analyses: Sequence[Analysis], batch_size: int) -> list[Sharing]:
    """As few passes as the views and batchings of the analyses allow.

    An analysis that takes batches as they come joins another one in its view.
    """
    by_view: dict[str, list[Analysis]] = {}
    for analysis in analyses:
        by_view.setdefault(analysis.kind.view_for(analysis.options), []).append(analysis)
    found = []
    for view, looking in by_view.items():
        asked = [analysis.kind.batching(analysis.options) for analysis in looking]
        strict = sorted({each for each in asked if each}, key=lambda each: each.grouped) or [Batching()]
        own = max(1, batch_size // _FEWER) if view in DIVIDED else batch_size
        for batching in strict:
            sharing = [a for a, wish in zip(looking, asked, strict=True) if (wish or strict[0]) == batching]
            settled = Batching(batching.size or own, batching.seed, batching.grouped)
            found.append(Sharing(view, settled, tuple(sharing)))
    return found
