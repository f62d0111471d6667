"""Checkpoints made to do harm: each is refused by name, soon, in little memory, and nothing in it runs."""

from __future__ import annotations

import os
import pickle
import resource
import struct
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vitan.errors import VitanError, WeightsFormatError
from vitan.models.weights import fit, read_checkpoint
from vitan.registry.specs import ModelSpec

MOST_SECONDS = 10
MOST_MEMORY = 1 << 30


class Run:
    """Runs a command when Python's own unpickling reads it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def storage_of(
    shape: str, numel: str, stored: bytes = b"\0" * 16, method: int = zipfile.ZIP_STORED
) -> Callable[[Path], None]:
    """An archive of one tensor ``a`` that claims this shape of a storage of ``numel`` numbers."""

    def write(path: Path) -> None:
        reference = f"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu{numel}tQ"
        tensor = f"ctorch._utils\n_rebuild_tensor_v2\n({reference}K\0{shape}\x89}}tR"
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("a/data.pkl", f"\x80\x02}}X\x01\0\0\0a{tensor}s.".encode("latin1"))
            archive.writestr("a/data/0", stored)

    return write


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return write


def content(value: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(value) and None


def saved(value: object) -> Callable[[Path], None]:
    return lambda path: torch.save(value, path)


def cyclic() -> dict[str, object]:
    value: dict[str, object] = {"model": {}}
    value["model"] = {"again": value, "list": [value]}
    return value


def doubled(depth: int) -> object:
    value: object = {"x": 1}
    for _ in range(depth):
        value = {"left": value, "right": value}
    return value


def cyclic_module() -> nn.Module:
    module = nn.Module()
    inner = nn.Module()
    module.add_module("inner", inner)
    inner._modules["outer"] = module
    return module


BIG = struct.pack("<Q", 1 << 62)
HEADER = b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,%d]}}'

HOSTILE: dict[str, Callable[[Path], None]] = {
    "a huge tensor": storage_of("(M\xff\xffM\xff\xffM\xff\xfft(M\xff\xffK\x01K\x01t", "K\x04"),
    "a tensor of one number, again and again": storage_of("(M\xff\xffM\xff\xffM\xff\xfft(K\0K\0K\0t", "K\x04"),
    "a negative size": storage_of("(J\xff\xff\xff\xfft(K\x01t", "K\x04"),
    "a negative stride": storage_of("(K\x04t(J\xff\xff\xff\xfft", "K\x04"),
    "sizes and strides of different number": storage_of("(K\x02K\x02t(K\x01t", "K\x04"),
    "a size that is text": storage_of("(X\x01\0\0\0at(K\x01t", "K\x04"),
    "a storage shorter than claimed": storage_of("(K\x04t(K\x01t", "J\xff\xff\xff\x7f"),
    "a storage of negative length": storage_of("(K\x04t(K\x01t", "J\xff\xff\xff\xff"),
    "no storage": lambda path: zipped({"a/data.pkl": b"\x80\x02]."}, zipfile.ZIP_STORED)(path),
    "two pickles": zipped({"a/data.pkl": b"\x80\x02].", "b/data.pkl": b"\x80\x02]."}, zipfile.ZIP_STORED),
    "a bomb for a pickle": zipped({"a/data.pkl": b"N0" * (150 << 20)}),
    "a bomb for a storage": storage_of(
        "(J\0\0\0\1t(K\x01t", "J\0\0\0\1", b"\0" * (64 << 20), zipfile.ZIP_DEFLATED),
    "a bomb of arrays": zipped({"a.npy": b"\x93NUMPY\x01\0v\0{'descr':'<f4','fortran_order':False,'shape':(99999999,)}"
                               .ljust(127) + b"\n" + b"\0" * (300 << 20)}),
    "an array of a claimed size": zipped({"a.npy": b"\x93NUMPY\x01\0v\0{'descr':'<f4','fortran_order':False,"
                                         b"'shape':(99999999999,),}".ljust(127) + b"\n"}),
    "an encrypted member": lambda path: _encrypted(path),
    "deep dictionaries": content(b"\x80\x02" + b"}X\1\0\0\0a" * 100_000 + b"N" + b"s" * 100_000 + b"."),
    "deep lists": content(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
    "many instructions": content(b"\x80\x02" + b"N0" * 4_000_000 + b"."),
    "a cycle": saved(cyclic()),
    "a module in itself": saved({"model": cyclic_module()}),
    "a doubling": saved(doubled(40)),
    "code": saved({"x": Run()}),
    "code in a bare pickle": content(pickle.dumps({"x": Run()})),
    "an older file that breaks off": content(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."),
    "an older file with a claimed storage": lambda path: _legacy(path),
    "a safetensors header of a claimed size": content(BIG + b"{"),
    "a safetensors tensor of a claimed size": content(
        struct.pack("<Q", len(HEADER % (b"99999999999", 399999999996))) + HEADER % (b"99999999999", 399999999996)),
    "a safetensors tensor of another size": content(
        struct.pack("<Q", len(HEADER % (b"4", 400))) + HEADER % (b"4", 400) + b"\0" * 400),
    "a sparse file": lambda path: _sparse(path),
    "GGUF": content(b"GGUF\x03\0\0\0" + b"\0" * 64),
    "ONNX": content(b"\x08\x08\x12\x07pytorch\x1a\x052.4.0:\x80\x01"),
    "Keras": zipped({"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": b"\x89HDF\r\n\x1a\n"}),
    "TensorFlow Lite": content(b"\x1c\0\0\0TFL3" + b"\0" * 64),
    "a picture": content(b"\x89PNG\r\n\x1a\n" + b"\0" * 64),
    "an index of shards": content(b'{"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}'),
}  # fmt: skip


def _encrypted(path: Path) -> None:
    zipped({"a/data.pkl": b"\x80\x02]."}, zipfile.ZIP_STORED)(path)
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0"))


def _legacy(path: Path) -> None:
    torch.save({"a": torch.zeros(4)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    length = struct.pack("<Q", 4)
    assert whole.count(length) == 1
    path.write_bytes(whole.replace(length, struct.pack("<Q", 1 << 61)))


def _sparse(path: Path) -> None:
    """A pickle's beginning, then nothing for a terabyte."""
    with path.open("wb") as file:
        file.write(b"\x80\x04")
        file.truncate(1 << 40)


@pytest.mark.parametrize("name", HOSTILE)
def test_is_refused_by_name_soon_and_in_little_memory(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    HOSTILE[name](path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    with pytest.raises(VitanError) as caught:
        read_checkpoint(path)
    assert time.monotonic() - began < MOST_SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 2000
    assert not (tmp_path / "executed").exists()


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "weights.pth")
    with pytest.raises(WeightsFormatError, match="a pipe or a device"):
        read_checkpoint(tmp_path / "weights.pth")


def test_code_beside_weights_is_passed_over_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = nn.Linear(2, 3)
    torch.save({"model": module.state_dict(), "args": Run()}, "weights.pth")
    spec = ModelSpec(name="toy-S16", summary="toy", family="toy", arch="S", patch=16, build=lambda: nn.Linear(2, 3))
    assert fit(nn.Linear(2, 3), spec, Path("weights.pth")).left == ("args",)
    assert not (tmp_path / "executed").exists()


def test_mutations_are_read_or_refused_by_name(tmp_path: Path) -> None:
    """Seeded: up to three bytes of a whole file changed."""
    torch.save({"model": {"a": torch.arange(6.0)}, "args": [1, "x"]}, tmp_path / "new")
    torch.save({"model": {"a": torch.arange(6.0)}}, tmp_path / "old", _use_new_zipfile_serialization=False)
    np.savez(tmp_path / "arrays.npz", a=np.arange(6.0))
    generator = np.random.default_rng(0)
    for original in ("new", "old", "arrays.npz"):
        whole = (tmp_path / original).read_bytes()
        for _ in range(60):
            changed = bytearray(whole)
            for place in generator.integers(len(whole), size=generator.integers(1, 4)):
                changed[place] = generator.integers(256)
            (tmp_path / "changed").write_bytes(changed)
            with suppress(WeightsFormatError):
                read_checkpoint(tmp_path / "changed")
