"""The contract of a dataset."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..engine.job import open_dataset
from ..engine.plan import DatasetPlan
from ..registry.specs import DatasetSpec
from .annotations import check_annotations

_AT_MOST = 40


def check_dataset(spec: DatasetSpec, **options: Any) -> None:
    """Hold a dataset to its contract, with the options that it needs to find its files.

    Reads the first 40 samples with their annotations; and if they have pairs, all of up to 400, to find the targets.
    Raises ``AssertionError``.
    """
    dataset = open_dataset(spec, DatasetPlan(name=spec.name, options=options))
    again = open_dataset(spec, DatasetPlan(name=spec.name, options=options))
    assert len(dataset) > 0, f"{spec.name}: it is empty"
    assert dataset.fingerprint() == again.fingerprint(), f"{spec.name}: its fingerprint changes between two openings"
    some = range(min(len(dataset), _AT_MOST))
    samples = [dataset[i] for i in some]
    assert len({sample.id for sample in samples}) == len(samples), f"{spec.name}: two samples have one id"
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(again.__getitem__, reversed(some)))
    for sample, other in zip(samples, reversed(threaded), strict=True):
        same = np.array_equal(np.asarray(sample.image), np.asarray(other.image))
        assert sample.id == other.id and same, f"{spec.name}: {sample.id} depends on what was read before"  # noqa: PT018
    for sample in samples:
        assert sample.image.mode == "RGB", f"{spec.name}: {sample.id} is {sample.image.mode}, not RGB"
        assert not sample.id.startswith(("/", "\\")), f"{spec.name}: id {sample.id} is a path of one machine"
    if names := dataset.classes():
        for sample in samples:
            assert sample.label is not None, f"{spec.name} has classes, but {sample.id} has no label"
            assert 0 <= sample.label < len(names), f"{spec.name}: {sample.id} has label {sample.label}"
    for name, told, known in (
        ("labels", dataset.labels(), [sample.label for sample in samples]),
        ("roles", dataset.roles(), [sample.role for sample in samples]),
    ):
        if told:
            assert len(told) == len(dataset), f"{spec.name}: {name}() has {len(told)} entries for {len(dataset)}"
            assert list(told[: len(samples)]) == known, f"{spec.name}: {name}() and the samples say different things"
    check_annotations(spec.name, dataset, samples, spec.offers)
    assert all(isinstance(note, str) and note for note in dataset.notes()), f"{spec.name}: notes are lines of text"
    clone = pickle.loads(pickle.dumps(dataset))
    assert len(clone) == len(dataset), f"{spec.name}: it does not survive pickling"
