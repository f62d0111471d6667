"""The metrics of the ``saliency`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

METRICS = (
    Metric(
        name="iou",
        summary="IoU of the patches that hold most of the attention with the objects; of a head, or mean over heads",
        better="higher",
        low=0,
        high=1,
        source="Teaching Matters (CVPR 2023)",
    ),
    Metric(
        name="iou-best-head-per-image",
        summary="the same of the best head of each image",
        better="higher",
        low=0,
        high=1,
        source="Teaching Matters (CVPR 2023)",
    ),
    Metric(
        name="iou-best-fixed-head",
        summary="the same of the head that is best over all images; the label says which",
        better="higher",
        low=0,
        high=1,
        source="ours",
    ),
    Metric(
        name="iou-merged",
        summary="the same of all heads summed",
        better="higher",
        low=0,
        high=1,
        source="ours",
    ),
    Metric(
        name="iou-random", summary="what masks of the same size placed at random reach", low=0, high=1, source="ours"
    ),
    Metric(
        name="iou-random-best-head",
        summary="what the best of as many random masks as heads reaches",
        low=0,
        high=1,
        source="ours",
    ),
    Metric(name="pictures", summary="images with an object", unit="images", low=0, source="count"),
    Metric(
        name="pictures-without-objects",
        summary="images in which no patch belongs to an object",
        unit="images",
        low=0,
        source="count",
    ),
    Metric(name="heads", summary="heads that the best was chosen from", unit="heads", low=1, source="count"),
)
