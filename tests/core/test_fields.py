"""What plugins hand over is held to its declaration where it is made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitan import DatasetSpec, Options, Picture, Sample
from vitan.engine.isolation import blaming
from vitan.errors import PluginError, text_of

IMAGE = Image.new("RGB", (2, 2))
PIXELS = np.zeros((2, 2, 3), np.uint8)


@pytest.mark.parametrize("more", [{}, {"label": 0}, {"label": np.int64(3)}, {"label": None}, {"role": "bank"}], ids=str)
def test_what_is_declared_is_taken(more: Any) -> None:
    assert Sample(id="a", image=IMAGE, **more).id == "a"


@pytest.mark.parametrize(
    "wrong",
    [{"id": None}, {"id": 7}, {"label": "cat"}, {"label": -1}, {"role": 3}, {"id_mask": PIXELS}],
    ids=str,
)
def test_a_sample_of_something_else_is_refused_by_field(wrong: Any) -> None:
    (field,) = wrong
    with pytest.raises((TypeError, ValueError), match=field):
        Sample(**{"id": "a", "image": IMAGE, **wrong})


@pytest.mark.parametrize("name", [None, 7, b"a", ["a"]])
def test_drawings_and_specs_are_called_by_text(name: Any) -> None:
    with pytest.raises(TypeError, match="name"):
        Picture(name=name, pixels=PIXELS)
    with pytest.raises(TypeError, match="name"):
        DatasetSpec(name=name, summary="x", load=lambda: None)


def test_what_is_to_be_called_can_be_called() -> None:
    with pytest.raises(TypeError, match="load is 7"):
        DatasetSpec(name="x", summary="x", load=7)


def test_defaults_of_options_are_held_to_their_types() -> None:
    class Wrong(Options):
        n: int = "many"

    with pytest.raises(ValueError, match="many"):
        Wrong()


class MuteError(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


def test_an_error_that_cannot_say_anything_is_told_all_the_same() -> None:
    assert text_of(ValueError("a\n b")) == "ValueError: a b"
    assert "MuteError" in text_of(MuteError())
    with pytest.raises(PluginError, match="MuteError"), blaming("somebody", "doing"):
        raise MuteError


def test_a_plugin_that_leaves_the_program_is_blamed() -> None:
    with pytest.raises(PluginError, match="SystemExit: 3"), blaming("somebody", "doing"):
        raise SystemExit(3)
