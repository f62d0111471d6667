"""Read pickles of plain values without running anything in them.

A pickle is a program: it can call whatever it names. Those that hold annotations or results need no more than
dictionaries, lists, strings, numbers, numpy arrays and, now and then, a tensor; every other name is refused. Arrays are
put together here rather than by numpy's own unpickling, which takes the layout that a file claims on trust.
"""

from __future__ import annotations

import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError

_KINDS = frozenset("biufcSU")  # numbers and text; no Python objects, no records


def load(path: Path) -> Any:
    """What the pickle at ``path`` holds, where that is plain values only.

    These are: None, bool, int, float, complex, str, bytes, list, tuple, dict, set, and numpy arrays and scalars of
    numbers and text; tensors come as arrays. Pickles of Python 2 are read too.

    Raises ``DataError``, naming the file, if it cannot be read, is damaged, or names any other class or function, which
    the message then names as well.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        return _Reader(path, content).load()
    except DataError:
        raise
    except Exception as error:  # a crafted pickle can raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: this pickle is damaged, or is none ({reason}); get the file again") from error


class _Reader(pickle.Unpickler):
    """Knows the names in ``_ALLOWED`` and no other."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(BytesIO(content), encoding="latin1")  # what numpy arrays pickled by Python 2 need
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Only what plain values need; everything else is refused by name."""
        known_as = module.replace("numpy._core.", "numpy.core.").replace("__builtin__", "builtins")
        found = _ALLOWED.get((known_as, name))
        if found is None:
            raise DataError(
                f"{self._path}: reading this file would call {module}.{name}, which plain data do not need, and vitan "
                "runs no code from a pickle. If you trust its origin, load it elsewhere and save only numbers and text"
            )
        return found


class _Array(np.ndarray[Any, Any]):
    """An array that checks the state it is given."""

    def __setstate__(self, state: Any, /) -> None:
        _version, shape, dtype, fortran, content = state
        plain, content = _plain(dtype), _bytes(content)
        if math.prod(shape) * plain.itemsize != len(content):
            raise ValueError(f"an array of shape {shape} of {plain} in {len(content)} bytes")
        super().__setstate__((1, shape, plain, bool(fortran), content))  # type: ignore[arg-type]  # numpy.bool fails


def _reconstruct(_kind: object, _shape: object, _code: object) -> npt.NDArray[Any]:
    return _Array((0,), np.uint8)


def _dtype(text: str, *_align_and_copy: object) -> np.dtype[Any]:
    return np.dtype(_plain(np.dtype(text)), copy=True)  # a copy, because the pickle then sets its byte order


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type made anew from its name, so that nothing else of what the pickle says of it counts."""
    if dtype.kind not in _KINDS:
        raise ValueError(f"an array of {dtype}")
    return np.dtype(dtype.str)


def _scalar(dtype: np.dtype[Any], content: bytes | str) -> Any:
    (value,) = np.frombuffer(_bytes(content), _plain(dtype))
    return value


def _frombuffer(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> npt.NDArray[Any]:
    flat = np.frombuffer(bytes(content), _plain(dtype))
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _bytes(content: bytes | str) -> bytes:
    return content.encode("latin1") if isinstance(content, str) else bytes(content)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":  # how Python 3 writes bytes for Python 2
        raise ValueError(f"bytes in the encoding {encoding!r}")
    return text.encode(encoding)


def _storage(content: bytes) -> Any:
    import torch

    return torch.load(BytesIO(content), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_more: object) -> Any:
    import torch

    flat = torch.tensor([], dtype=storage.dtype).set_(storage)
    return flat.as_strided(size, stride, offset).numpy().copy()  # as_strided checks that it stays inside


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _encode,
    **{("builtins", kind.__name__): kind for kind in (bytearray, bytes, complex, set)},
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _storage,
}
