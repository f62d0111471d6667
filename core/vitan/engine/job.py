"""A plan with everything it names looked up and checked, before any weight is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from ..analysis.probe import Probe, Recording
from ..anatomy import DEEPEST, TAPS, select_blocks
from ..data.preparation import Preparation
from ..data.samples import Dataset
from ..errors import DataError, MismatchError, OptionError
from ..files import part_of_file
from ..options import Options, allowed
from ..registry.plugins import Plugins, load_kind
from ..registry.specs import DatasetSpec, ModelSpec, ProbeSpec
from .devices import best_device, check_device, reading_threads
from .isolation import blaming
from .plan import AnalysisPlan, DatasetPlan, ModelPlan, Plan, dataset_named, describe_problem


@dataclass(frozen=True)
class Analysis:
    """One analysis that was asked for: its spec, its probe class and its validated options."""

    spec: ProbeSpec
    provider: str
    kind: type[Probe]
    options: Options

    @property
    def owner(self) -> str:
        """The analysis and who provides it, for errors."""
        return f"analysis {self.spec.name} ({self.provider})"

    @property
    def compares(self) -> bool:
        """Whether the probe computes something between models."""
        return self.spec.comparison is not None


@dataclass(frozen=True)
class Job:
    """What a plan comes down to. How many threads read, ``workers``, changes no number."""

    plan: Plan
    analyses: tuple[Analysis, ...]
    models: tuple[tuple[ModelPlan, ModelSpec], ...]
    dataset_spec: DatasetSpec
    dataset: Dataset
    workers: int

    @property
    def n(self) -> int:
        """How many images are looked at."""
        return len(self.dataset) if self.plan.limit is None else min(self.plan.limit, len(self.dataset))

    @property
    def dataset_name(self) -> str:
        """The dataset in records and folders: its name, and where there may be several, which one."""
        return "-".join(part for part in (self.dataset_spec.name, self.dataset.which()) if part)

    @cached_property
    def fingerprint(self) -> str:
        """The dataset's; large ones take a moment."""
        with blaming(f"dataset {self.dataset_spec.name}", "fingerprint"):
            digest = self.dataset.fingerprint()
            if not isinstance(digest, str):
                raise TypeError(f"it is {type(digest).__name__}, not text")
            return digest


def prepare(plan: Plan, plugins: Plugins, workers: int | None = None) -> Job:
    """Look up and check everything that can be checked without loading weights.

    ``workers`` threads read pictures, or as many as suit the device.

    Raises ``UsageError`` for names, options and combinations that cannot work, and ``DataError`` for a dataset that is
    not where it should be.
    """
    if plan.device == "auto":
        plan = plan.model_copy(update={"device": best_device()})
    analyses = tuple(analysis_of(part, plugins) for part in plan.analyses)
    models = tuple((part, plugins.model(part.name)) for part in plan.models)
    spec = plugins.datasets.get(plan.dataset.name)
    _check_names(analyses)
    for analysis in analyses:
        with blaming(analysis.owner, "requires"):
            _check_needs(analysis, spec, plugins)
    for part, _ in models:
        if part.weights is not None and not part_of_file(part.weights)[0].is_file():
            raise MismatchError(f"--weights {part.weights}: there is no such file")
    select_blocks(plan.blocks, DEEPEST)
    check_device(plan.device)
    dataset = open_dataset(spec, plan.dataset)
    with blaming(f"dataset {spec.name}", "classes"):
        count, classes, lacking = len(dataset), dataset.classes(), dataset.lacks()
    if not count:
        raise MismatchError(f"dataset {spec.name} is empty")
    for analysis in analyses:
        for needed in sorted(analysis.kind.requires(analysis.options) & lacking.keys()):
            raise DataError(f"analysis {analysis.spec.name} needs {needed}, but {lacking[needed]}")
        if "label" in analysis.kind.requires(analysis.options) and not classes:
            raise MismatchError(f"analysis {analysis.spec.name} needs labels, but {spec.name} has no classes here")
    if workers is not None and workers < 1:
        raise OptionError(f"--workers {workers}: at least one thread has to read")
    job = Job(plan, analyses, models, spec, dataset, workers or reading_threads(plan.device))
    for analysis in analyses:
        with blaming(analysis.owner, "check"):
            analysis.kind.check(analysis.options, dataset, job.n)
    return job


def resolve(plan: Plan, plugins: Plugins) -> Plan:
    """The same plan with every option written out, so that it says the same when a default changes."""
    analyses = [
        AnalysisPlan(name=part.name, options=analysis_of(part, plugins).options.model_dump(mode="json"))
        for part in plan.analyses
    ]
    named = dataset_named(plan.dataset.name, plugins)
    kind = load_kind(plugins.datasets.get(named.name))
    given = {**named.options, **plan.dataset.options}
    dataset = DatasetPlan(name=named.name, options=validate(kind.Options, given, named.name).model_dump(mode="json"))
    return plan.model_copy(update={"analyses": tuple(analyses), "dataset": dataset})


def open_dataset(spec: DatasetSpec, part: DatasetPlan) -> Dataset:
    """The dataset with its options validated; raises ``DataError`` where the disk or its permissions refuse."""
    with blaming(f"dataset {spec.name}", "loading"):
        kind = spec.load()
    options = validate(kind.Options, part.options, spec.name)
    try:
        with blaming(f"dataset {spec.name}", "opening", but=(OSError,)):
            return kind(options)
    except OSError as error:  # even asking whether a file exists fails in a folder that may not be entered
        raise DataError(
            f"{error.filename or spec.name}: cannot be looked at: {error.strerror or error}; dataset {spec.name} needs "
            "to read its root and everything below it"
        ) from error


def validate(kind: type[Options], given: dict[str, Any], owner: str) -> Options:
    """Options from what was given; raises ``OptionError`` with one line for each that is wrong."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        problems = []
        found = error.errors(include_url=False)
        items = {each["loc"][0] for each in found if len(each["loc"]) > 1}  # lists with an item that is wrong
        for problem in found:
            if problem["type"] == "too_short" and problem["loc"][0] in items:
                continue  # pydantic counts only the items that are right
            name = str(problem["loc"][0]) if problem["loc"] else ""
            flag = "--" + name.replace("_", "-")
            if problem["type"] == "extra_forbidden":
                known = ", ".join(kind.model_fields) or "none"
                problems.append(f"{owner} has no option {name!r}; it has {known}")
            elif problem["type"] == "missing":
                problems.append(f"{owner} needs {flag}: {kind.model_fields[name].description}")
            else:
                limits = allowed(name, kind.model_fields[name]) if name else ""
                said = describe_problem(problem).partition(": ")[2]
                problems.append(f"{flag} ({owner}): {said}" + (f"; allowed is {limits}" if limits else ""))
        raise OptionError("\n".join(problems)) from None


def analysis_of(part: AnalysisPlan, plugins: Plugins) -> Analysis:
    """An analysis looked up, with its options validated; raises ``UsageError`` for what is wrong with it."""
    provider, spec = plugins.probes.find(part.name)
    with blaming(f"analysis {spec.name} ({provider})", "loading"):
        kind = spec.load()
        unknown = kind.reads() - TAPS.keys()
    if unknown:
        raise MismatchError(f"analysis {spec.name} reads {sorted(unknown)}, but the taps are {', '.join(TAPS)}")
    return Analysis(spec, str(provider), kind, validate(kind.Options, part.options, spec.name))


def _check_names(analyses: Sequence[Analysis]) -> None:
    """State and results are found by these names, so no two things of a job may go by the same one, or by none."""
    names = [analysis.spec.name for analysis in analyses]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise MismatchError(f"analysis {', '.join(twice)} is asked for twice; ask once, with one choice of options")
    by_name: dict[str, type[Recording] | type[Preparation]] = {}
    for analysis in analyses:
        prepared = analysis.kind.preparation(analysis.options)
        kinds: list[type[Recording] | type[Preparation]] = list(analysis.kind.uses.values())
        kinds += [type(prepared)] if prepared else []
        for kind in kinds:
            name = kind.name
            if not name:
                raise MismatchError(
                    f"analysis {analysis.spec.name} shares {kind.__qualname__}, which declares no name; its stored "
                    "state is found by that name"
                )
            other = by_name.setdefault(name, kind)
            if other is not kind:
                raise MismatchError(
                    f"two recordings are called {name!r} ({other.__module__}.{other.__qualname__} and "
                    f"{kind.__module__}.{kind.__qualname__}), and each would be given the other's stored state; run "
                    "their analyses apart, and tell the plugin's author"
                )


def _check_needs(analysis: Analysis, dataset: DatasetSpec, plugins: Plugins) -> None:
    needed = analysis.kind.requires(analysis.options)
    if needed <= dataset.offers:
        return
    offered = ", ".join(sorted(dataset.offers)) or "images alone"
    fitting = dict.fromkeys(spec.name for _, spec in plugins.datasets if needed <= spec.offers)
    instead = (
        f"{', '.join(fitting)} {'do' if len(fitting) > 1 else 'does'}" if fitting else "none that is installed does"
    )
    raise MismatchError(
        f"analysis {analysis.spec.name} needs {', '.join(sorted(needed - dataset.offers))}, "
        f"but dataset {dataset.name} offers {offered}; {instead}."
    )
