"""Everything that decides the numbers, in one frozen, hashable document."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import PlanError, UsageError
from ..files import given_path, read_text
from ..registry.plugins import Plugins


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: Any) -> Any:
        """A name alone stands for what has that name, and all defaults."""
        return {"name": given} if isinstance(given, str) else given


class AnalysisPlan(_Part):
    """An analysis with all of its options."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class ModelPlan(_Part):
    """A model, with a weights file of one's own if it is not to be the published one."""

    name: str
    weights: Path | None = None


class DatasetPlan(_Part):
    """A dataset with all of its options."""

    name: str = "samples"
    options: dict[str, Any] = Field(default_factory=dict)


class Plan(BaseModel):
    """What to run. Two equal plans on equal weights and data give the same numbers.

    ``limit`` keeps the first images of the dataset. ``precision`` is that of products of float32. ``device`` may be
    ``auto``: the GPU of the machine, if it has one. ``on_error`` says what an unreadable image does. Analyses, models
    and the dataset may be given as names alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    analyses: tuple[AnalysisPlan, ...] = Field(min_length=1)
    models: tuple[ModelPlan, ...] = Field(min_length=1)
    dataset: DatasetPlan = DatasetPlan()
    blocks: tuple[str, ...] = ("all",)
    limit: int | None = Field(None, ge=1)
    batch_size: int = Field(8, ge=1)
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    precision: Literal["ieee", "tf32", "bf16"] = "ieee"
    device: str = "auto"
    on_error: Literal["stop", "skip"] = "stop"

    def canonical(self) -> str:
        """One spelling per plan: JSON with sorted keys and no spaces."""
        return canonical_json(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Sha256 of the canonical spelling."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    @classmethod
    def read(cls, path: str | Path) -> Plan:
        """The plan in a file; see ``read_plan``."""
        return read_plan(Path(path))

    def to_yaml(self) -> str:
        """The plan as a file that ``read_plan`` reads back."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)


def canonical_json(value: Any) -> str:
    """JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class _Loader(yaml.SafeLoader):
    """Reads plain values alone, and none of them twice: a few lines of references would unfold without end."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """See ``yaml.SafeLoader``."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            message = f"*{event.anchor} refers to another part of the file, which is not followed; write that part out"
            raise yaml.composer.ComposerError(None, None, message, event.start_mark)
        return super().compose_node(parent, index)


def read_plan(path: Path) -> Plan:
    """Read a plan from YAML or JSON; raises ``PlanError`` naming the file, the field and the value."""
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"plan {path} cannot be read: {error}") from error
    try:
        content = yaml.load(text, _Loader)
        json.dumps(content, default=str)  # a number of thousands of digits could be neither stored nor told
    except Exception as error:  # besides its own errors, PyYAML raises whatever numbers, dates and depth make of it
        reason = str(error) or type(error).__name__
        raise PlanError(f"plan {path} is neither YAML nor JSON: {reason}") from error
    if not isinstance(content, dict):
        raise PlanError(f"plan {path} holds {type(content).__name__}, not a mapping with 'analyses' and 'models'")
    return make_plan(content, str(path))


def make_plan(content: dict[str, Any], where: str) -> Plan:
    """Validate a plan; raises ``PlanError`` with one line for each thing that is wrong."""
    try:
        plan = Plan.model_validate(content)
        plan.canonical().encode()
        return plan
    except UnicodeEncodeError as error:  # a plan is kept as text, with the paths that it names
        text = error.object
        given = text[text.rfind('"', 0, error.start) + 1 : text.find('"', error.end)]
        raise PlanError(f"{where}: {given!a} is not UTF-8, as everything in a plan must be; rename it") from None
    except ValidationError as error:
        lines = "\n".join(f"  {describe_problem(problem)}" for problem in error.errors(include_url=False))
        raise PlanError(f"{where}:\n{lines}") from None


def describe_problem(problem: Any) -> str:
    """One line for one of pydantic's complaints: place, message, and the value that was given."""
    place = ".".join(str(part) for part in problem["loc"])
    given = "" if problem["type"] == "missing" else f" (got {problem['input']!r})"
    return f"{place}: {problem['msg']}{given}"


def dataset_named(name: str, plugins: Plugins) -> DatasetPlan:
    """A dataset by its name, the pictures below a folder, or a single one; raises ``UsageError`` for another path."""
    if not plugins.datasets.providers(name.rpartition(":")[2]):
        from ..data.images import is_image  # brings numpy, which plans do not need

        path = given_path(name)
        if path.is_dir() or (path.is_file() and is_image(path.name)):
            return DatasetPlan(name="folder", options={"root": str(path)})
        if path.exists():
            raise UsageError(
                f"--dataset {name}: this is a file, and no picture by its name; give a picture or a folder"
            )
        if os.sep in name or "/" in name or name.startswith((".", "~")):
            raise UsageError(f"--dataset {name}: there is no such folder")
    return DatasetPlan(name=name)
