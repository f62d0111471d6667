"""The metrics of the ``video-segmentation`` analysis."""

from __future__ import annotations

from vitan.registry.specs import Metric

METRICS = (
    Metric(
        name="j-and-f-mean",
        summary="mean of j-mean and f-mean",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Perazzi et al. 2016; Pont-Tuset et al. 2017 (DAVIS)",
    ),
    Metric(
        name="j-mean",
        summary="mean of J, the IoU of masks",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Perazzi et al. 2016; Pont-Tuset et al. 2017 (DAVIS)",
    ),
    Metric(
        name="j-recall",
        summary="share of frames above 0.5 of J, the IoU of masks",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Perazzi et al. 2016; Pont-Tuset et al. 2017 (DAVIS)",
    ),
    Metric(
        name="j-decay",
        summary="loss from the first to the last quarter of the frames of J, the IoU of masks",
        unit="fraction",
        better="lower",
        low=-1,
        high=1,
        source="Perazzi et al. 2016; Pont-Tuset et al. 2017 (DAVIS)",
    ),
    Metric(
        name="f-mean",
        summary="mean of F, the accuracy of outlines",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Perazzi et al. 2016; Pont-Tuset et al. 2017 (DAVIS)",
    ),
    Metric(
        name="f-recall",
        summary="share of frames above 0.5 of F, the accuracy of outlines",
        unit="fraction",
        better="higher",
        low=0,
        high=1,
        source="Perazzi et al. 2016; Pont-Tuset et al. 2017 (DAVIS)",
    ),
    Metric(
        name="f-decay",
        summary="loss from the first to the last quarter of the frames of F, the accuracy of outlines",
        unit="fraction",
        better="lower",
        low=-1,
        high=1,
        source="Perazzi et al. 2016; Pont-Tuset et al. 2017 (DAVIS)",
    ),
    Metric(
        name="objects-left-out",
        summary="objects in videos that are too short to be scored",
        unit="objects",
        low=0,
        source="count",
    ),
)
