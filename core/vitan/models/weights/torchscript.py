"""Read the tensors of a TorchScript archive without running anything in it.

``torch.jit.load`` executes the archive's code and is deprecated. An archive is a zip of ``data.pkl`` (the tree of
modules, pickled), ``data/*`` (the raw storages) and ``code/*`` (the classes, as text). The tree is read with an
unpickler that knows a handful of harmless names and refuses all others; the text is only searched for the names of the
parameters and buffers, because a module can also hold plain tensors that belong to no state dict.
"""

from __future__ import annotations

import pickle
import re
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import WeightsFormatError

_STORAGES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}
_DEEPEST = 100  # nested modules; real models stay below 20, and a tree that contains itself has no end


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The archive's parameters and buffers, as ``torch.jit.load(path).state_dict()`` would give them, on the CPU.

    Raises ``WeightsFormatError`` for a damaged archive and for anything in it that is not on the short list of
    expected names.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            reader = _Reader(path, archive)
            return dict(reader.walk(reader.load(), "", 0))
    except WeightsFormatError:
        raise
    except (
        *(zipfile.BadZipFile, pickle.UnpicklingError, EOFError, OSError, RuntimeError, NotImplementedError),
        *(ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError),  # from a crafted pickle
    ) as error:
        raise WeightsFormatError(f"{path}: this TorchScript archive is damaged ({error}); fetch it again") from error


def refused_global(path: Path, name: str) -> WeightsFormatError:
    """The error for a pickle that names a function or class which reading weights does not need."""
    return WeightsFormatError(
        f"{path}: reading this file would call {name!r}, which plain weights do not need, and vitan runs no code from a"
        " checkpoint. If you trust its origin, load it elsewhere with torch.load(..., weights_only=False) and save only"
        " the tensors: torch.save(state_dict, 'weights.pth')"
    )


class _Module:
    """Stands for any class of the archive; ``parameters`` and ``buffers`` are filled in per class."""

    parameters: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    attributes: Any = None

    def __setstate__(self, state: object) -> None:
        self.attributes = state


class _Reader(pickle.Unpickler):
    """Unpickles ``data.pkl`` with nothing but the names below."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        roots = [name.removesuffix("constants.pkl") for name in archive.namelist() if name.endswith("/constants.pkl")]
        if len(roots) != 1 or roots[0].count("/") != 1:
            raise WeightsFormatError(f"{path}: not a TorchScript archive: it needs one constants.pkl, in one folder")
        self.path, self.archive, self.root = path, archive, roots[0]
        self.storages: dict[str, Tensor] = {}
        self.classes: dict[str, type[_Module]] = {}
        order = f"{self.root}byteorder"
        if order in archive.namelist() and archive.read(order).decode() != sys.byteorder:
            raise WeightsFormatError(f"{path}: the archive's byte order is not this machine's ({sys.byteorder} endian)")
        super().__init__(BytesIO(archive.read(f"{self.root}data.pkl")))

    def find_class(self, module: str, name: str) -> Any:
        """Only what an archive of weights needs; everything else is refused by name."""
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "__torch__" or module.startswith("__torch__."):
            return self._class(module, name)
        raise refused_global(self.path, f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        """The whole storage that the id names, as a flat tensor; tensors that share it share its memory."""
        kind, dtype, key, _device, numel = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise WeightsFormatError(f"{self.path}: unexpected reference {pid!r} in the TorchScript archive")
        if key not in self.storages:
            self.storages[key] = self._storage(str(key), dtype, int(numel))
        return self.storages[key].view(dtype)

    def _storage(self, key: str, dtype: torch.dtype, numel: int) -> Tensor:
        entry = self.archive.getinfo(f"{self.root}data/{key}")
        if entry.file_size != numel * dtype.itemsize:
            raise WeightsFormatError(
                f"{self.path}: {entry.filename} has {entry.file_size} bytes, not {numel} of {dtype}; fetch it again"
            )
        if numel == 0:
            return torch.empty(0, dtype=dtype)
        buffer = bytearray(entry.file_size)
        with self.archive.open(entry) as stream:
            stream.readinto(buffer)  # type: ignore[attr-defined]  # zip members are io.BufferedIOBase
        return torch.frombuffer(buffer, dtype=dtype)

    def _class(self, module: str, name: str) -> type[_Module]:
        """A stand-in for a class of the archive, with the names of its parameters and buffers from the class's text."""
        full = f"{module}.{name}"
        if full not in self.classes:
            member = f"{self.root}code/{module.replace('.', '/')}.py"
            if member not in self.archive.namelist():
                raise refused_global(self.path, full)
            code = self.archive.read(member).decode()
            body = re.search(rf"^class {re.escape(name)}\(Module\):\n((?:[ \t].*\n|\n)*)", code, re.MULTILINE)
            if body is None:
                raise refused_global(self.path, full)
            names = {kind: _listed(body[1], kind) for kind in ("parameters", "buffers")}
            self.classes[full] = type(name, (_Module,), dict(names))
        return self.classes[full]

    def walk(self, module: object, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
        """Parameters, buffers, then submodules, in the order of ``nn.Module.state_dict``."""
        if not isinstance(module, _Module) or not isinstance(module.attributes, dict) or depth > _DEEPEST:
            raise WeightsFormatError(f"{self.path}: {prefix or 'the top'} of the TorchScript archive is not a module")
        for name in (*module.parameters, *module.buffers):
            value = module.attributes.get(name)
            if isinstance(value, Tensor):  # an absent bias is None
                yield prefix + name, value
        for name, value in module.attributes.items():
            if isinstance(value, _Module):
                yield from self.walk(value, f"{prefix}{name}.", depth + 1)


def _listed(body: str, kind: str) -> tuple[str, ...]:
    line = re.search(rf"^\s+__{kind}__ = \[(.*)\]$", body, re.MULTILINE)
    return tuple(re.findall(r'"([^"]*)"', line[1])) if line else ()


def _rebuild(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_grad_and_hooks: object
) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _first(value: object, *_type: object) -> object:
    return value


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "device"): _first,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch.jit._pickle", "build_boollist"): _first,
    ("torch.jit._pickle", "build_doublelist"): _first,
    ("torch.jit._pickle", "build_intlist"): _first,
    ("torch.jit._pickle", "build_tensorlist"): _first,
    ("torch.jit._pickle", "restore_type_tag"): _first,
}
