"""Find the state dicts in what a checkpoint holds, however a training script has packed them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...pickles import Stranger
from .tensors import refused_kind

_DEEPEST = 6  # containers in containers; Lightning's and solo-learn's have two
_MOST = 20_000  # containers looked into; an optimiser's state by parameter has thousands

#: Where optimisers keep tensors that are named and shaped as the weights are.
_NOT_WEIGHTS = re.compile(
    r"optim|(^|_)opt($|_)|exp_avg|momentum_buffer|(^|_)grads?($|_)|scaler|scheduler|(^|_)(adam|sgd)"
)


@dataclass(frozen=True, kw_only=True)
class State:
    """A state dict in a checkpoint: the keys that lead to it, and its tensors by name, on the CPU."""

    path: tuple[str, ...] = ()
    tensors: dict[str, Tensor]


def find_states(content: Any) -> list[State]:
    """Every state dict in ``content``, outermost first.

    A state dict is a dictionary with tensors (or arrays) under names. What else stands beside them, such as numbers,
    settings and objects of unknown classes, is no part of it. A whole module that was saved is read like its state
    dict. What optimisers keep is passed over.
    """
    states: list[State] = []
    waiting: list[tuple[tuple[str, ...], Any]] = [((), content)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        path, value = waiting.pop(0)
        if id(value) in seen or len(path) > _DEEPEST:
            continue
        seen.add(id(value))
        named = as_mapping(value)
        tensors = {key: tensor for key, item in named.items() if (tensor := as_tensor(item)) is not None}
        if tensors:
            states.append(State(path=path, tensors=tensors))
        waiting += [
            ((*path, key), item)
            for key, item in named.items()
            if isinstance(item, (dict, Stranger)) and not _NOT_WEIGHTS.search(key.lower())
        ]
    return states


def as_mapping(value: Any) -> dict[str, Any]:
    """What stands under names in a dictionary, in a stranger that was one, or in a module's or another's attributes."""
    if isinstance(value, Stranger):
        attributes = value.state if isinstance(value.state, dict) else {}
        if isinstance(attributes.get("_modules"), dict):
            return dict(_module(value, "", frozenset()))
        value = value.items or attributes
    return {key: item for key, item in value.items() if type(key) is str} if isinstance(value, dict) else {}


def as_tensor(value: Any) -> Tensor | None:
    """``value`` as a tensor, or None if it is none of numbers."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        native = value.astype(value.dtype.newbyteorder("="))
        return torch.from_numpy(np.asarray(native)) if native.dtype.char not in "HILQg" else None
    return None


def not_dense(content: Any) -> str:
    """The name of a tensor at the top that is sparse or quantized; empty if there is none."""
    return next(
        (key for key, item in as_mapping(content).items() if isinstance(item, Stranger) and refused_kind(item)), ""
    )


def _module(module: Stranger, prefix: str, above: frozenset[int]) -> Iterator[tuple[str, Any]]:
    """Parameters, buffers, then submodules, in the order of ``nn.Module.state_dict``."""
    attributes: Mapping[str, Any] = module.state if isinstance(module.state, dict) else {}
    if id(module) in above or len(above) > 100:
        return
    passing = attributes.get("_non_persistent_buffers_set")
    for kind in ("_parameters", "_buffers"):
        for name, value in _named(attributes.get(kind)):
            if not (isinstance(passing, set) and name in passing):
                yield prefix + name, value
    for name, value in _named(attributes.get("_modules")):
        if isinstance(value, Stranger):
            yield from _module(value, f"{prefix}{name}.", above | {id(module)})


def _named(value: Any) -> list[tuple[str, Any]]:
    return [(key, item) for key, item in value.items() if type(key) is str] if isinstance(value, dict) else []
