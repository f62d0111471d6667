"""The metrics of the ``video-segmentation`` analysis: those of the official evaluation."""

from __future__ import annotations

from vitan.registry.specs import Metric

_SOURCE = "Perazzi et al. 2016; Pont-Tuset et al. 2017 (DAVIS)"
_MEASURES = {"j": "J, the IoU of masks", "f": "F, the accuracy of outlines"}
#: What is made of a measure over the frames of an object: in words, which direction is better, and the least value.
_STATISTICS = {
    "mean": ("mean of {}", "higher", 0),
    "recall": ("share of the frames with more than 0.5 of {}", "higher", 0),
    "decay": ("loss of {} from the first to the last quarter of the frames", "lower", -1),
}


def _fraction(name: str, summary: str, better: str, low: float) -> Metric:
    return Metric(name=name, summary=summary, unit="fraction", better=better, low=low, high=1, source=_SOURCE)


METRICS = (
    _fraction("j-and-f-mean", "mean of j-mean and f-mean", "higher", 0),
    *(
        _fraction(f"{letter}-{name}", words.format(measure), better, low)
        for letter, measure in _MEASURES.items()
        for name, (words, better, low) in _STATISTICS.items()
    ),
    Metric(
        name="objects-left-out",
        summary="objects in videos that are too short to be scored",
        unit="objects",
        low=0,
        source="count",
    ),
)
