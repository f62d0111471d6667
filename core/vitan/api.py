"""vitan as a library: run analyses, read results back, look inside a model. The command line is its first client.

    >>> import vitan
    >>> found = vitan.run("attention", models=["dino-B16", "mae-B16"], dataset="samples", limit=16)
    >>> found["attention", "dino-B16"].arrays["attention-distance"].shape  # (image, block, head)
    >>> found.frame(metric="entropy")
    >>> vitan.load_results("results", analysis="cka")

What is heavy is imported when it is needed; reading results back needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UsageError, VitanError, WeightsUnavailableError
from .registry.plugins import Given, plugins_from

if TYPE_CHECKING:
    from .analysis.records import Record
    from .data.samples import Dataset
    from .engine.agreement import Agreement
    from .engine.job import Job
    from .engine.plan import DatasetPlan, Plan
    from .engine.progress import Reporter
    from .engine.runner import Outcome
    from .engine.shares import Shared
    from .models.model import Model
    from .registry.plugins import Plugins
    from .registry.specs import DatasetSpec
    from .results.best import Best
    from .results.drawn import Figures
    from .results.findings import Comparison, Finding
    from .results.results import Results

DEFAULT_DATASET = "samples"


def run(
    analyses: str | Sequence[str] | Mapping[str, Mapping[str, Any]],
    models: str | Sequence[str] | Mapping[str, str | Path | None] | None = None,
    dataset: str | Path | None = None,
    *,
    dataset_options: Mapping[str, Any] | None = None,
    blocks: str | Sequence[str] = "all",
    limit: int | None = None,
    batch_size: int = 8,
    device: str = "auto",
    dtype: str = "float32",
    precision: str = "ieee",
    on_error: str = "stop",
    output: str | Path | None = None,
    figures: Figures = "all",
    workers: int | None = None,
    executor: str = "local",
    jobs: int | None = None,
    plugins: Given = None,
    progress: Reporter | None = None,
) -> Results:
    """Run analyses on models, one pass per model, and give back what they found.

    ``analyses`` are names, or names with their options: ``{"knn": {"k": [20]}}``. ``models`` are names, or names with
    weights of one's own: ``{"dino-B16": "my.pth"}``; without any, those that come with vitan. ``dataset`` is a name, or
    a folder of pictures; without one, what the models were made for, or photographs. The rest is what the command line
    calls by the same words. Stored state is kept and reused; with ``output`` everything is written there, as ``vitan
    run`` writes it; ``figures`` are all, ``comparisons`` alone, or ``none``. ``plugins`` are files, models and datasets
    to use besides what is installed. ``progress`` is told how far it is; nothing is printed without.

    No number depends on how it is done: ``workers`` threads read pictures, or as many as suit the device; ``executor``
    makes the units (``dask`` or ``ray``, each also with an address after a colon), by ``jobs`` workers at a time.

    Raises ``UsageError`` before any weight is loaded for what cannot work, and the error of a model that is alone. Of
    several models or analyses, what fails is in ``failed``.
    """
    known = plugins_from(plugins)
    chosen = _pairs(known.embedded() if models is None else models, None)
    named = default_dataset([name for name, _ in chosen], known) if dataset is None else str(dataset)
    content = {
        "analyses": [{"name": name, "options": dict(options)} for name, options in _pairs(analyses, {})],
        "models": [{"name": name, "weights": weights} for name, weights in chosen],
        "dataset": {"name": named, "options": dict(dataset_options or {})},
        "blocks": [blocks] if isinstance(blocks, str) else list(blocks),
        "limit": limit,
        "batch_size": batch_size,
        "device": device,
        "dtype": dtype,
        "precision": precision,
        "on_error": on_error,
    }
    plan = make_plan(content, "vitan.run")
    return run_plan(
        plan,
        output=output,
        figures=figures,
        workers=workers,
        executor=executor,
        jobs=jobs,
        plugins=known,
        progress=progress,
    )


def default_dataset(models: Iterable[str], plugins: Plugins) -> str:
    """The dataset that is taken where none is named: what all of these models were made for, or photographs."""
    return plugins.home(models) or DEFAULT_DATASET


def run_plan(
    plan: Plan,
    *,
    output: str | Path | None = None,
    figures: Figures = "all",
    workers: int | None = None,
    executor: str = "local",
    jobs: int | None = None,
    plugins: Given = None,
    progress: Reporter | None = None,
) -> Results:
    """The same for a plan. Each model is run and written before the next one starts; numbers before figures.

    Raises ``KeptError`` where ``output`` holds more than what would replace it.
    """
    from .engine.progress import Silent
    from .files import make_writable
    from .results.drawn import check_figures
    from .results.folder import write_root
    from .results.keep import check_job
    from .results.results import Results
    from .results.save import compare_findings

    check_figures(figures)
    known, reporter = plugins_from(plugins), Silent() if progress is None else progress
    job = _prepared(plan, known, workers)
    root = None if output is None else Path(output)
    if root is not None:
        make_writable(root, "--output {folder}: nothing can be written there ({why}); choose another")
        check_job(job, root)
    _begin(job, reporter)
    findings: list[Finding] = []
    failed = {} if executor == "local" else _spread(job, known, executor, jobs, reporter)
    if failed and len(job.models) == 1:
        raise next(iter(failed.values()))
    for index in (i for i, (_, spec) in enumerate(job.models) if spec.name not in failed):
        findings += _run_one(job, index, known, root, figures, reporter, failed)
    comparisons, more = compare_findings(findings, root, figures=figures, reporter=reporter)
    if root is not None and findings:
        write_root(root)
    return Results(findings=tuple(findings), comparisons=tuple(comparisons), failed={**failed, **more}, folder=root)


def make_share(
    plan: Plan, shard: str, *, workers: int | None = None, plugins: Given = None, progress: Reporter | None = None
) -> Shared:
    """Make one share of what a plan needs, such as ``2/8``, and keep it in the cache; write no results.

    When every share is made, in any order, on any machines that see one cache, ``run_plan`` has but to merge them. Runs
    and shares of one plan at a time share the work. Raises ``UsageError`` for what cannot work; what fails of a model
    or an analysis is in ``failed``.
    """
    from .engine.progress import Silent
    from .engine.shares import Share
    from .engine.shares import make_share as make
    from .engine.store import Store
    from .files import states_dir

    known, reporter, share = plugins_from(plugins), Silent() if progress is None else progress, Share.read(shard)
    job = _prepared(plan, known, workers)
    _begin(job, reporter)
    return make(job, share, Store(states_dir()), reporter)


def _prepared(plan: Plan, plugins: Plugins, workers: int | None) -> Job:
    from .engine.job import prepare, resolve

    return prepare(resolve(plan, plugins), plugins, workers)


def _begin(job: Job, reporter: Reporter) -> None:
    """Make the cache ready for all that will be kept, and say on what is run."""
    from .engine.cost import MANY, check_disk
    from .engine.devices import device_name
    from .engine.runner import tell_limit
    from .engine.store import Store
    from .files import make_writable, states_dir

    make_writable(states_dir(), "the cache {folder} cannot be written ({why}); set VITAN_CACHE to a folder that can")
    Store(states_dir()).clear_leftovers()
    if job.n * len(job.models) >= MANY:
        check_disk(job, states_dir())
    reporter.note(f"device {device_name(job.plan.device)}")
    for line in job.dataset.notes():
        reporter.note(f"warning: {job.dataset_spec.name}: {line}")
    tell_limit(job, reporter)


def _spread(job: Job, plugins: Plugins, executor: str, jobs: int | None, reporter: Reporter) -> dict[str, VitanError]:
    """Have the units made by an executor; returns what it gave up, by model."""
    import torch

    from .engine.isolation import blaming
    from .engine.spread import spread
    from .files import states_dir
    from .registry.plugins import load_kind

    name, _, where = executor.partition(":")
    kind = load_kind(plugins.executors.get(name))
    with blaming(f"executor {name}", "making units"), kind(where, jobs, torch.get_num_threads()) as workers:
        return spread(job, plugins, workers, states_dir(), reporter)


def _run_one(
    job: Job,
    index: int,
    plugins: Plugins,
    root: Path | None,
    figures: Figures,
    reporter: Reporter,
    failed: dict[str, VitanError],
) -> list[Finding]:
    """One model, run and written. What fails goes into ``failed``, or is raised where the model is alone."""
    from .engine.isolation import forget
    from .engine.runner import run_model, tell
    from .engine.store import Store
    from .files import states_dir
    from .results.save import finding_of, write_findings

    name, alone = job.models[index][0].name, len(job.models) == 1
    try:
        done = run_model(job, index, Store(states_dir()), reporter)
        if not done.outcomes:
            raise done.failures[0].error
    except VitanError as error:
        told = _with_way_out(error, plugins)
        if alone:
            raise told from None
        reporter.note(f"error: {name} failed, going on without it; the end says why")
        failed[name] = forget(told)
        return []
    failed.update({f"{each.analysis.spec.name} of {name}": each.error for each in done.failures})
    findings = [finding_of(outcome, job) for outcome in done.outcomes]
    tell(done.outcomes, job.n, reporter)
    if root is None:
        return findings
    written, more = write_findings(findings, root, figures=figures, reporter=reporter)
    failed.update(more)
    return written


def _with_way_out(error: VitanError, plugins: Plugins) -> VitanError:
    """The error, with the models that need no fetching where weights cannot be had."""
    if not isinstance(error, WeightsUnavailableError) or not (names := plugins.embedded()):
        return error
    *told, last = str(error).splitlines()  # the last line sums up what to do
    return WeightsUnavailableError("\n".join([*told, f"These come with their weights: {', '.join(names)}.", last]))


def verify_device(
    device: str, *, model: str | None = None, precision: str = "ieee", plugins: Given = None
) -> Iterator[Agreement]:
    """Run a small job of every analysis on a device and on the CPU, and say how far the numbers agree.

    ``model`` is one that needs no fetching, unless it is named. Raises ``OptionError`` for a device that is not there,
    and ``UsageError`` without any such model.
    """
    from .engine.agreement import agreements
    from .engine.devices import check_device

    known = plugins_from(plugins)
    check_device(device)
    names = [model] if model is not None else known.embedded()[:1]
    if not names:
        raise UsageError("no model that comes with its weights is installed; name one with --model")
    return agreements(device, known, names[0], precision)


def check(plan: Plan, *, plugins: Given = None) -> list[str]:
    """Everything that is wrong with a plan, a line each; empty for one that can be run. No weight is loaded."""
    from .engine.check import problems

    return problems(plan, plugins_from(plugins))


def dataset_named(name: str, *, plugins: Given = None) -> DatasetPlan:
    """A dataset by its name, or the pictures below a folder that exists; raises ``UsageError`` for another path."""
    from .engine.plan import dataset_named as named

    return named(name, plugins_from(plugins))


def explain(plan: Plan, *, plugins: Given = None) -> list[tuple[str, str]]:
    """What a plan comes down to here, as rows of words; raises ``UsageError`` for one that cannot be run."""
    from .engine.check import explain as of

    return of(plan, plugins_from(plugins))


def make_plan(content: dict[str, Any], where: str = "plan") -> Plan:
    """A plan from its parts; raises ``PlanError``, which names ``where`` they are from, the part and the value."""
    from .engine.plan import make_plan as make

    return make(content, where)


def read_plan(path: str | Path) -> Plan:
    """The plan in a YAML or JSON file; raises ``PlanError`` naming the file, the field and the value."""
    from .engine.plan import read_plan as read

    return read(Path(path))


def load_results(
    folder: str | Path = "results",
    *,
    analysis: str = "*",
    dataset: str = "*",
    model: str = "*",
    plugins: Given = None,
) -> Results:
    """What earlier runs have written below ``folder``; needs neither weights nor pictures, nor torch for the numbers.

    Raises ``StoreError`` where there is nothing of what is asked for.
    """
    from .results.folder import find, find_comparisons
    from .results.load import load_comparison, load_finding
    from .results.results import Results

    root, known = Path(folder), None if plugins is None else plugins_from(plugins)
    findings = tuple(load_finding(path, known) for path in find(root, analysis, dataset, model))
    comparisons = tuple(load_comparison(path) for path in find_comparisons(root, analysis, dataset))
    return Results(findings=findings, comparisons=comparisons if model == "*" else (), folder=root)


def compare(
    results: str | Path | Results,
    analyses: Iterable[str] = (),
    *,
    models: Sequence[str] = (),
    dataset: str | None = None,
    output: str | Path | None = None,
    figures: Figures = "all",
    progress: Reporter | None = None,
) -> list[Comparison]:
    """Compare models that were run apart, from what is stored of them, and write that below ``output``.

    ``output`` is the folder that results come from, unless it is given. ``progress`` is told what is drawn. Raises
    ``UsageError`` where no two models have been run alike, naming what differs, and ``KeptError`` where more models
    have been compared there.
    """
    from .engine.progress import Silent
    from .results.drawn import check_figures
    from .results.folder import write_root
    from .results.keep import check_comparison
    from .results.read import check_alike
    from .results.save import compare_findings

    check_figures(figures)
    found = load_results(results) if isinstance(results, (str, Path)) else results
    chosen = found.named(list(analyses), models, dataset)
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for each in chosen:
        groups.setdefault((each.analysis, each.dataset), []).append(each.load_outcome())
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        where = found.folder or "these results"
        raise UsageError(f"{where} holds no analysis of two models on one dataset; run a second model first")
    root = Path(output) if output is not None else found.folder
    for group in several:
        check_alike(group)
        if root is not None:
            names = [outcome.model.name for outcome in group]
            check_comparison(root, group[0].drawable.dataset_name, group[0].analysis.spec.name, names)
    reporter = Silent() if progress is None else progress
    comparisons, failed = compare_findings(chosen, root, figures=figures, reporter=reporter)
    for error in failed.values():
        raise error
    if root is not None and any(each.folder and each.result for each in comparisons):
        write_root(root)
    return comparisons


def best_blocks(results: Results | Iterable[Record]) -> list[Best]:
    """The best block of each model for each task, from records that say which direction is better."""
    from .results.best import best_blocks as best
    from .results.results import Results

    return best(results.records if isinstance(results, Results) else results)


def load_model(
    name: str,
    *,
    weights: str | Path | None = None,
    blocks: str | Sequence[str] = "all",
    device: str = "auto",
    dtype: str = "float32",
    plugins: Given = None,
) -> Model:
    """A model with its weights, to look into with ``Model.read``; raises ``UsageError`` and ``WeightsError``."""
    import torch

    from .engine.devices import best_device, check_device
    from .files import given_path
    from .models.model import load_model as load

    chosen = best_device() if device == "auto" else device
    check_device(chosen)
    return load(
        plugins_from(plugins).model(name),
        weights=None if weights is None else given_path(weights),
        blocks=[blocks] if isinstance(blocks, str) else list(blocks),
        device=chosen,
        dtype=getattr(torch, dtype),
    )


def load_dataset(dataset: str | Path | DatasetSpec, *, plugins: Given = None, **options: Any) -> Dataset:
    """A dataset with its options, by name or as a folder of pictures: ``load_dataset("shapes", per_class=4)``.

    Raises ``OptionError`` for options that it does not have, and ``DataError`` where it is not as expected.
    """
    from .engine.job import open_dataset
    from .engine.plan import DatasetPlan

    if isinstance(dataset, (str, Path)):
        known = plugins_from(plugins)
        named = dataset_named(str(dataset), plugins=known)
        spec, options = known.datasets.get(named.name), {**named.options, **options}
    else:
        spec = dataset
    return open_dataset(spec, DatasetPlan(name=spec.name, options=options))


def stored_states(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every stored unit below a folder, with what it depends on (empty for a file that cannot be read)."""
    from .engine.store import Store

    yield from Store(folder)


def list_models(pattern: str = "*", *, plugins: Given = None) -> list[str]:
    """The names of the models that are installed and match, such as ``*-B16``."""
    return [spec.name for _, spec in plugins_from(plugins).models if fnmatchcase(spec.name, pattern)]


def list_analyses(*, plugins: Given = None) -> list[str]:
    """The names of the analyses that are installed."""
    return [spec.name for _, spec in plugins_from(plugins).probes]


def list_datasets(*, plugins: Given = None) -> list[str]:
    """The names of the datasets that are installed."""
    return [spec.name for _, spec in plugins_from(plugins).datasets]


def _pairs(given: Any, default: Any) -> list[tuple[str, Any]]:
    """Names with what belongs to each, from one name, several, or a mapping."""
    if isinstance(given, str):
        return [(given, default)]
    if isinstance(given, Mapping):
        return [(str(name), default if value is None else value) for name, value in given.items()]
    return [(str(name), default) for name in dict.fromkeys(given)]
