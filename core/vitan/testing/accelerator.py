"""A pretended accelerator: what an analysis asks of a GPU while it watches, found out without one.

Tensors there have shapes and a device, and no values (torch's ``FakeTensor``), so that whatever waits for a value shows
itself, as do tensors of two devices in one operation. What stays on the CPU is computed as always.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_TORCH = str(Path(torch.__file__).parent)
#: What only looks at a tensor in another way, or takes memory.
_VIEWS = frozenset(
    {"alias", "as_strided", "detach", "diagonal", "expand", "lift_fresh", "permute", "select", "slice", "split"}
    | {"squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze", "view", "_unsafe_view", "empty", "new_empty"}
    | {"empty_like", "split_with_sizes", "set_"}
)


@dataclass
class Asked:
    """What was asked of the device: kernels by name, bytes that were copied from it and to it.

    ``faults`` are places where it is waited for.
    """

    kernels: Counter[str] = field(default_factory=Counter)
    leaving: int = 0
    arriving: int = 0
    faults: list[str] = field(default_factory=list)


class _Device(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs what concerns the device on tensors without values, and the rest for real."""

    def __init__(self, kind: str, asked: Asked) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kind, self._asked = kind, asked

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given = tree_leaves((args, kwargs or {}))
        there = any(isinstance(x, FakeTensor) or (isinstance(x, torch.device) and x.type == self._kind) for x in given)
        if not there:
            with unset_fake_temporarily():
                return func(*args, **(kwargs or {}))
        made = func(*args, **(kwargs or {}))
        self._note(func._schema.name.removeprefix("aten::"), given, made, kwargs or {})
        return made

    def _note(self, name: str, given: list[Any], made: Any, kwargs: Mapping[str, Any]) -> None:
        asked, results = self._asked, [x for x in tree_leaves(made) if isinstance(x, torch.Tensor)]
        came = [x for x in given if isinstance(x, torch.Tensor) and x.dim() and x.device.type == "cpu"]
        if name in ("_to_copy", "copy_") and results[0].device.type == "cpu":
            asked.leaving += results[0].nbytes
            waiting = not (kwargs.get("non_blocking") or (name == "copy_" and given[-1] is True))
            if waiting:
                asked.faults.append(f"{_place()} copies to the CPU and waits for it")
        elif came:
            asked.arriving += sum(x.nbytes for x in came)
        elif not name.startswith("prim::") and name not in _VIEWS:
            asked.kernels[name] += 1


@contextmanager
def pretending(kind: str) -> Iterator[Asked]:
    """Inside, a device of this kind (``cuda``) is there, as far as shapes go; yields what is asked of it.

    Raises ``AssertionError``, with the place, where a value is waited for or tensors of two devices meet.
    """
    asked = Asked()
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), _Device(kind, asked):
            yield asked
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise AssertionError(f"{_place(error)} waits for a value ({error.func})") from error
    except RuntimeError as error:
        if "same device" not in str(error) and "tensor subclasses" not in str(error):
            raise
        raise AssertionError(f"{_place(error)}: {error}") from error


def _place(error: BaseException | None = None) -> str:
    """The innermost line that is none of torch's: of an analysis, or of what it calls here."""
    stack = traceback.extract_tb(error.__traceback__) if error else traceback.extract_stack()
    others = [frame for frame in stack if not frame.filename.startswith((_TORCH, __file__, contextlib.__file__))]
    inner = (others or stack)[-1]
    return f"{'/'.join(Path(inner.filename).parts[-2:])}:{inner.lineno}"
