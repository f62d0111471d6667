"""A machine for pickles that calls nothing which a pickle names.

A pickle is a program for a small stack machine. Python's own runs it with real classes: it calls them, sets their
attributes and feeds their methods. This one knows dictionaries, lists, tuples, sets, numbers, text and bytes by itself.
A name is text to it. "Calling" a name either looks up one of the few builders that it was given, each of which checks
its arguments and makes a plain value, or makes a ``Stranger``, which keeps what it was given and does nothing.
"""

from __future__ import annotations

import codecs
import pickletools
from collections.abc import Callable, Mapping
from pickle import UnpicklingError
from typing import Any, Protocol

from .strangers import Builder, Name, Settable, Stranger, as_key, make

MOST_STEPS = 3_000_000  # a large checkpoint with its optimiser takes 200,000
_ROOM = 64 << 20  # bytes that builders may copy beside four times the size of the pickle
_RENAMED = (("numpy._core.", "numpy.core."), ("__builtin__.", "builtins."), ("copy_reg.", "copyreg."))


class Stream(Protocol):
    """What a pickle is read from: ``BytesIO`` or ``mmap``, which give no more bytes than there are."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most ``size``."""

    def readline(self) -> bytes:
        """The bytes up to the next line feed, which is the last of them."""


class Machine:
    """Runs one pickle after another from a stream.

    ``builders`` are the names that make plain values. Any other name goes to ``refuse`` first, if that is given, which
    may raise; strangers stand for what other names make. Values without a plain form become strangers too, or are an
    error if ``refuse`` is given. ``persistent`` gives the value of a reference to the outside. ``steps`` is the largest
    number of instructions that are followed.
    """

    def __init__(
        self,
        stream: Stream,
        size: int,
        builders: Mapping[str, Builder],
        *,
        refuse: Callable[[str], None] | None = None,
        persistent: Callable[[Any], Any] | None = None,
        steps: int = MOST_STEPS,
    ) -> None:
        self._stream, self._builders, self._refuse, self._persistent = stream, builders, refuse, persistent
        self._steps, self._room = steps, _ROOM + 4 * size
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """What the next pickle of the stream holds.

        Raises what a builder raises, ``UnpicklingError``, ``ValueError``, ``TypeError`` or ``LookupError`` for a pickle
        that is damaged or made to do harm.
        """
        self._stack, self._marked, self._memo = [], [], {}
        while True:
            self._steps -= 1
            if self._steps < 0:
                raise UnpicklingError("it has more instructions than are followed")
            code = self._stream.read(1)
            known = _OPERATIONS.get(code)
            if known is None:
                raise UnpicklingError(f"unknown instruction {code!r}" if code else "it breaks off")
            read, run = known
            argument = read(self._stream) if read else None  # type: ignore[arg-type]  # read and readline are enough
            if code == b".":
                return self._stack.pop()
            if run is not None:
                run(self, argument)

    # Values, marks and the memo

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self, _: Any) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _above_mark(self) -> list[Any]:
        above = self._stack
        self._stack = self._marked.pop()
        return above

    def _drop(self, _: Any) -> None:
        self._above_mark()

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._above_mark()

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise UnpicklingError("the stack is empty")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    # Containers

    def _append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is list:
            target.extend(values)
        elif type(target) is Stranger:
            target.elements.extend(values)
        else:
            raise UnpicklingError(f"appends to a {type(target).__name__}")

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        items = target.items if type(target) is Stranger else target
        if type(items) is not dict or len(values) % 2:
            raise UnpicklingError(f"sets items of a {type(target).__name__}")
        items.update(_pairs(values))

    def _add_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is Stranger:
            target.elements.extend(values)
        elif type(target) is set:
            target.update(map(as_key, values))
        else:
            raise UnpicklingError(f"adds to a {type(target).__name__}")

    def _two(self) -> list[Any]:
        value, key = self._stack.pop(), self._stack.pop()
        return [key, value]

    # Names and what is made with them

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise UnpicklingError("a name that is not text")
        full = f"{module}.{name}"
        for old, new in _RENAMED:
            full = new + full.removeprefix(old) if full.startswith(old) else full
        if self._refuse is not None and full not in self._builders:
            self._refuse(f"{module}.{name}")
        self._stack.append(Name(full))

    def _global(self, argument: str) -> None:
        self._name(*argument.split(" ", 1))

    def _stack_global(self, _: Any) -> None:
        self._name(*self._two())

    def _call(self, function: Any, arguments: Any, keywords: Any = None) -> None:
        if type(function) is not Name or type(arguments) is not tuple:
            raise UnpicklingError(f"calls a {type(function).__name__}")
        self._spend(arguments)
        self._stack.append(make(function.text, arguments, self._builders, strict=self._refuse is not None))
        if keywords:
            if type(self._stack[-1]) is not Stranger:
                raise UnpicklingError(f"calls {function.text} with keywords")
            self._stack[-1].state = keywords

    def _reduce(self, _: Any) -> None:
        self._call(*self._two())

    def _new_with_keywords(self, _: Any) -> None:
        keywords = self._stack.pop()
        function, arguments = self._two()
        self._call(function, arguments, keywords)

    def _instance(self, argument: str) -> None:
        above = self._above_mark()
        self._global(argument)
        self._call(self._stack.pop(), tuple(above))

    def _object(self, _: Any) -> None:
        function, *arguments = self._above_mark()
        self._call(function, tuple(arguments))

    def _build(self, _: Any) -> None:
        target, state = self._two()
        self._stack.append(target)
        if type(target) is Stranger:
            target.state = state
        elif isinstance(target, Settable):
            self._spend(state if type(state) is tuple else ())
            target.set_state(state)
        elif type(target) is not dict:  # an ordered dictionary's attributes say nothing of its content
            raise UnpicklingError(f"sets attributes of a {type(target).__name__}")

    def _refer(self, argument: Any) -> None:
        if self._persistent is None:
            raise UnpicklingError("it refers to something outside")
        self._stack.append(self._persistent(argument))

    def _spend(self, arguments: tuple[Any, ...]) -> None:
        """Count what a builder may copy, because a pickle can hand the same long text to many calls."""
        for value in arguments:
            if isinstance(value, (str, bytes, bytearray, memoryview)):
                self._room -= len(value)
            elif isinstance(value, (list, tuple, dict, set)):
                self._room -= 64 * len(value)
        if self._room < 0:
            raise UnpicklingError("it makes far more than it holds")


def _pairs(values: list[Any]) -> list[tuple[Any, Any]]:
    return [(as_key(key), value) for key, value in zip(values[::2], values[1::2], strict=True)]


def _read_string(stream: Stream) -> str:
    """A quoted string of protocol 0, which Python 2 also wrote for bytes."""
    line = stream.readline().strip()
    if len(line) < 2 or line[:1] not in b"'\"" or line[-1:] != line[:1]:
        raise UnpicklingError("a string without quotes")
    text: str = codecs.escape_decode(line[1:-1])[0].decode("latin1")
    return text


def _set_memo(machine: Machine, _: Any) -> None:
    machine._put(len(machine._memo))


#: Instructions whose argument is a value.
_VALUES = (
    *("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)

_RUN: dict[str, Callable[[Machine, Any], None] | None] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP")),
    **dict.fromkeys(_VALUES, Machine._push),
    "NONE": lambda machine, _: machine._push(None),
    "NEWTRUE": lambda machine, _: machine._push(True),
    "NEWFALSE": lambda machine, _: machine._push(False),
    "EMPTY_LIST": lambda machine, _: machine._push([]),
    "EMPTY_TUPLE": lambda machine, _: machine._push(()),
    "EMPTY_DICT": lambda machine, _: machine._push({}),
    "EMPTY_SET": lambda machine, _: machine._push(set()),
    "LIST": lambda machine, _: machine._push(machine._above_mark()),
    "TUPLE": lambda machine, _: machine._push(tuple(machine._above_mark())),
    "TUPLE1": lambda machine, _: machine._tuple(1),
    "TUPLE2": lambda machine, _: machine._tuple(2),
    "TUPLE3": lambda machine, _: machine._tuple(3),
    "DICT": lambda machine, _: machine._push(dict(_pairs(machine._above_mark()))),
    "FROZENSET": lambda machine, _: machine._push(frozenset(map(as_key, machine._above_mark()))),
    "APPEND": lambda machine, _: machine._append([machine._stack.pop()]),
    "APPENDS": lambda machine, _: machine._append(machine._above_mark()),
    "SETITEM": lambda machine, _: machine._set_items(machine._two()),
    "SETITEMS": lambda machine, _: machine._set_items(machine._above_mark()),
    "ADDITEMS": lambda machine, _: machine._add_items(machine._above_mark()),
    "MARK": Machine._mark,
    "POP": Machine._pop,
    "POP_MARK": Machine._drop,
    "DUP": lambda machine, _: machine._push(machine._stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine._put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine._get),
    "MEMOIZE": _set_memo,
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), Machine._reduce),
    "NEWOBJ_EX": Machine._new_with_keywords,
    "INST": Machine._instance,
    "OBJ": Machine._object,
    "BUILD": Machine._build,
    "PERSID": Machine._refer,
    "BINPERSID": lambda machine, _: machine._refer(machine._stack.pop()),
}

_READERS: dict[str, Callable[[Stream], Any]] = {"STRING": _read_string}

#: By the instruction's byte: how its argument is read, and what it does. Extensions and outside buffers are left out.
_OPERATIONS = {
    info.code.encode("latin1"): (_READERS.get(info.name, info.arg.reader if info.arg else None), _RUN[info.name])
    for info in pickletools.opcodes
    if info.name in _RUN
}
