"""Reading checkpoints of every kind, and refusing what is none."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from vitan.errors import WeightsFormatError, WeightsUnavailableError
from vitan.models.weights import read_checkpoint

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1, 2]), "half": torch.ones(2).half()}


def assert_state(tensors: dict[str, Tensor]) -> None:
    assert list(tensors) == list(STATE)
    for key, value in STATE.items():
        assert tensors[key].dtype == value.dtype
        assert torch.equal(tensors[key], value)


def tensors(path: Path) -> dict[str, Tensor]:
    (state,) = read_checkpoint(path).states
    return state.tensors


@pytest.mark.parametrize("legacy", [False, True])
def test_reads_what_torch_saves_whatever_its_name(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "weights.npz"
    torch.save(OrderedDict(STATE), path, _use_new_zipfile_serialization=not legacy)
    checkpoint = read_checkpoint(path)
    assert_state(checkpoint.states[0].tensors)
    assert checkpoint.kind == ("legacy PyTorch state dict" if legacy else "PyTorch state dict")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", range(2, 6))
def test_reads_every_pickle_protocol(tmp_path: Path, legacy: bool, protocol: int) -> None:
    path = tmp_path / "weights.pth"
    torch.save(STATE, path, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    assert_state(tensors(path))


def test_an_instruction_of_a_newer_protocol_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"\x80\x04\x95\x0d\0\0\0\0\0\0\0\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x04\xff.")
    with pytest.raises(WeightsFormatError, match=r"unknown instruction b'\\xff'"):
        read_checkpoint(path)


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "module", "any"])
def test_unwraps(tmp_path: Path, wrapper: str) -> None:
    path = tmp_path / "weights.pth.tar"
    torch.save({"epoch": 3, "best": np.float64(76.3), "optimizer": {"state": {}}, wrapper: STATE}, path)
    (state,) = read_checkpoint(path).states
    assert state.path == (wrapper,)
    assert_state(state.tensors)


def test_numbers_and_words_beside_tensors_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({**STATE, "epoch": 3, "lr": 0.1, "arch": "vit", "ema": None, "amp": True}, path)
    assert_state(tensors(path))


def test_reads_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    save_file(STATE, path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.kind == "safetensors"
    assert_state({key: checkpoint.states[0].tensors[key] for key in STATE})


def test_reads_npz_of_either_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with path.open("wb") as stream:
        np.savez(stream, **{"Transformer/a": np.arange(3, dtype=">f4"), "scalar": np.float64(2)})
    checkpoint = read_checkpoint(path)
    assert checkpoint.kind == "NumPy .npz"
    assert torch.equal(checkpoint.states[0].tensors["Transformer/a"], torch.arange(3.0))
    assert checkpoint.states[0].tensors["scalar"].shape == ()


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_passed_over_and_not_run(
    tmp_path: Path, legacy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    torch.save({**STATE, "x": _Evil()}, path, _use_new_zipfile_serialization=not legacy)
    assert_state(tensors(path))
    assert not (tmp_path / "executed").exists()


def test_objects_of_a_training_script_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"model": STATE, "args": argparse.Namespace(lr=1), "path": tmp_path, "dtype": torch.float16}, path)
    assert_state(tensors(path))


def test_a_whole_module_is_read_like_its_state_dict(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    module.register_buffer("table", torch.ones(2), persistent=False)
    path = tmp_path / "weights.pth"
    torch.save({"model": module}, path)
    (state,) = read_checkpoint(path).states
    want = module.state_dict()
    assert list(state.tensors) == list(want)
    assert all(torch.equal(state.tensors[key], value) for key, value in want.items())


def test_reads_arrays_of_a_bare_pickle(tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"model": {"a": np.arange(3.0, dtype=">f4")}, "__author__": "someone"}))
    assert torch.equal(tensors(path)["a"], torch.arange(3.0))


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.array([_Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(WeightsFormatError, match=r"allow_pickle"):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({"epoch": 1}, "no state dict"),
        ({"epoch": 1, "args": {}}, "top-level keys: 'epoch', 'args'"),
        ({"optimizer": {"a": torch.ones(1)}}, "no state dict"),
        ({}, "keys: none"),
        ([torch.ones(1)], "holds a list"),
        ({"model": {}}, "no state dict"),
        ({"model": {0: torch.ones(1)}}, "no state dict"),
        ({"a": torch.eye(2).to_sparse()}, "'a' is sparse or quantized"),
    ],
)
def test_says_what_is_wrong_with_the_content(tmp_path: Path, saved: object, words: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(saved, path)
    with pytest.raises(WeightsFormatError) as caught:
        read_checkpoint(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty (0 bytes)"),
        (b"\n<!DOCTYPE html><html><body>Sign in", "a web page"),
        (b"<HTML>", "a web page"),
        (b'<?xml version="1.0"?><Error><Code>BlobNotFound', "an XML answer of a server"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\0" * 257 + b"ustar\x00", "a tar archive"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b'{"model_type": "vit"}', "JSON"),
        (b"\x93NUMPY\x01\x00", "a single NumPy array"),
        (pickle.dumps({"a": 1}), "a bare pickle"),
        (b"\xde\xad\xbe\xef and so on", "begins with the bytes de ad be ef"),
        (
            b"\xff\xff\xff\x7f\0\0\0\0{",
            "not a checkpoint in a known format",
        ),  # safetensors' header longer than the file
        (b"\x02\0\0\0\0\0\0\0{]", "safetensors file is damaged"),
    ],
)
def test_names_what_a_file_is_instead(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsFormatError) as caught:
        read_checkpoint(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_truncated(tmp_path: Path, legacy: bool, kept: float) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.randn(4000)}, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(WeightsFormatError, match="fetch it again"):
        read_checkpoint(path)


def test_other_zip(tmp_path: Path) -> None:
    path = tmp_path / "weights.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.pth", b"x")
    with pytest.raises(WeightsFormatError, match=r"it holds weights\.pth"):
        read_checkpoint(path)


def test_no_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailableError, match="no such file"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(WeightsFormatError, match="a folder"):
        read_checkpoint(tmp_path)
