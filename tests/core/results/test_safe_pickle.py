"""Pickles of plain values are read; whatever else a pickle asks for is refused."""

from __future__ import annotations

import datetime
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import golden
from vitan.errors import DataError
from vitan.results import safe_pickle


def written(folder: Path, value: object, protocol: int = pickle.DEFAULT_PROTOCOL) -> Path:
    path = folder / "some.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back(tmp_path: Path, protocol: Any) -> None:
    value = {"a": [1, 2.5, None, True, "Zürich"], "b": (b"bytes\xff", {3}, 1j), 7: {"deep": [[]]}}
    assert safe_pickle.load(written(tmp_path, value, protocol)) == value


ARRAYS = {
    "float": np.linspace(0, 1, 6).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "other byte order": np.arange(4, dtype=">i4"),
    "text": np.array(["a", "bus"]),
    "bytes": np.array([b"a", b"bus"]),
    "empty": np.zeros((0, 3), np.float32),
    "no axis": np.array(3.0),
    "scalar": np.float32(0.25),
    "bool": np.array([True, False]),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back(tmp_path: Path, name: Any, protocol: Any) -> None:
    value = ARRAYS[name]
    found = safe_pickle.load(written(tmp_path, [value], protocol))[0]
    assert found.dtype.newbyteorder("=") == value.dtype.newbyteorder("=")  # numpy brings some into its own order
    assert found.shape == value.shape
    assert np.array_equal(found, value)


def test_an_array_of_python_2_and_numpy_1_comes_back(tmp_path: Path) -> None:
    """Names of strings without an encoding, and of the modules before numpy 2."""
    content = pickle.dumps(np.arange(3, dtype="<u2"), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in content
    path = tmp_path / "old.pkl"
    path.write_bytes(content)
    assert safe_pickle.load(path).tolist() == [0, 1, 2]


def test_tensors_come_as_arrays(tmp_path: Path) -> None:
    value = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    found = safe_pickle.load(written(tmp_path, {"pck": [value.T[1:], value.mean()]}))["pck"]
    assert isinstance(found[0], np.ndarray)
    assert found[0].tolist() == value.T[1:].tolist()
    assert float(found[1]) == 5.5


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Evil(os.system, "exit 1"), f"{os.system.__module__}.system"),
        (Evil(eval, "1"), "builtins.eval"),
        (Evil(getattr, "a", "b"), "builtins.getattr"),
        (datetime.date(2020, 1, 1), "datetime.date"),
        (Evil(np.load, "x"), "numpy.load"),
        (Path("x"), "pathlib"),
    ],
    ids=["system", "eval", "getattr", "date", "numpy.load", "path"],
)
def test_other_names_are_refused_by_name(tmp_path: Path, value: Any, name: Any) -> None:
    with pytest.raises(DataError, match=rf"some\.pkl.*{name}"):
        safe_pickle.load(written(tmp_path, {"fine": 1, "bad": value}))


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"some\.pkl.*object"):
        safe_pickle.load(written(tmp_path, np.array([1, "a"], dtype=object)))


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(list(range(50)))[:-8], b"\x80\x05]."[:2]])
def test_a_damaged_file_is_named(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.pkl.*damaged"):
        safe_pickle.load(path)


def test_a_claimed_shape_larger_than_the_content_is_refused(tmp_path: Path) -> None:
    content = pickle.dumps(np.zeros(8, np.uint8), 2)
    crafted = content.replace(b"K\x08\x85", b"M\xff\xff\x85")
    assert crafted != content
    path = tmp_path / "crafted.pkl"
    path.write_bytes(crafted)
    with pytest.raises(DataError, match=r"crafted\.pkl.*bytes"):
        safe_pickle.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pkl"):
        safe_pickle.load(tmp_path / "none.pkl")


@pytest.mark.golden
@pytest.mark.parametrize("path", sorted(golden.FOLDER.glob("downstream/retrieval/*/*.pkl")), ids=lambda path: path.name)
def test_ground_truth_is_read_as_it_was_written(path: Any) -> None:
    plain = json.loads((path.parents[1] / "gnd.json").read_text(encoding="utf-8"))
    found = safe_pickle.load(path)
    assert {key: found[key] for key in plain} == plain
