"""Looking: results read back and compared, models and datasets at hand, and what is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, VitanError, WeightsUnavailableError
from ..registry.plugins import Given, plugins_from
from .plans import dataset_named

if TYPE_CHECKING:
    from ..analysis.records import Record
    from ..data.samples import Dataset
    from ..engine.progress import Reporter
    from ..engine.runner import Outcome
    from ..models.model import Model
    from ..registry.plugins import Plugins
    from ..registry.specs import DatasetSpec
    from ..results.best import Best
    from ..results.drawn import Figures
    from ..results.findings import Comparison
    from ..results.results import Results


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
    from ..results.folder import find, find_comparisons
    from ..results.load import load_comparison, load_finding
    from ..results.results import Results

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
    from ..engine.progress import Silent
    from ..results.drawn import check_figures
    from ..results.folder import write_root
    from ..results.keep import check_comparison
    from ..results.read import check_alike
    from ..results.save import compare_findings

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


def report(folder: str | Path = "results", *, output: str | Path | None = None, figures: Figures = "all") -> Path:
    """Write what lies in a results folder as one HTML page that needs nothing else; returns where it is.

    ``output`` is ``report.html`` in the folder, unless it is given; ``figures`` shown are all, ``comparisons`` alone,
    or ``none``. Raises ``StoreError`` where there are no records, and ``UsageError`` where the page cannot be written.
    """
    from ..files import given_path, write_text
    from ..reports.content import gather
    from ..reports.page import render
    from ..results.drawn import check_figures

    check_figures(figures)
    root = given_path(folder)
    page = render(gather(root, figures))
    path = root / "report.html" if output is None else given_path(output)
    try:
        write_text(path, page)
    except OSError as error:
        raise UsageError(
            f"--output {path}: cannot be written ({error.strerror or error}); name another file"
        ) from error
    return path


def best_blocks(results: Results | Iterable[Record]) -> list[Best]:
    """The best block of each model for each task, from records that say which direction is better."""
    from ..results.best import best_blocks as best
    from ..results.results import Results

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

    from ..engine.devices import best_device, check_device
    from ..files import given_path
    from ..models.model import load_model as load

    chosen = best_device() if device == "auto" else device
    check_device(chosen)
    known = plugins_from(plugins)
    try:
        return load(
            known.model(name),
            weights=None if weights is None else given_path(weights),
            blocks=[blocks] if isinstance(blocks, str) else list(blocks),
            device=chosen,
            dtype=getattr(torch, dtype),
        )
    except WeightsUnavailableError as error:
        raise with_way_out(error, known) from None


def with_way_out(error: VitanError, plugins: Plugins) -> VitanError:
    """The error, with the models that need no fetching where weights cannot be had."""
    if not isinstance(error, WeightsUnavailableError) or not (names := plugins.embedded()):
        return error
    *told, last = str(error).splitlines()  # the last line sums up what to do
    return WeightsUnavailableError("\n".join([*told, f"These come with their weights: {', '.join(names)}.", last]))


def load_dataset(dataset: str | Path | DatasetSpec, *, plugins: Given = None, **options: Any) -> Dataset:
    """A dataset with its options, by name or as a folder of pictures: ``load_dataset("shapes", per_class=4)``.

    Raises ``OptionError`` for options that it does not have, and ``DataError`` where it is not as expected.
    """
    from ..engine.job import open_dataset
    from ..engine.plan import DatasetPlan

    if isinstance(dataset, (str, Path)):
        known = plugins_from(plugins)
        named = dataset_named(str(dataset), plugins=known)
        spec, options = known.datasets.get(named.name), {**named.options, **options}
    else:
        spec = dataset
    return open_dataset(spec, DatasetPlan(name=spec.name, options=options))


def stored_states(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every stored unit below a folder, with what it depends on (empty for a file that cannot be read)."""
    from ..engine.store import Store

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
