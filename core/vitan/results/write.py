"""Numbers on the disk: a folder for each analysis of each model, which appears whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ..analysis.records import SCHEMA, Result
from ..engine.isolation import blaming
from ..engine.job import Job
from ..engine.plan import AnalysisPlan, Plan
from ..engine.provenance import provenance
from ..engine.runner import Outcome, filled
from ..files import naming_refusals, replacing_folder
from .folder import IMAGES, MODELS, PLAN, PROVENANCE, carry_figures, comparison_place, place, write_result
from .keep import check_comparison, check_place

_NAMED = 200_000  # so many images are listed by name


def write_outcome(outcome: Outcome, job: Job, root: Path, figures: str = "") -> Path:
    """Write the numbers of one analysis of one model; an older folder of the same name is replaced as a whole.

    Of the older one figures are kept that were made from what has the digest ``figures``.
    Raises ``KeptError`` for one that holds more, and ``StoreError`` where the disk refuses.
    """
    target = place(root, outcome.model.name, job.dataset_name, outcome.analysis.spec.name)
    check_place(target, job.n, outcome.model.blocks, job.fingerprint)
    with naming_refusals(target), replacing_folder(target) as new:
        (new / PLAN).write_text(_own_plan(outcome, job).to_yaml(), encoding="utf-8")
        write_result(outcome.result, new)
        if len(outcome.images) <= _NAMED:
            (new / IMAGES).write_text(_images(outcome, job), encoding="utf-8")
        (new / PROVENANCE).write_text(json.dumps(_provenance(outcome, job), indent=1) + "\n", encoding="utf-8")
        carry_figures(target, new, figures)
    return target


def write_between(result: Result | None, outcomes: Sequence[Outcome], root: Path, figures: str = "") -> Path:
    """Write what an analysis found between models, and return its folder, which replaces an older one.

    Figures are kept as ``write_outcome`` keeps them.
    Raises ``KeptError`` for one between more models, and ``StoreError`` where the disk refuses.
    """
    first, models = outcomes[0], [outcome.model.name for outcome in outcomes]
    check_comparison(root, first.drawable.dataset_name, first.analysis.spec.name, models)
    target = comparison_place(root, first.drawable.dataset_name, first.analysis.spec.name)
    with naming_refusals(target), replacing_folder(target) as new:
        (new / MODELS).write_text(json.dumps(models) + "\n", encoding="utf-8")
        if result is not None:
            write_result(result, new)
        carry_figures(target, new, figures)
    return target


def compare(outcomes: Sequence[Outcome]) -> Result | None:
    """What an analysis finds between models; None where it computes nothing between them.

    Raises ``MismatchError`` for models that cannot be compared, and ``PluginError`` for an analysis that fails.
    """
    first, probes = outcomes[0], [outcome.probe for outcome in outcomes if outcome.probe is not None]
    with blaming(first.analysis.owner, "compare"):
        result = first.analysis.kind.compare(probes) if probes else None
    if result is None:
        return None
    weights = {outcome.model.name: outcome.weights for outcome in outcomes}
    common = {"dataset": first.drawable.dataset_name, "view": first.drawable.view.name}
    common["fingerprint"] = first.result.records[0].fingerprint
    records = filled(result.records, first.analysis, n=first.n, **common)
    return replace(result, records=tuple(replace(record, weights=weights[record.model]) for record in records))


def _images(outcome: Outcome, job: Job) -> str:
    """A line for each image that was seen, with the name of its class."""
    out, classes = io.StringIO(), job.dataset.classes()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("index", "id", "label", "class", "role", "group"))
    for image in outcome.images:
        known = image.label is not None and image.label < len(classes)
        name = classes[image.label] if known and image.label is not None else ""
        label = "" if image.label is None else image.label
        writer.writerow((image.index, image.id, label, name, image.role, image.group))
    return out.getvalue()


def _own_plan(outcome: Outcome, job: Job) -> Plan:
    """The part of the plan that made this outcome, with all options written out and paths that hold in any folder."""
    analysis = AnalysisPlan(name=outcome.analysis.spec.name, options=outcome.analysis.options.model_dump(mode="json"))
    part, dataset = outcome.part, job.plan.dataset
    if part.weights is not None:
        part = part.model_copy(update={"weights": part.weights.expanduser().absolute()})
    paths = {name: value for name, value in vars(job.dataset.options).items() if isinstance(value, Path)}
    whole = {name: str(path.expanduser().absolute()) for name, path in paths.items()}
    dataset = dataset.model_copy(update={"options": {**dataset.options, **whole}})
    return job.plan.model_copy(update={"analyses": (analysis,), "models": (part,), "dataset": dataset})


def _provenance(outcome: Outcome, job: Job) -> dict[str, object]:
    model = outcome.model
    return {
        "model": asdict(model),
        "weights": {"sha256": outcome.weights, "origin": outcome.origin},
        "probe": {"name": outcome.analysis.spec.name, "version": outcome.analysis.kind.version},
        "provider": outcome.analysis.provider,
        "plugin_files": _plugin_files(outcome, job),
        "plan_sha256": _own_plan(outcome, job).digest(),
        "dataset": {"name": job.dataset_name, "fingerprint": job.fingerprint, "images": job.n},
        "skipped": [{"index": skipped.index, "why": skipped.why} for skipped in outcome.skipped],
        "headline": list(outcome.result.headline),
        "state": {
            "units": dict(outcome.units),
            "place": dict(outcome.place),
            "reused": outcome.reused,
            "made_by": list(outcome.made_by),
        },
        "schema": SCHEMA,
        **provenance(job.plan.device),
    }


def _plugin_files(outcome: Outcome, job: Job) -> dict[str, str]:
    """The sha256 of each plugin file that had a part in it, by what it brought."""
    models = {part.name: spec.source for part, spec in job.models}
    sources = {
        "analysis": outcome.analysis.spec.source,
        "model": models[outcome.part.name],
        "dataset": job.dataset_spec.source,
    }
    return {what: source for what, source in sources.items() if source}
