"""Whatever is wrong with one sample, the message says with which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from vitan.data.preparation import Preparation
from vitan.data.samples import Dataset, Sample, Segment
from vitan.data.views import make_view
from vitan.engine.loader import Loader
from vitan.errors import DataError, ImageError, MismatchError, PluginError, VitanError

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
