"""The metrics of more than one analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

#: Of analyses that estimate from minibatches.
MINIBATCHES = (
    Metric(
        name="minibatches", summary="minibatches that the estimate is made of", unit="batches", low=0, source="count"
    ),
    Metric(
        name="images-left-out",
        summary="images in minibatches of fewer than four, which cannot be used",
        unit="images",
        low=0,
        source="count",
    ),
)

_CLUSTERS = {
    "nmi": ("normalised mutual information of k-means clusters and classes", 0, "Strehl and Ghosh 2002"),
    "ari": ("adjusted Rand index of the same clusters, 0 for chance", -1, "Hubert and Arabie 1985"),
    "purity": ("share of samples that are of the most frequent class of their cluster", 0, "Manning et al. 2008"),
}
#: Of analyses that cluster features.
CLUSTERS = tuple(
    metric
    for name, (summary, low, source) in _CLUSTERS.items()
    for metric in (
        Metric(name=name, summary=summary, better="higher", low=low, high=1, source=source),
        Metric(
            name=f"{name}-noise",
            summary=f"what uniform noise in the shape of the features reaches: {name}",
            low=low,
            high=1,
            source="ours",
        ),
    )
)
