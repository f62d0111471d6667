"""Honest content made into content that is damaged, or made to do harm; all of it by a seeded generator."""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

#: What a shell would execute, were a name ever given to one, and what else names and texts come with.
WORDS = (
    "", " ", ".", "..", "../../etc/passwd", "/dev/zero", "~", "~no-such-user/x", "a/b", "a\\b", "C:\\x", "CON", "*",
    "?", "[", "{}", "{0.__class__}", "%s%n", "$(touch executed)", "`touch executed`", "; touch executed", "-o",
    "--help", "=", "::", ":", "timm:", "open_clip:x", "a" * 300, "a" * 5000, "\0", "a\nb", "\x1b[31mred", "\u202eabc",
    "\ufeff", "é", "e\u0301", "日本語", "🦜", "\udcff", "NaN", "inf", "-1", "0", "1e999", "9" * 400, "0x10", "None",
    "null", "true", "all", "last", "0-99999999999", "5-2", "-0", "1.5", "$\\frac{$", "<b>", "'", '"', "#", "&a", "*a",
    "!!x",
)  # fmt: skip
#: What stands in a tree of plain values where something else was expected; each is made anew, since they are spoilt.
VALUES: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: True, lambda: False, lambda: 0, lambda: -1, lambda: 1, lambda: 2**31, lambda: 2**63,
    lambda: -(2**70), lambda: 10**400, lambda: 0.5, lambda: -0.0, lambda: 1e308, lambda: float("nan"),
    lambda: float("inf"), lambda: -float("inf"), list, dict, lambda: [[]], lambda: [None] * 3, lambda: {"": None},
    lambda: list(range(5000)), lambda: _nested(50), lambda: _nested(300), lambda: {"counts": [2**40], "size": [9, 9]},
    lambda: {"counts": "abc", "size": [10**6, 10**6]}, lambda: [1e300] * 8, lambda: [-5.0, -5.0, 1e9, 1e9],
    lambda: "\ud800",
)  # fmt: skip
_MEMBERS = [word for word in WORDS if word.isprintable() and word]  # names that a zip archive can have
_NUMBERS = [struct.pack(form, value) for form in ("<I", ">I", "<H", "<Q") for value in (0, 1, 0x7FFF, 0xFFFF)]
_NUMBERS += [b"\xff" * 2, b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0"]


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def spoil(random: Random, content: bytes) -> bytes:
    """Bytes with up to four faults: bits turned, parts gone, doubled, exchanged, or numbers that claim too much."""
    spoilt = bytearray(content)
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(spoilt) + 1)
        end = min(len(spoilt), start + random.choice([1, 4, 16, 256]))
        match random.randrange(7):
            case 0:
                for place in range(start, end):
                    spoilt[place] ^= 1 << random.randrange(8)
            case 1:
                del spoilt[start:]
            case 2:
                del spoilt[start:end]
            case 3:
                spoilt[start:start] = spoilt[start:end] * random.choice([1, 2, 100])
            case 4:
                number = random.choice(_NUMBERS)
                spoilt[start : start + len(number)] = number
            case 5:
                spoilt[start:start] = random.randbytes(end - start)
            case 6:
                spoilt[start:end] = bytes(end - start)
    return bytes(spoilt)


def spoil_text(random: Random, text: str) -> str:
    """Text in which a word has been replaced, a line is gone, doubled or moved, or brackets do not end."""
    lines = text.splitlines(keepends=True) or [""]
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(lines))
        match random.randrange(6):
            case 0:
                words = lines[place].split(" ")
                words[random.randrange(len(words))] = random.choice(WORDS)
                lines[place] = " ".join(words)
            case 1:
                lines[place] = ""
            case 2:
                lines[place] *= random.choice([2, 1000])
            case 3:
                lines.insert(place, lines[random.randrange(len(lines))])
            case 4:
                lines[place] = lines[place][: random.randrange(len(lines[place]) + 1)]
            case 5:
                lines.insert(place, random.choice("[{\"'(,:") * random.choice([1, 3, 100_000]))
    return "".join(lines)


def spoil_tree(random: Random, tree: Any) -> Any:
    """Plain values with up to three faults: a value of another kind or size, a key that is gone, strange or doubled."""
    root = [copy.deepcopy(tree)]
    for _ in range(random.randint(1, 3)):
        places = list(_places(root))
        parent, key = random.choice(places)
        match random.randrange(6):
            case 0 | 1:
                parent[key] = random.choice(VALUES)()
            case 2:
                parent[key] = random.choice(WORDS)
            case 3 if parent is not root:
                del parent[key]
            case 4 if isinstance(parent, dict):
                parent[random.choice(WORDS)] = parent.pop(key)
            case _:
                other, from_key = random.choice(places)
                parent[key] = copy.deepcopy(other[from_key])
    return root[0]


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a tree, as what holds it and under which key; upper places as often as all those below."""
    level = [tree]
    while level:
        places = [
            (parent, key) for parent in level for key in (parent if isinstance(parent, dict) else range(len(parent)))
        ]
        yield from places[:200]
        level = [parent[key] for parent, key in places[:200] if isinstance(parent[key], (dict, list))]


def spoil_json(random: Random, content: bytes) -> bytes:
    """A JSON file that is damaged as values, as text, or as bytes."""
    match random.randrange(4):
        case 0:
            return spoil(random, content)
        case 1:
            return spoil_text(random, content.decode()).encode("utf-8", "surrogatepass")
        case _:
            return json.dumps(spoil_tree(random, json.loads(content))).encode()


def spoil_zip(random: Random, content: bytes) -> bytes:
    """A zip archive with a member that is damaged, gone, doubled, renamed or large; or an archive of damaged bytes."""
    if random.random() < 0.25:
        return spoil(random, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    place = random.randrange(len(members))
    name, member = members[place]
    match random.randrange(8):
        case 0:
            del members[place]
        case 1:
            members[place] = (random.choice(_MEMBERS), member)
        case 2:
            members[place] = (name, member * 1000)
        case 3:
            members[place] = (name, random.choice(members)[1])
        case _:
            members[place] = (name, spoil(random, member))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, member in members:
            archive.writestr(name, member)
    return packed.getvalue()
