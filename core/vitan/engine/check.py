"""Everything that is wrong with a plan, and what one that is right comes down to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

from ..errors import VitanError
from ..registry.plugins import Plugins, load_kind
from .cost import computing, stored
from .job import Job, open_dataset, prepare, resolve, validate
from .plan import DatasetPlan, Plan, dataset_named


def problems(plan: Plan, plugins: Plugins) -> list[str]:
    """Everything that is wrong with a plan: with its parts, or if they are right, with how they go together."""
    found: dict[str, None] = {}
    for analysis in plan.analyses:
        with _noting(found):
            probe = plugins.probes.get(analysis.name)
            validate(load_kind(probe).Options, analysis.options, probe.name)
    for model in plan.models:
        with _noting(found):
            plugins.model(model.name)
    with _noting(found):
        named = dataset_named(plan.dataset.name, plugins)
        part = DatasetPlan(name=named.name, options={**named.options, **plan.dataset.options})
        open_dataset(plugins.datasets.get(part.name), part)
    if found:
        return list(found)
    with _noting(found):
        prepare(resolve(plan, plugins), plugins)
    for analysis, model in product(plan.analyses, plan.models) if found else ():
        with _noting(found):
            one = plan.model_copy(update={"analyses": (analysis,), "models": (model,)})
            prepare(resolve(one, plugins), plugins)
    return list(found)


@contextmanager
def _noting(found: dict[str, None]) -> Iterator[None]:
    """Collects the lines of an error; the same line counts once."""
    try:
        yield
    except VitanError as error:
        found.update(dict.fromkeys(str(error).split("\n")))


def explain(plan: Plan, plugins: Plugins) -> list[tuple[str, str]]:
    """What a plan comes down to here, as rows of words; raises what is wrong with it."""
    return _facts(prepare(resolve(plan, plugins), plugins))


def _facts(job: Job) -> list[tuple[str, str]]:
    plan = job.plan
    rows = [("plan", f"sha256 {plan.digest()}")]
    for analysis, part in zip(job.analyses, plan.analyses, strict=True):
        options = ", ".join(f"{name}={value}" for name, value in part.options.items())
        rows.append(("analysis", f"{analysis.spec.name} ({analysis.provider})  {options}".rstrip()))
    for part_, spec in job.models:
        rows.append(("model", spec.name + (f" with {part_.weights}" if part_.weights else "")))
    rows.append(("dataset", f"{job.dataset_spec.name}, {len(job.dataset)} images, of which {job.n} are looked at"))
    rows += [("", line) for line in job.dataset.notes()]
    rows.append(("blocks", ",".join(plan.blocks)))
    rows.append(
        ("pass", f"{plan.device}, {plan.dtype}, products in {plan.precision}, {plan.batch_size} images at a time")
    )
    kept = stored(job)
    rows.append(("keeps", f"about {sum(kept.values()) / 1e9:.3g} GB of state, of {len(kept)} models"))
    needed, what = computing(job)
    rows.append(("memory", f"about {needed / 1e9:.3g} GB to compute numbers" + (f", for {what}" if needed else "")))
    return rows
