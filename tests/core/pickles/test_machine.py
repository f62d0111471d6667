"""The machine for pickles: what honest ones hold comes back, and no instruction of a hostile one does anything."""

from __future__ import annotations

import itertools
import os
import pickle
import pickletools
import struct
import time
import tracemalloc
from collections import OrderedDict, defaultdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitan.models.weights.tensors import TENSORS
from vitan.pickles import PLAIN, Machine, Name, Stranger, UnpicklingError
from vitan.pickles.plain import Array, Dtype

#: What the machine raises for a pickle that is damaged or made to do harm.
REFUSED = (UnpicklingError, ValueError, TypeError, LookupError, OverflowError)

PLAIN_TYPES = (bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, type(None))


def run(content: bytes, **how: Any) -> Any:
    return Machine(BytesIO(content), len(content), how.pop("builders", PLAIN), **how).load()


def refuse(name: str) -> None:
    raise UnpicklingError(name)


HONEST = [
    {"a": [1, -2, 2.5, None, True, False, "Zürich", "\ud800"], "b": (b"\xff", {3}, 1j), 7: {"deep": [[()]]}},
    [255, 256, 65536, -1, 2**31, 2**63, -(2**70), 10**300],
    (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), frozenset({1, "a"}), bytearray(b"abc"), b"x" * 300, "y" * 300,
    OrderedDict(a=1, b=2), defaultdict(list, a=[1]), {("a", 1): 2},
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", HONEST, ids=lambda value: type(value).__name__)
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    assert run(pickle.dumps(value, protocol)) == value


def test_what_occurs_twice_stays_one() -> None:
    shared: list[Any] = [1]
    shared.append(shared)
    one, other = run(pickle.dumps([shared, shared]))
    assert one is other
    assert one[1] is one


def test_bytes_of_python_2_are_read_as_text() -> None:
    assert run(b"S'a\\xff\\n\\''\n.") == "a\xff\n'"
    assert run(b"U\x02a\xff.") == "a\xff"


class Thing:
    """Of a class that nobody knows when it is read."""

    def __init__(self) -> None:
        self.lr = 0.1


class Sack(dict[str, int]):
    """A dictionary of a class that nobody knows."""


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_strangers_keep_what_they_were_given(protocol: int) -> None:
    thing, sack, kind = run(pickle.dumps([Thing(), Sack(a=1), Thing], protocol))
    assert isinstance(thing, Stranger)
    assert thing.state == {"lr": 0.1}
    assert isinstance(sack, Stranger)
    assert sack.items == {"a": 1}
    assert kind == Name(f"{__name__}.Thing")


# Hostile pickles


def name(full: str) -> bytes:
    module, _, short = full.rpartition(".")
    return f"c{module}\n{short}\n".encode()


#: Every instruction that calls something, on a name and arguments that are already pickled.
CALLS = {
    "REDUCE": lambda full, arguments: name(full) + b"(" + arguments + b"tR",
    "NEWOBJ": lambda full, arguments: name(full) + b"(" + arguments + b"t\x81",
    "NEWOBJ_EX": lambda full, arguments: name(full) + b"(" + arguments + b"t}\x92",
    "OBJ": lambda full, arguments: b"(" + name(full) + arguments + b"o",
    "INST": lambda full, arguments: b"(" + arguments + b"i" + name(full)[1:],
}


def pickled(value: object) -> bytes:
    """The instructions that make a value, without a beginning and an end."""
    return pickle.dumps(value, 2)[2:-1]


#: Arguments that real classes and numpy's own unpickling take on trust.
HOSTILE = [
    b"",
    pickled(10**12),
    pickled((1 << 40,)) + pickled("O"),
    pickled([1, 2, 3]),
    pickled("touch executed"),
    pickled("O8") + pickled(False) + pickled(True),
    pickled("f4,O"),
    pickled("x" * 100),
    pickled(b"\x41" * 8) + name("numpy.dtype") + b"(X\x02\0\0\0O8\x89\x88tR" + pickled((1,)) + pickled("C"),
    pickled(b"\x41" * 8) + name("numpy.dtype") + b"(X\x02\0\0\0f8\x89\x88tR" + pickled((1 << 60,)) + pickled("C"),
    name("numpy.ndarray") + pickled((1,)) + pickled(b"b"),
    name("builtins.eval"),
    b"]" * 3,
    b"}}",
    pickled((0,)) * 5,
    pickled({"a": 1}) + pickled(-1) + pickled((-1,)) + pickled((2**62, 2**62)) + b"\x89}",
]
CODE = ("os.system", "builtins.eval", "builtins.exec", "builtins.getattr", "numpy.load", "pickle.loads", "vitan.run")


@pytest.fixture
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fails if a command was executed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("executed"))
    yield
    assert not (tmp_path / "executed").exists()


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("function", [*TENSORS, *CODE])
def test_a_call_makes_a_plain_value_or_nothing(call: str, function: str) -> None:
    for arguments, strict in itertools.product(HOSTILE, (False, True)):
        content = b"\x80\x02" + CALLS[call](function, arguments) + b"."
        try:
            value = run(content, builders=TENSORS, refuse=refuse if strict else None)
        except REFUSED:
            continue
        assert not (strict and function in CODE)
        assert isinstance(value, (*PLAIN_TYPES, Stranger, Dtype, np.generic, np.ndarray))
        if isinstance(value, np.ndarray):
            assert not value.dtype.hasobject
            assert value.nbytes <= len(content)


@pytest.mark.parametrize("function", PLAIN)
@pytest.mark.parametrize(
    "state", [{"set_state": 1, "__class__": 2}, (None, {"plain": 3, "set_state": 1}), 7, ((),) * 5]
)
def test_no_attribute_of_ours_can_be_set(function: str, state: object) -> None:
    """On what a name makes, and on the name itself, which in Python's own machine is our class or function."""
    before = {kind: dict(vars(kind)) for kind in (Array, Dtype, Machine, Stranger, Name)}
    for target in (CALLS["REDUCE"](function, b""), CALLS["REDUCE"](function, pickled("f8")), name(function)):
        try:
            value = run(b"\x80\x02" + target + pickled(state) + b"b.")
        except REFUSED:
            continue
        assert type(value) in (dict, Stranger, Array, Dtype)
        assert type(value) is not Array or vars(value) == {}
    assert before == {kind: dict(vars(kind)) for kind in before}


def array(shape: object, dtype: bytes, content: object) -> bytes:
    """An array as numpy pickles it, with a state of one's choice."""
    empty = name("numpy.core.multiarray._reconstruct") + b"(" + name("numpy.ndarray") + b"K\0\x85C\x01btR"
    return b"\x80\x04" + empty + b"(K\x01" + pickled(shape) + dtype + b"\x89" + pickle.dumps(content, 4)[2:-1] + b"tb."


def dtype(text: str) -> bytes:
    return name("numpy.dtype") + b"(" + pickled(text) + b"\x89\x88tR"


def test_an_honest_array_of_that_form_comes_back() -> None:
    assert run(array((2,), dtype("u1"), b"ab")).tolist() == [97, 98]


@pytest.mark.parametrize(
    "content",
    [
        array((1,), dtype("O8"), b"\x41" * 8),
        array((1,), dtype("O"), [1]),
        array((1,), dtype("V8"), b"\x41" * 8),
        array((1,), dtype("f4,O"), b"\x41" * 12),
        array((1 << 40,), dtype("f8"), b"\x41" * 8),
        array((1 << 63, 2), dtype("f8"), b""),
        array((-1, -8), dtype("u1"), b"\x41" * 8),
        array((2.0,), dtype("u1"), b"ab"),
        array([2], dtype("u1"), b"ab"),
        array((1,) * 40, dtype("u1"), b"a"),
        array((8,), dtype("u1"), 8),
        array((8,), b"K\x01", b"\x41" * 8),
        array((8,), name("numpy.dtype"), b"\x41" * 8),
    ],
)  # fmt: skip
def test_an_array_of_objects_or_of_a_false_size_is_not_made(content: bytes) -> None:
    with pytest.raises(REFUSED):
        run(content, refuse=refuse)
    try:
        value = run(content)
    except REFUSED:
        return
    assert value.size == 0
    assert not value.dtype.hasobject


DEEP = 100_000
BOMBS = {
    "deep lists": b"]" * DEEP + b"a" * (DEEP - 1) + b".",
    "a deep key": b"}" + b")" + b"\x85" * DEEP + b"Ns.",
    "a key without end": b"}(" + b")" + b"2\x86" * 60 + b"Nu.",
    "a set of deep members": b"\x8f(" + b")" + b"2\x86" * 60 + b"\x90.",
    "doubled lists": b"]q\0" + b"](h\0h\0eq\0" * 3000 + b".",
    "one text, encoded again and again": b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\0"
    + (name("_codecs.encode") + b"(h\0tR") * 2000 + b".",
    "one list, made sets again and again": b"](" + b"N" * 1000 + b"eq\0"
    + (name("builtins.set") + b"(h\0tR") * 9999 + b".",
    "too many instructions": b"N0" * 4_000_000 + b".",
    "too many sets": b"\x8f" * 4_000_000 + b".",
    "a claimed length": b"\x8e" + struct.pack("<Q", 1 << 60) + b"ab.",
    "another claimed length": b"\x8d" + struct.pack("<Q", (1 << 63) - 1) + b"ab.",
    "a far memo": b"Nr" + struct.pack("<I", (1 << 32) - 1) + b".",
    "a long number": b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20) + b".",
    "a long decimal": b"I" + b"9" * 100_000 + b"\n.",
    "numbers of one hash": b"}(" + b"".join(b"\x8a\x10" + (k * (2**61 - 1)).to_bytes(16, "little") + b"N"
                                              for k in range(1, 50)) + b"u.",
    "bytes from a number": name("builtins.bytes") + b"(J\xff\xff\xff\x7ftR.",
    "an extension": b"\x82\x01.",
    "an outside buffer": b"\x97.",
    "a reference to the outside": b"NQ.",
    "an empty stack": b"R.",
    "no mark": b"t.",
    "only a stop": b".",
    "an append to a name": name("os.system") + b"Na.",
    "an item of a name": name("builtins.set") + b"NNs.",
    "an append to an array": name("numpy.core.multiarray._reconstruct") + b"(tRNa.",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_read_or_refused_soon_and_in_little_memory(bomb: str) -> None:
    content = b"\x80\x04" + BOMBS[bomb]
    tracemalloc.start()
    began = time.monotonic()
    try:
        run(content)
    except REFUSED:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert time.monotonic() - began < 60  # traced, which is several times slower
    assert peak < 1 << 30


def test_every_instruction_is_known_or_refused() -> None:
    """Those that a newer Python adds are refused until somebody has thought about them."""
    known = {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}
    for info in pickletools.opcodes:
        if info.name in known:
            with pytest.raises(UnpicklingError, match="unknown instruction"):
                run(info.code.encode("latin1") + b"\1\0\0\0.")


def test_damaged_pickles_are_refused_by_an_expected_error() -> None:
    """Seeded: every byte of an honest pickle changed, and every beginning of it."""
    content = pickle.dumps([HONEST[0], np.arange(3.0), np.float32(2), Thing(), Sack(a=1)], 4)
    generator = np.random.default_rng(0)
    cases = [content[:end] for end in range(len(content))]
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] = int(generator.integers(256))
        cases.append(bytes(changed))
    for case in cases:
        try:
            run(case)
        except REFUSED:
            continue
