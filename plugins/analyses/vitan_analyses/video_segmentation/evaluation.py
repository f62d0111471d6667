"""J and F over videos, with the tables of the official evaluator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from vitan.data.images import is_image
from vitan.data.samples import Dataset, Sample
from vitan.errors import DataError
from vitan.files import open_file

from .metrics import Floats, Ids, Statistics, objects_of, score, statistics

#: Each measure with its heading in the official table.
METRICS = {
    "j-and-f-mean": "J&F-Mean",
    "j-mean": "J-Mean",
    "j-recall": "J-Recall",
    "j-decay": "J-Decay",
    "f-mean": "F-Mean",
    "f-recall": "F-Recall",
    "f-decay": "F-Decay",
}


@dataclass(frozen=True)
class ObjectScores:
    """J and F of one object of one video: ``values`` (frame, 2), without the first frame and the last."""

    video: str
    number: int
    values: Floats

    @property
    def name(self) -> str:
        """What the official table calls it."""
        return f"{self.video}_{self.number}"

    @cached_property
    def region(self) -> Statistics:
        """Of J."""
        return statistics(self.values[:, 0])

    @cached_property
    def boundary(self) -> Statistics:
        """Of F."""
        return statistics(self.values[:, 1])

    @property
    def measures(self) -> Mapping[str, float]:
        """All of ``METRICS``."""
        j, f = self.region, self.boundary
        values = ((j.mean + f.mean) / 2, j.mean, j.recall, j.decay, f.mean, f.recall, f.decay)
        return dict(zip(METRICS, values, strict=True))


@dataclass(frozen=True)
class Evaluation:
    """All objects of all videos, in order."""

    objects: tuple[ObjectScores, ...]

    @property
    def overall(self) -> Mapping[str, float]:
        """The mean of each measure over the objects of all videos; videos without a frame that counts are left out."""
        rows = np.array([list(one.measures.values()) for one in self.objects]).reshape(-1, len(METRICS))
        counted = rows[np.isfinite(rows).all(1)]
        means = counted.mean(0) if len(counted) else np.full(len(METRICS), np.nan)
        found = dict(zip(METRICS, means.tolist(), strict=True))
        return {**found, "j-and-f-mean": (found["j-mean"] + found["f-mean"]) / 2}

    def global_csv(self) -> str:
        """The official ``global_results`` table: one row, three decimals."""
        return _csv([list(METRICS.values()), [_decimal(value) for value in self.overall.values()]])

    def per_sequence_csv(self) -> str:
        """The official ``per-sequence_results`` table, which has a row for each object."""
        rows = [[one.name, _decimal(one.region.mean), _decimal(one.boundary.mean)] for one in self.objects]
        return _csv([["Sequence", METRICS["j-mean"], METRICS["f-mean"]], *rows])


def scores_of(video: str, values: Floats, numbers: Iterable[int]) -> list[ObjectScores]:
    """The objects of a video, by their ``numbers`` from 1, from J and F of all its frames (frame, object, 2).

    The first frame and the last do not count.
    """
    return [ObjectScores(video, number, values[1:-1, number - 1]) for number in numbers]


def annotation(sample: Sample) -> Ids:
    """The ids that a frame is annotated with, void included; raises ``DataError`` where there are none."""
    if sample.id_mask is None:
        raise DataError(f"sample {sample.id!r} has no mask of object ids, which every frame of a video needs")
    return sample.id_mask()


def frame_name(sample_id: str) -> str:
    """What a frame's mask is called: the last part of its id, without the suffix of a picture."""
    path = PurePosixPath(sample_id)
    return path.stem if is_image(path.name) else path.name


def evaluate_folder(predictions: Path, dataset: Dataset) -> Evaluation:
    """Compare ``predictions/VIDEO/FRAME.png``, masks of object ids, with the annotations of a dataset of videos.

    This is the official evaluation, where ids below the largest of the first frame count although no frame has them.
    Needs every frame but the first and the last of each video. Raises ``DataError``, naming the file, for one that is
    missing, is no mask, has another size than the annotation, or an object that the first annotation has not.
    """
    objects: list[ObjectScores] = []
    for video, indices in groupby(range(len(dataset)), dataset.groups().__getitem__):
        values = _video(predictions / video, dataset, list(indices))
        objects += scores_of(video, values, range(1, values.shape[1] + 1))
    return Evaluation(tuple(objects))


def _video(folder: Path, dataset: Dataset, indices: list[int]) -> Floats:
    count = int(objects_of(annotation(dataset[indices[0]])).max())
    values = np.full((len(indices), count, 2), np.nan)
    for row, index in enumerate(indices[1:-1], 1):
        sample = dataset[index]
        annotated = objects_of(annotation(sample))
        path = folder / f"{frame_name(sample.id)}.png"
        predicted = _read(path)
        if predicted.shape != annotated.shape:
            there, here = (" x ".join(map(str, mask.shape[::-1])) for mask in (predicted, annotated))
            raise DataError(f"{path}: the mask has {there} pixels, and the annotation of the frame {here}")
        if (largest := int(predicted.max())) > count:
            raise DataError(f"{path}: object {largest} is predicted, but the video begins with {count} objects")
        values[row] = score(annotated, predicted, count)
    return values


def _read(path: Path) -> Ids:
    try:
        with open_file(path) as file, Image.open(file, formats=["PNG"]) as image:
            if image.mode not in ("P", "L"):
                raise DataError(f"{path}: pixels are {image.mode}, not object ids; save it with a palette or as grey")
            return np.array(image)
    except FileNotFoundError:
        raise DataError(f"{path}: this mask is missing; every frame but the first and the last needs one") from None
    except (OSError, SyntaxError) as error:  # Pillow reports damage as either
        raise DataError(f"{path}: the mask cannot be read ({error})") from error


def _decimal(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else ""


def _csv(rows: Iterable[Iterable[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in rows)
