"""Running: from words, a plan or a share of one, to results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, VitanError
from ..registry.plugins import Given, plugins_from
from .looking import with_way_out
from .plans import make_plan

if TYPE_CHECKING:
    from ..engine.agreement import Agreement
    from ..engine.job import Job
    from ..engine.plan import Plan
    from ..engine.progress import Reporter
    from ..engine.shares import Shared
    from ..registry.plugins import Plugins
    from ..results.drawn import Figures
    from ..results.findings import Finding
    from ..results.results import Results

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
    from ..engine.progress import Silent
    from ..files import make_writable
    from ..results.drawn import check_figures
    from ..results.folder import write_root
    from ..results.keep import check_job
    from ..results.results import Results
    from ..results.save import compare_findings

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
    from ..engine.progress import Silent
    from ..engine.shares import Share
    from ..engine.shares import make_share as make
    from ..engine.store import Store
    from ..files import states_dir

    known, reporter, share = plugins_from(plugins), Silent() if progress is None else progress, Share.read(shard)
    job = _prepared(plan, known, workers)
    _begin(job, reporter)
    return make(job, share, Store(states_dir()), reporter)


def verify_device(
    device: str, *, model: str | None = None, precision: str = "ieee", plugins: Given = None
) -> Iterator[Agreement]:
    """Run a small job of every analysis on a device and on the CPU, and say how far the numbers agree.

    ``model`` is one that needs no fetching, unless it is named. Raises ``OptionError`` for a device that is not there,
    and ``UsageError`` without any such model.
    """
    from ..engine.agreement import agreements
    from ..engine.devices import check_device

    known = plugins_from(plugins)
    check_device(device)
    names = [model] if model is not None else known.embedded()[:1]
    if not names:
        raise UsageError("no model that comes with its weights is installed; name one with --model")
    return agreements(device, known, names[0], precision)


def _prepared(plan: Plan, plugins: Plugins, workers: int | None) -> Job:
    from ..engine.job import prepare, resolve

    return prepare(resolve(plan, plugins), plugins, workers)


def _begin(job: Job, reporter: Reporter) -> None:
    """Make the cache ready for all that will be kept, and say on what is run."""
    from ..engine.cost import MANY, check_disk, check_memory
    from ..engine.devices import device_name
    from ..engine.runner import tell_limit
    from ..engine.store import Store
    from ..files import make_writable, states_dir

    make_writable(states_dir(), "the cache {folder} cannot be written ({why}); set VITAN_CACHE to a folder that can")
    Store(states_dir()).clear_leftovers()
    if job.n * len(job.models) >= MANY:
        check_disk(job, states_dir())
        check_memory(job)
    reporter.note(f"device {device_name(job.plan.device)}")
    for line in job.dataset.notes():
        reporter.note(f"warning: {job.dataset_spec.name}: {line}")
    tell_limit(job, reporter)


def _spread(job: Job, plugins: Plugins, executor: str, jobs: int | None, reporter: Reporter) -> dict[str, VitanError]:
    """Have the units made by an executor; returns what it gave up, by model."""
    import torch

    from ..engine.isolation import blaming
    from ..engine.spread import spread
    from ..files import states_dir
    from ..registry.plugins import load_kind

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
    from ..engine.isolation import forget
    from ..engine.runner import run_model, tell
    from ..engine.store import Store
    from ..files import states_dir
    from ..results.save import finding_of, write_findings

    name, alone = job.models[index][0].name, len(job.models) == 1
    try:
        done = run_model(job, index, Store(states_dir()), reporter)
        if not done.outcomes:
            raise done.failures[0].error
    except VitanError as error:
        told = with_way_out(error, plugins)
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


def _pairs(given: Any, default: Any) -> list[tuple[str, Any]]:
    """Names with what belongs to each, from one name, several, or a mapping."""
    if isinstance(given, str):
        return [(given, default)]
    if isinstance(given, Mapping):
        return [(str(name), default if value is None else value) for name, value in given.items()]
    return [(str(name), default) for name in dict.fromkeys(given)]
