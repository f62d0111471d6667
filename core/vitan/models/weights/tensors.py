"""Builders of tensors for ``pickles``. A tensor is a checked window on bytes of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...pickles import PLAIN, Builder, Name, NotPlainError, Stranger, UnpicklingError, make

#: The types of stored values by the names that pickles call them.
STORAGES = {
    f"torch.{name}Storage": dtype
    for name, dtype in {
        "BFloat16": torch.bfloat16,
        "Bool": torch.bool,
        "Byte": torch.uint8,
        "Char": torch.int8,
        "ComplexDouble": torch.complex128,
        "ComplexFloat": torch.complex64,
        "Double": torch.float64,
        "Float": torch.float32,
        "Half": torch.float16,
        "Int": torch.int32,
        "Long": torch.int64,
        "Short": torch.int16,
    }.items()
}
STORAGES["torch.storage.UntypedStorage"] = torch.uint8


@dataclass(frozen=True, eq=False)
class Storage:
    """Bytes (size,) of a file, and what they are."""

    octets: Tensor
    dtype: torch.dtype = torch.uint8


def window(storage: Any, offset: Any, size: Any, stride: Any, *_grad_and_hooks: Any) -> Tensor:
    """The tensor of that size and stride; raises ``UnpicklingError`` unless it lies within the storage, once at most.

    A tensor that shows one value in many places could claim any size; none that is saved as weights does.
    """
    if not isinstance(storage, Storage) or type(offset) is not int or offset < 0:
        raise UnpicklingError("a tensor without a storage")
    sides, steps = _integers(size), _integers(stride)
    values = storage.octets.view(storage.dtype)  # (value,)
    count = 1
    for side in sides:
        count *= side
    reach = offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True)) + 1 if count else offset
    if count > values.numel() or reach > values.numel():
        raise UnpicklingError(f"a tensor of {count} values, to place {reach}, in a storage of {values.numel()}")
    return values.as_strided(sides, steps, offset)


def _integers(values: Any) -> tuple[int, ...]:
    items: Sequence[Any] = values if type(values) in (tuple, list) else ()
    if type(values) not in (tuple, list) or any(type(item) is not int or item < 0 for item in items) or len(items) > 32:
        raise UnpicklingError("a tensor without a size")
    return tuple(items)


def _typed_window(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_metadata: Any
) -> Tensor:
    """As ``window``, of types that have no storage of their own, such as float8."""
    known = getattr(torch, dtype.text.removeprefix("torch."), None) if isinstance(dtype, Name) else None
    if not isinstance(known, torch.dtype) or not isinstance(storage, Storage):
        raise NotPlainError(f"a tensor of {dtype!r:.60}")
    return window(Storage(storage.octets, known), offset, size, stride)


def _parameter(data: Any, *_grad_hooks_and_state: Any) -> Any:
    return data


def _of_type(function: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    """A tensor with attributes or of a class of its own, whose values are what ``function`` makes."""
    if type(function) is not Name or type(arguments) is not tuple or function.text not in _PLAIN_TENSORS:
        raise NotPlainError("a tensor of a class of its own")
    return make(function.text, arguments, _PLAIN_TENSORS)


def _size(values: Any = ()) -> tuple[int, ...]:
    return _integers(values)


_PLAIN_TENSORS: dict[str, Builder] = {
    "torch._utils._rebuild_tensor": window,
    "torch._utils._rebuild_tensor_v2": window,
    "torch._utils._rebuild_tensor_v3": _typed_window,
}

TENSORS: dict[str, Builder] = {
    **PLAIN,
    **_PLAIN_TENSORS,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": _size,
}


def refused_kind(value: Stranger) -> bool:
    """Whether it stands for a tensor of a layout that is not read: sparse, quantized, nested, distributed."""
    return value.name.startswith(("torch._utils._rebuild_", "torch._tensor._rebuild_"))
