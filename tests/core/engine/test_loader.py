"""What a dataset hands over for a picture is one, or the dataset is named."""

from __future__ import annotations

from typing import Any

import pytest

from toys import Pictures
from vitan import Sample
from vitan.data.views import Crop
from vitan.engine.loader import Loader
from vitan.errors import PluginError


@pytest.mark.parametrize("given", [None, "a.png", Sample(id="seven", image=None)], ids=["nothing", "text", "no image"])
def test_what_is_no_sample_of_a_picture_is_blamed_on_its_dataset(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pictures, "__getitem__", lambda self, index: given)
    loader = Loader(Pictures(Pictures.Options()), Crop(8), (0.5,) * 3, (0.5,) * 3, (2, 2))
    with pytest.raises(PluginError, match=r"dataset Pictures .* image 1.* not a (Sample|PIL image)"):
        loader.read(0, [1], {})
