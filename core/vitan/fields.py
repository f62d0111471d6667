"""Fields of what plugins hand over, held to what they are declared as where they are made, in the plugin's own code."""

from __future__ import annotations

from dataclasses import fields
from numbers import Integral, Real
from typing import Any

#: What a plain annotation takes; numbers of numpy are numbers too.
_PLAIN: dict[str, type] = {"str": str, "bytes": bytes, "bool": bool, "int": Integral, "float": Real, "None": type(None)}


def check_fields(instance: Any) -> None:
    """Raise ``TypeError`` for a field of a dataclass that is declared as text, number or function, and is none."""
    for field in fields(instance):
        declared, value = str(field.type), getattr(instance, field.name)
        if declared.startswith("Callable["):
            fits = callable(value) or (value is None and declared.endswith("| None"))
        else:
            kinds = [_PLAIN.get(part) for part in declared.split(" | ")]
            fits = None in kinds or isinstance(value, tuple(kind for kind in kinds if kind))
        if not fits:
            raise TypeError(f"{type(instance).__name__}: {field.name} is {value!r}, not {declared}")
