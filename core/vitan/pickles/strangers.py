"""What stands for the classes and functions that a pickle names: text, and objects that do nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pickle import UnpicklingError
from typing import Any, NamedTuple, Protocol, runtime_checkable

#: Makes a plain value from the arguments of a call. Raises ``NotPlainError`` for values of another kind, and
#: ``ValueError``, ``TypeError`` or ``LookupError`` for arguments that no honest pickle holds.
Builder = Callable[..., Any]

_WIDEST_KEY = 1 << 64  # integers beyond can be chosen to share one hash


class NotPlainError(UnpicklingError):
    """An honest value that has no plain form, such as an array of Python objects."""


class Name(NamedTuple):
    """A class or function that a pickle names, as text: ``argparse.Namespace``."""

    text: str


@dataclass(eq=False)
class Stranger:
    """Stands for an object of a class that is not known: the class's name, and whatever the pickle gave it."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    elements: list[Any] = field(default_factory=list)


@runtime_checkable
class Settable(Protocol):
    """A value of ours whose content a pickle gives after it has made it."""

    def set_state(self, state: Any) -> None:
        """Take the state after checking it."""


def make(name: str, arguments: tuple[Any, ...], builders: Mapping[str, Builder], *, strict: bool = False) -> Any:
    """What calling ``name`` stands for: what its builder makes, else a ``Stranger``.

    Raises what the builder raises; ``NotPlainError`` only if ``strict``.
    """
    builder = builders.get(name)
    try:
        if builder is not None:
            return builder(*arguments)
    except NotPlainError:
        if strict:
            raise
    if name == "copyreg._reconstructor" and len(arguments) == 3 and type(arguments[0]) is Name:  # protocols 0 and 1
        kind, _base, content = arguments
        return Stranger(kind.text, items=content if type(content) is dict else {})
    return Stranger(name, arguments)


def as_key(value: Any) -> Any:
    """``value``, if hashing it costs little whatever it is; raises ``UnpicklingError`` if not."""
    parts = value if type(value) is tuple else (value,)
    for part in parts:
        kind = type(part)
        if not (kind in _KEYS or (kind is int and -_WIDEST_KEY < part < _WIDEST_KEY)):
            raise UnpicklingError(f"a {kind.__name__} as a key")
    return value


_KEYS = frozenset({str, bytes, bool, float, complex, type(None), Name, Stranger})
