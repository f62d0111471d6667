"""Builders of plain values: text, numbers, containers, and numpy arrays of numbers and text.

An array is put together from a type that is named anew, a shape and bytes that fit both, never by numpy's own
unpickling, which takes the layout that a file claims on trust.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from .strangers import Builder, NotPlainError, Stranger, as_key

#: Numbers and text of one size; no Python objects, no records, no dates.
_DTYPE = re.compile(r"[<>=|]?(\?|[biufcSUa]\d{1,9})")


class Dtype:
    """A numpy type of numbers or text, whose byte order the pickle sets after it has made it."""

    def __init__(self, text: Any, *_align_and_copy: Any) -> None:
        if type(text) is not str or not _DTYPE.fullmatch(text):
            raise NotPlainError(f"an array of {str(text)[:40]}, which is neither numbers nor text (object, dates, ...)")
        self.plain = np.dtype(text.replace("a", "S"))

    def set_state(self, state: Any) -> None:
        """Take the byte order; whatever else a pickle says of a type follows from its name."""
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("a type without a byte order")
        if state[1] != "|":
            self.plain = self.plain.newbyteorder(state[1])


class Array(np.ndarray[Any, Any]):
    """An array whose type, shape and bytes the pickle gives after it has made it."""

    def set_state(self, state: Any) -> None:
        """Take (version, shape, type, whether columns come first, bytes); stays empty for a type that is not plain."""
        _version, shape, dtype, fortran, content = state
        if isinstance(dtype, Stranger):
            return
        plain, octets = _checked(dtype, shape, content)
        super().__setstate__((1, shape, plain, bool(fortran), octets))  # type: ignore[arg-type]  # numpy.bool fails


def reconstruct(*_kind_shape_and_code: Any) -> Array:
    """An empty array, which the pickle fills in."""
    return Array((0,), np.uint8)


def _checked(dtype: Any, shape: Any, content: Any) -> tuple[np.dtype[Any], bytes]:
    """The type and the bytes of an array, once type, shape and bytes agree."""
    if type(dtype) is not Dtype:
        raise ValueError(f"a {type(dtype).__name__} as the type of an array")
    if type(shape) is not tuple or len(shape) > 32 or any(type(side) is not int or side < 0 for side in shape):
        raise ValueError("an array without a shape")
    octets = _octets(content)
    if math.prod(shape) * dtype.plain.itemsize != len(octets):
        raise ValueError(f"an array of {math.prod(shape)} values of {dtype.plain} in {len(octets)} bytes")
    return dtype.plain, octets


def scalar(dtype: Any, content: Any = b"") -> Any:
    """One number or text of numpy's."""
    if isinstance(dtype, Stranger):
        raise NotPlainError("a value of numpy's that is neither a number nor text")
    plain, octets = _checked(dtype, (), content)
    (value,) = np.frombuffer(octets, plain)
    return value


def from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> npt.NDArray[Any]:
    """An array as pickles of protocol 5 hold it."""
    if isinstance(dtype, Stranger):
        raise NotPlainError("an array that is neither of numbers nor of text")
    plain, octets = _checked(dtype, shape, content)
    return np.frombuffer(octets, plain).reshape(shape, order="F" if order == "F" else "C")


def _octets(content: Any) -> bytes:
    if type(content) is str:
        return content.encode("latin1")
    if type(content) in (bytes, bytearray):
        return bytes(content)
    raise ValueError(f"a {type(content).__name__} where bytes were expected")


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if type(text) is not str or encoding != "latin1":  # how Python 3 writes bytes for Python 2
        raise ValueError("bytes in an encoding that pickles do not use")
    return text.encode("latin1")


def _bytes(content: Any = b"", encoding: Any = "latin1") -> bytes:
    return _encode(content, encoding) if type(content) is str else _octets(content)


def _bytearray(content: Any = b"", encoding: Any = "latin1") -> bytearray:
    return bytearray(_bytes(content, encoding))


def _complex(real: Any, imaginary: Any = 0.0) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise ValueError("a complex number of something else than two numbers")
    return complex(real, imaginary)


def _set(members: Any = ()) -> set[Any]:
    if type(members) not in (list, tuple):
        raise ValueError(f"a set of a {type(members).__name__}")
    return set(map(as_key, members))


def _frozenset(members: Any = ()) -> frozenset[Any]:
    return frozenset(_set(members))


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    if type(pairs) not in (list, tuple) or any(type(pair) not in (list, tuple) or len(pair) != 2 for pair in pairs):
        raise ValueError("an ordered dictionary of something else than pairs")
    return {as_key(key): value for key, value in pairs}


def _with_default(*_factory: Any) -> dict[Any, Any]:
    return {}


def _not_callable(*_arguments: Any) -> Any:
    raise NotPlainError("it calls numpy.ndarray")


PLAIN: dict[str, Builder] = {
    "_codecs.encode": _encode,
    "builtins.bytearray": _bytearray,
    "builtins.bytes": _bytes,
    "builtins.complex": _complex,
    "builtins.frozenset": _frozenset,
    "builtins.set": _set,
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _with_default,
    "numpy.dtype": Dtype,
    "numpy.ndarray": _not_callable,  # only named, as the kind of array that is wanted
    "numpy.core.multiarray._reconstruct": reconstruct,
    "numpy.core.multiarray.scalar": scalar,
    "numpy.core.numeric._frombuffer": from_buffer,
}
