"""The contract of what samples hold beside their picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

import numpy as np

from ..data.samples import Box, Dataset, Point, Sample

_ROLES = ("bank", "query")
_LEVELS = {"easy", "hard", "junk"}
_ALL = 400  # in a dataset of up to so many samples all are read, to find the targets of pairs


def check_annotations(name: str, dataset: Dataset, samples: Sequence[Sample], offers: frozenset[str]) -> None:
    """Hold the first samples of a dataset to what it offers: every word is kept by some, and all are well formed.

    Raises ``AssertionError``.
    """
    for word, has in _HAS.items():
        if word in offers:
            assert any(has(sample) for sample in samples), f"{name} offers {word}, but no sample has it"
    for sample in samples:
        _check_masks(f"{name}: {sample.id}", dataset, sample)
        _check_places(f"{name}: {sample.id}", sample)
        _check_role(f"{name}: {sample.id}", dataset, sample, offers)
    _check_targets(name, dataset, samples)
    _check_groups(name, dataset, samples)
    some = [segment for sample in samples for segment in sample.segments]
    assert not some or any(segment.mask().any() for segment in some), f"{name}: all masks are empty"


_HAS: Mapping[str, Callable[[Sample], bool]] = {
    "label": lambda sample: sample.label is not None,
    "roles": lambda sample: bool(sample.role),
    "masks": lambda sample: bool(sample.segments),
    "keypoints": lambda sample: bool(sample.keypoints),
    "pairs": lambda sample: bool(sample.pairs),
    "relevance": lambda sample: any(sample.relevant.values()),
    "video": lambda sample: bool(sample.group) and sample.id_mask is not None,
}


def _check_masks(where: str, dataset: Dataset, sample: Sample) -> None:
    size = (sample.image.height, sample.image.width)
    known = dataset.categories()
    for segment in sample.segments:
        mask = segment.mask()
        assert mask.dtype == bool, f"{where}: the mask of segment {segment.id} is {mask.dtype}, not bool"
        assert mask.shape == size, f"{where}: the mask of segment {segment.id} is {mask.shape}, the picture {size}"
        again = np.array_equal(mask, segment.mask())
        assert again, f"{where}: the mask of segment {segment.id} changes when it is decoded again"
        assert segment.label in known, (
            f"{where}: segment {segment.id} is of category {segment.label}, which has no name"
        )
    if sample.id_mask is not None:
        ids = sample.id_mask()
        assert ids.dtype == np.uint8, f"{where}: its id mask is {ids.dtype}, not uint8"
        assert ids.shape == size, f"{where}: its id mask is {ids.shape}, the picture {size}"


def _check_places(where: str, sample: Sample) -> None:
    for name, point in sample.keypoints.items():
        assert _inside(point, sample), f"{where}: key point {name} is at {point}, beyond the picture"
    assert sample.box is None or _is_box(sample.box), f"{where}: its box is {sample.box}"
    for pair in sample.pairs:
        lengths = {len(pair.names), len(pair.source), len(pair.points)}
        assert len(lengths) == 1, f"{where}: pair {pair.id} has {lengths} names and points"
        assert pair.names, f"{where}: pair {pair.id} has no points"
        assert all(_inside(point, sample) for point in pair.source), f"{where}: pair {pair.id} has points beyond it"
        boxes = (pair.source_box, pair.target_box)
        assert all(map(_is_box, boxes)), f"{where}: pair {pair.id} has the boxes {boxes}"


def _check_role(where: str, dataset: Dataset, sample: Sample, offers: frozenset[str]) -> None:
    if "roles" in offers:
        assert sample.role in _ROLES, f"{where}: its role is {sample.role!r}, not one of {', '.join(_ROLES)}"
    assert sample.relevant.keys() <= _LEVELS, f"{where}: relevant has {set(sample.relevant)}, not {_LEVELS}"
    if any(sample.relevant.values()):
        assert sample.role == "query", f"{where}: something is relevant for it, but its role is {sample.role!r}"
    positions = [position for found in sample.relevant.values() for position in found]
    assert len(set(positions)) == len(positions), f"{where}: a picture is relevant for it in two ways"
    assert all(0 <= position < len(dataset) for position in positions), (
        f"{where}: relevant names positions beyond the end"
    )


def _check_targets(name: str, dataset: Dataset, samples: Sequence[Sample]) -> None:
    """Targets of pairs exist, and no query is relevant for itself."""
    for position, sample in enumerate(samples):
        found = [other for level in sample.relevant.values() for other in level]
        assert position not in found, f"{name}: {sample.id} is relevant for itself"
        for pair in sample.pairs:
            assert pair.target != sample.id, f"{name}: pair {pair.id} leads from {sample.id} to itself"
    targets = {pair.target: pair.id for sample in samples for pair in sample.pairs}
    if targets and len(dataset) <= _ALL:
        ids = {dataset[i].id for i in range(len(dataset))}
        for target, pair_id in targets.items():
            assert target in ids, f"{name}: pair {pair_id} leads to {target!r}, which is no sample"


def _check_groups(name: str, dataset: Dataset, samples: Sequence[Sample]) -> None:
    groups = dataset.groups()
    if not groups:
        return
    assert len(groups) == len(dataset), f"{name}: groups() has {len(groups)} entries for {len(dataset)} samples"
    for sample, group in zip(samples, groups, strict=False):
        assert sample.group == group, f"{name}: groups() says {group!r} of {sample.id}, its group is {sample.group!r}"
    runs = [group for group, _ in groupby(groups)]
    assert len(set(runs)) == len(runs), f"{name}: the samples of a group do not follow one another"


def _inside(point: Point, sample: Sample) -> bool:
    return 0 <= point[0] <= sample.image.width and 0 <= point[1] <= sample.image.height


def _is_box(box: Box) -> bool:
    return box[0] < box[2] and box[1] < box[3]
