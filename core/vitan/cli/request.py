"""From what was typed, and a plan file, to the plan that is run.

Whatever the command line names replaces that part of the file: analyses replace all analyses, models all models. An
analysis or a dataset that both name keeps its options from the file, and each option that is typed overrides its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MismatchError, UsageError
from ..files import given_path

if TYPE_CHECKING:
    from .. import Plan
    from ..registry.plugins import Plugins


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for. ``options`` are those typed, under (kind, name of the analysis or dataset).

    ``models`` are those typed, and where there is no plan either, those that come with vitan.
    """

    analyses: Sequence[str]
    models: Sequence[str] = ()
    dataset: Mapping[str, Any]
    weights: Sequence[str] = ()
    options: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def choose_dataset(typed: str | None, models: Sequence[str], base: Plan | None, plugins: Plugins) -> dict[str, Any]:
    """The dataset as a plan has it: the one typed, that of the plan, or what the models were made for."""
    from .. import api

    if typed is None:
        return base.dataset.model_dump() if base else {"name": api.default_dataset(models, plugins)}
    if base and base.dataset.name == typed:
        return base.dataset.model_dump()
    if plugins.datasets.providers(typed.rpartition(":")[2]):
        return {"name": typed}
    return api.dataset_named(typed, plugins=plugins).model_dump()


def assemble(request: Request, base: Plan | None) -> Plan:
    """The plan of a request; raises ``UsageError`` for what is missing or contradicts itself."""
    from .. import api

    if not request.analyses:
        raise UsageError(
            "name at least one analysis, as in 'vitan run attention --model dino-B16'; 'vitan list analyses' shows them"
        )
    content = base.model_dump(exclude_unset=True) if base else {}
    kept = {part.name: part.options for part in base.analyses} if base else {}
    content["analyses"] = [
        {"name": name, "options": {**kept.get(name, {}), **request.options.get(("analysis", name), {})}}
        for name in dict.fromkeys(request.analyses)
    ]
    content["models"] = _models(request, base)
    given = request.options.get(("dataset", request.dataset["name"]), {})
    content["dataset"] = {**request.dataset, "options": {**request.dataset.get("options", {}), **given}}
    content.update(request.settings)
    return api.make_plan(content, "command line")


def _models(request: Request, base: Plan | None) -> list[dict[str, Any]]:
    if request.models or base is None:
        files: dict[str, Any] = dict.fromkeys(request.models)
    else:
        if request.weights and len({part.name for part in base.models}) < len(base.models):
            raise MismatchError("--weights: the plan names a model twice, so its weights can only be set in the plan")
        if not request.weights:
            return [part.model_dump() for part in base.models]
        files = {part.name: part.weights for part in base.models}
    if not files:
        raise UsageError(
            "choose at least one model with --model, as in --model dino-B16; 'vitan list models' shows them"
        )
    return [
        {"name": name, "weights": file} for name, file in {**files, **_weights(request.weights, list(files))}.items()
    ]


def _weights(typed: Sequence[str], models: Sequence[str]) -> dict[str, Path]:
    """Files by model, from ``FILE`` or ``MODEL=FILE``."""
    files: dict[str, Path] = {}
    for text in typed:
        name, equals, file = text.partition("=")
        if not (equals and name in models):
            if len(models) > 1:
                raise MismatchError(
                    f"--weights {text}: say for which model, as in --weights {models[0]}={file or name}"
                )
            name, file = models[0], text
        if name in files:
            raise MismatchError(
                f"--weights {text}: {name} already has {files[name]}; run it a second time for the other"
            )
        files[name] = given_path(file)
    return files
