"""Tables and masks of the ``video-segmentation`` analysis, as DAVIS' own evaluation reads and writes them."""

from __future__ import annotations

from collections.abc import Iterator

from vitan.analysis.figures import Drawable, File

from .reading import Predictions


def make_files(drawable: Drawable) -> Iterator[File]:
    """The tables of every block, and beside them its masks where they were asked for."""
    predictions = Predictions(drawable)
    for block, evaluation in predictions.evaluations.items():
        folder = f"davis_vidseg_blk{block:02}"
        yield File(name=f"{folder}/global_results-val.csv", content=evaluation.global_csv().encode())
        yield File(name=f"{folder}/per-sequence_results-val.csv", content=evaluation.per_sequence_csv().encode())
        if block in predictions.with_masks:
            for row, name in enumerate(predictions.names):
                yield File(name=f"{folder}/{name}.png", content=predictions.png(block, row))
