"""The metrics of the ``retrieval`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

_SOURCE = "Radenović et al. 2018"
#: What counts as relevant, by the end of a metric's name.
_RELEVANT = {
    "easy": "what is annotated as easy",
    "medium": "what is annotated as easy or hard",
    "hard": "what is annotated as hard",
    "class": "whatever is of the query's class",
}


def _fraction(name: str, summary: str) -> Metric:
    return Metric(name=name, summary=summary, unit="fraction", better="higher", low=0, high=1, source=_SOURCE)


METRICS = (
    *(_fraction(f"map-{end}", f"mean average precision; relevant is {what}") for end, what in _RELEVANT.items()),
    *(
        _fraction(f"mp-{end}", f"mean precision among the first k; relevant is {what}")
        for end, what in _RELEVANT.items()
    ),
    Metric(name="retrieval-gallery", summary="images that are searched", unit="images", low=0, source="count"),
    Metric(
        name="retrieval-unseen",
        summary="relevant images that are not in this run",
        unit="images",
        low=0,
        source="count",
    ),
)
