"""Plans: from their parts, from a file, checked and explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..registry.plugins import Given, plugins_from

if TYPE_CHECKING:
    from ..engine.plan import DatasetPlan, Plan


def check(plan: Plan, *, plugins: Given = None) -> list[str]:
    """Everything that is wrong with a plan, a line each; empty for one that can be run. No weight is loaded."""
    from ..engine.check import problems

    return problems(plan, plugins_from(plugins))


def dataset_named(name: str, *, plugins: Given = None) -> DatasetPlan:
    """A dataset by its name, or the pictures below a folder that exists; raises ``UsageError`` for another path."""
    from ..engine.plan import dataset_named as named

    return named(name, plugins_from(plugins))


def explain(plan: Plan, *, plugins: Given = None) -> list[tuple[str, str]]:
    """What a plan comes down to here, as rows of words; raises ``UsageError`` for one that cannot be run."""
    from ..engine.check import explain as of

    return of(plan, plugins_from(plugins))


def make_plan(content: dict[str, Any], where: str = "plan") -> Plan:
    """A plan from its parts; raises ``PlanError``, which names ``where`` they are from, the part and the value."""
    from ..engine.plan import make_plan as make

    return make(content, where)


def read_plan(path: str | Path) -> Plan:
    """The plan in a YAML or JSON file; raises ``PlanError`` naming the file, the field and the value."""
    from ..engine.plan import read_plan as read

    return read(Path(path))
