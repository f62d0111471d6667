"""The metrics of the ``retrieval`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

METRICS = (
    Metric(
        name="map-easy",
        summary="mean average precision of the easy protocol",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Radenović et al. 2018",
    ),
    Metric(
        name="map-medium",
        summary="mean average precision of the medium protocol",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Radenović et al. 2018",
    ),
    Metric(
        name="map-hard",
        summary="mean average precision of the hard protocol",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Radenović et al. 2018",
    ),
    Metric(
        name="map-class",
        summary="mean average precision where what is relevant is the class",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Radenović et al. 2018",
    ),
    Metric(
        name="mp-easy",
        summary="mean precision among the first k, easy protocol",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Radenović et al. 2018",
    ),
    Metric(
        name="mp-medium",
        summary="mean precision among the first k, medium protocol",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Radenović et al. 2018",
    ),
    Metric(
        name="mp-hard",
        summary="mean precision among the first k, hard protocol",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Radenović et al. 2018",
    ),
    Metric(
        name="mp-class",
        summary="mean precision among the first k by class",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Radenović et al. 2018",
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
