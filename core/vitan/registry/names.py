"""Specs by name, with who provides them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import NameConflictError, UnknownNameError
from .specs import Spec

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Provider:
    """Where specs come from: a distribution with its version, or a file given with ``-p``."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass
class Registry(Generic[S]):
    """All specs of one kind. Names and aliases are looked up without regard to case."""

    kind: str
    aliases: Callable[[S], tuple[str, ...]] = lambda _: ()
    _found: dict[str, list[tuple[Provider, S]]] = field(default_factory=dict)
    _all: list[tuple[Provider, S]] = field(default_factory=list)

    def add(self, provider: Provider, spec: S) -> None:
        """Take in a spec under its name and aliases."""
        self._all.append((provider, spec))
        for name in {name.lower() for name in (spec.name, *self.aliases(spec))}:
            self._found.setdefault(name, []).append((provider, spec))

    def __iter__(self) -> Iterator[tuple[Provider, S]]:
        return iter(sorted(self._all, key=lambda pair: (_natural(pair[1].name), str(pair[0]))))

    def providers(self, name: str) -> list[Provider]:
        """Who offers that name."""
        return [provider for provider, _ in self._found.get(name.lower(), [])]

    def find(self, name: str) -> tuple[Provider, S]:
        """The spec of that name; ``distribution:name`` chooses among several that offer it.

        Raises ``UnknownNameError`` with the nearest names, or ``NameConflictError``.
        """
        distribution, _, bare = name.rpartition(":")
        found = self._found.get(bare.lower(), [])
        if distribution:
            found = [pair for pair in found if pair[0].name.lower() == distribution.lower()]
        if not found:
            raise UnknownNameError(self.kind, name, self._close(bare))
        if len(found) > 1:
            raise NameConflictError(self.kind, bare, sorted(str(provider) for provider, _ in found))
        return found[0]

    def get(self, name: str) -> S:
        """The spec alone; see ``find``."""
        return self.find(name)[1]

    def _close(self, name: str) -> list[str]:
        known = {key: pairs[0][1].name for key, pairs in self._found.items()}
        close = difflib.get_close_matches(name.lower(), known, n=3)
        return list(dict.fromkeys(known[key] for key in close))


def _natural(name: str) -> tuple[object, ...]:
    """Sort key by which ``B8`` stands before ``B16``."""
    digits = ""
    parts: list[object] = []
    for char in f"{name.lower()}\0":
        if char.isdigit():
            digits += char
            continue
        if digits:
            parts.append(("", int(digits)))
            digits = ""
        parts.append((char, 0))
    return tuple(parts)
