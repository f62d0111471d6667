"""A pretended GPU like Apple's: its tensors hold their values on the CPU, and refuse what the real ones refuse.

That is float64, operands on the CPU (but for single numbers and indices), and becoming an array. It goes by the name of
a device that torch knows and that needs no driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
_NO_FLOAT64 = "the device does not support float64"
_COPIES = ("_to_copy", "copy_")
_INDEXING = ("index", "index_put_", "index_put", "_index_put_impl_", "_unsafe_index")


class OnDevice(Tensor):
    """A tensor that says it is on ``DEVICE``."""

    held: Tensor

    @staticmethod
    def __new__(cls: Any, held: Tensor) -> OnDevice:
        if held.dtype == torch.float64:
            raise TypeError(_NO_FLOAT64)
        wrapper = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]  # torch's own, without a type
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device="meta",
        )  # fmt: skip
        wrapper.held = held
        return wrapper  # type: ignore[no-any-return]

    __torch_function__ = torch._C._disabled_torch_function_impl

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE

    def __getitem__(self, index: Any) -> Tensor:
        """Torch would make an index of a list where it believes the tensor to be."""
        return super().__getitem__(torch.tensor(index) if isinstance(index, list) else index)

    def tolist(self) -> Any:
        """Its values, fetched."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class PretendedDevice(TorchDispatchMode):
    """Inside, what is made on ``DEVICE`` is an ``OnDevice``."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    name = func.overloadpacket.__name__  # type: ignore[attr-defined]  # of torch's operators
    leaves = tree_leaves((args, kwargs))
    ours = [leaf for leaf in leaves if isinstance(leaf, OnDevice)]
    target = kwargs.get("device")
    onto = target is not None and torch.device(target) == DEVICE
    if not ours and not onto:
        return func(*args, **kwargs)
    if name in _COPIES:
        return _copy(func, name, args, kwargs)
    strangers = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not isinstance(leaf, OnDevice) and leaf.ndim]
    if strangers and name not in _INDEXING:
        raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two, in {name}")
    cpu = {
        key: torch.device("cpu") if key == "device" and value is not None else value for key, value in kwargs.items()
    }
    result = func(*tree_map(_held, args), **tree_map(_held, cpu))
    known = {id(tensor.held): tensor for tensor in ours}

    def wrap(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return known[id(leaf)] if id(leaf) in known else OnDevice(leaf)

    return tree_map(wrap, result)


def _copy(func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if name == "copy_":
        func(*tree_map(_held, args), **kwargs)
        return args[0]
    target = torch.device(kwargs.get("device") or args[0].device)
    if torch.float64 in (kwargs.get("dtype"), args[0].dtype) and DEVICE in (target, args[0].device):
        raise TypeError(_NO_FLOAT64)
    copied = func(_held(args[0]), **{**kwargs, "device": torch.device("cpu")})
    return OnDevice(copied) if target == DEVICE else copied


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, OnDevice) else leaf
