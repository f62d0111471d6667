"""Options of analyses and datasets: one closed, frozen pydantic model each.

The command line makes its options from the same models.
"""

from __future__ import annotations

import json
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo
from typing_extensions import TypeVar


class Options(BaseModel):
    """Base of every plugin's options. Fields need a ``description``; it is the help text of the option."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    def seen(self) -> dict[str, Any]:
        """The options that decide what a pass records, as JSON values; the key of stored state is made of these."""
        late = {name for name, field in type(self).model_fields.items() if _is_summary(field.json_schema_extra)}
        return self.model_dump(mode="json", exclude=late)

    def changed(self) -> str:
        """The options that are not the defaults, as ``name=value``, in the order of their names."""
        given = self.model_dump(mode="json", exclude_defaults=True)
        return "; ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(given.items()))


#: The options of a probe, or of what is drawn of it.
OptionsT = TypeVar("OptionsT", bound=Options, default=Any)


def summary(default: Any, *, description: str, **constraints: Any) -> Any:
    """A pydantic field that only changes how the stored state is summed up.

    Changing it reuses what an earlier pass recorded. ``constraints`` are those of ``pydantic.Field``.
    """
    return Field(default, description=description, json_schema_extra={"summary": True}, **constraints)


def _is_summary(extra: object) -> bool:
    return isinstance(extra, dict) and extra.get("summary") is True


def allowed(name: str, field: FieldInfo) -> str:
    """The range of an option, as in ``0 < mass <= 1``; empty if it has none."""
    bounds = {type(item): item for item in field.metadata}
    low = f"{bounds[Gt].gt} < " if Gt in bounds else f"{bounds[Ge].ge} <= " if Ge in bounds else ""
    high = f" < {bounds[Lt].lt}" if Lt in bounds else f" <= {bounds[Le].le}" if Le in bounds else ""
    return f"{low}{name}{high}" if low or high else ""
