"""Reading ahead; and whatever is wrong with one sample, the message says with which."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event, Thread, current_thread
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vitan.data.preparation import Preparation
from vitan.data.samples import Dataset, Sample, Segment
from vitan.data.views import make_view
from vitan.engine import loader as loader_module
from vitan.engine.loader import Loader, Wanted
from vitan.engine.schedule import cut
from vitan.errors import DataError, ImageError, MismatchError, PluginError, VitanError
from vitan.options import Options

NAME = "things/one.png"


class _Pictures(Dataset):
    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        def decode() -> np.ndarray:
            raise DataError("the mask has more runs than pixels")

        segment = Segment(label=1, decode=decode)
        return Sample(id=NAME, image=Image.new("RGB", self.size), segments=(segment,))

    def fingerprint(self) -> str:
        return "one"


@dataclass(frozen=True)
class _Prepares(Preparation):
    name = "toy"
    how: Callable[[Sample], None]

    def prepare(self, sample: Sample, *_: Any) -> Mapping[str, Tensor]:
        self.how(sample)
        return {}


def _raising(error: Exception) -> Callable[[Sample], None]:
    def fail(sample: Sample) -> None:
        raise error

    return fail


def _loader(size: tuple[int, int], view: str, skip: bool) -> Loader:
    return Loader(_Pictures(size), make_view(view, 32, 8), (0.5,) * 3, (0.5,) * 3, (4, 4), skip=skip)


@pytest.mark.parametrize("view", ["crop", "squash", "letterbox", "thumbnail", "dense", "dense-paper"])
def test_a_picture_that_a_view_cannot_lay_out_is_named(view: str) -> None:
    with pytest.raises(ImageError, match=rf"^{NAME}: a picture of 900 x 1 pixels is too long and thin for this view"):
        _loader((900, 1), view, skip=False).read(0, [0], {})
    (skipped,) = _loader((900, 1), view, skip=True).read(0, [0], {}).skipped
    assert skipped.why == f"{NAME}: a picture of 900 x 1 pixels is too long and thin for this view"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda sample: sample.segments[0].mask(), f"{NAME}: the mask has more runs than pixels"),
        (_raising(MismatchError("it has no label")), f"{NAME}: it has no label"),
        (_raising(MismatchError(f"sample {NAME!r} has no label")), f"sample {NAME!r} has no label"),
        (_raising(ValueError("no")), f"prepare of {NAME}"),
    ],
)
def test_what_cannot_be_prepared_is_named_once(how: Callable[[Sample], None], said: str) -> None:
    preparation = _Prepares(how)
    failed: VitanError = _loader((40, 40), "crop", skip=False).read(0, [0], {preparation: None}).failed[preparation]
    assert said in str(failed)
    assert str(failed).count(NAME) == 1


def test_an_image_that_cannot_be_prepared_is_named_too() -> None:
    preparation = _Prepares(_raising(ImageError("the mask is damaged")))
    with pytest.raises(ImageError, match=rf"^{NAME}: the mask is damaged; or leave"):
        _loader((40, 40), "crop", skip=False).read(0, [0], {preparation: None})


@pytest.mark.parametrize("given", [None, "a.png", Sample(id="seven", image=None)], ids=["nothing", "text", "no image"])
def test_what_is_no_sample_of_a_picture_is_blamed_on_its_dataset(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Pictures, "__getitem__", lambda self, index: given)
    with pytest.raises(PluginError, match=r"dataset _Pictures .* image 0.* not a (Sample|PIL image)"):
        _loader((40, 40), "crop", skip=False).read(0, [0], {})


class _Counted(Dataset):
    """Pictures that say in which order they were asked for, and can be held back."""

    def __init__(self, count: int) -> None:
        super().__init__(Options())
        self.count, self.asked = count, []  # type: ignore[var-annotated]
        self.free = Event()
        self.free.set()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        self.asked.append(index)
        self.free.wait(10)
        pixels = np.random.default_rng(index).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        return Sample(id=str(index), image=Image.fromarray(pixels))

    def fingerprint(self) -> str:
        return "counted"


def _counting(dataset: Dataset, workers: int = 2) -> Loader:
    return Loader(dataset, make_view("crop", 32, 8), (0.5,) * 3, (0.5,) * 3, (4, 4), workers=workers)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_pixels_are_the_same_whoever_reads_them(workers: int) -> None:
    partition, dataset = cut(23, 4, shard_images=8), _Counted(23)
    expected = [_counting(dataset).read(n, partition.indices(n), {}).batch for n in range(partition.n_batches)]
    loader, shards = _counting(dataset, workers), partition.shards()
    found = []
    for shard, then in zip(shards, [*shards[1:], None], strict=True):
        found += loader.batches(partition, Wanted(shard, {}), then and Wanted(then, {}))
    loader.close()
    assert [loaded.batch and loaded.batch.index for loaded in found] == [b and b.index for b in expected]
    for loaded, batch in zip(found, expected, strict=True):
        assert loaded.batch is not None
        assert batch is not None
        assert torch.equal(loaded.batch.pixels, batch.pixels)


def test_whoever_takes_batches_does_not_put_them_together(monkeypatch: pytest.MonkeyPatch) -> None:
    names, collate = [], loader_module._collate
    monkeypatch.setattr(loader_module, "_collate", lambda *args: names.append(current_thread().name) or collate(*args))
    partition, loader = cut(12, 4, shard_images=12), _counting(_Counted(12), workers=1)
    assert len(list(loader.batches(partition, Wanted(range(3), {})))) == 3
    loader.close()
    assert [name.partition("_")[0] for name in names] == ["vitan-read"] * 3


@pytest.mark.parametrize("size", [4, 100])
def test_reading_goes_on_into_the_next_shard_and_no_image_is_read_twice(size: int) -> None:
    partition, dataset = cut(400, size, shard_images=size), _Counted(400)
    loader, shards = _counting(dataset), partition.shards()
    for number, shard in enumerate(shards):
        then = Wanted(shards[number + 1], {}) if number + 1 < len(shards) else None
        for _ in loader.batches(partition, Wanted(shard, {}), then):
            expected = min(400, size * (number + 1) + size)  # what follows has been begun before this is handed out
            _until(lambda expected=expected: len(dataset.asked) >= expected)
            assert len(dataset.asked) <= expected
    assert sorted(dataset.asked) == list(range(400))


def test_no_more_is_read_ahead_than_is_said() -> None:
    partition, dataset = cut(1000, 8, shard_images=1000), _Counted(1000)
    loader = _counting(dataset)
    next(loader.batches(partition, Wanted(range(partition.n_batches), {})))
    _until(lambda: len(dataset.asked) == 64)
    time.sleep(0.05)
    assert len(dataset.asked) == 64
    loader.close()


def test_what_somebody_else_reads_is_dropped() -> None:
    partition, dataset = cut(48, 8, shard_images=8), _Counted(48)
    loader = _counting(dataset)
    list(loader.batches(partition, Wanted([0], {}), Wanted([1], {})))
    (loaded,) = loader.batches(partition, Wanted([4], {}))
    assert loaded.batch is not None
    assert loaded.batch.index == list(range(32, 40))
    loader.close()
    assert set(dataset.asked) <= {*range(16), *range(32, 40)}


def test_closing_ends_what_was_begun() -> None:
    partition, dataset = cut(64, 32, shard_images=64), _Counted(64)
    loader = _counting(dataset)
    dataset.free.clear()
    batches = loader.batches(partition, Wanted(range(2), {}))
    reading = Thread(target=lambda: next(batches))
    reading.start()
    _until(lambda: len(dataset.asked) == 2)
    dataset.free.set()
    reading.join()
    loader.close()
    before = len(dataset.asked)
    time.sleep(0.05)
    assert len(dataset.asked) == before


def _until(true: Callable[[], bool]) -> None:
    deadline = time.time() + 10
    while not true() and time.time() < deadline:
        time.sleep(0.001)
    assert true()
