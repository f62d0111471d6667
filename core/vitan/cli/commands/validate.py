"""``vitan validate``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import UsageError, VitanError
from ..app import complete_files, data_root_option, plugins_of
from ..text import columns

if TYPE_CHECKING:
    from ...engine.job import Job
    from ...engine.plan import Plan
    from ...registry.plugins import Plugins


@click.command(short_help="Check a plan without loading weights.")
@click.argument("plan", type=click.Path(path_type=Path), shell_complete=complete_files)
@data_root_option
@click.pass_context
def validate(ctx: click.Context, plan: Path) -> None:
    """Check a plan without loading any weights, and say what it comes down to."""
    from ...engine.job import prepare, resolve
    from ...engine.plan import read_plan

    plugins, asked = plugins_of(ctx), with_device(read_plan(plan))
    if found := problems(asked, plugins):
        raise UsageError(f"{plan} cannot be run:\n" + "\n".join(f"  {problem}" for problem in found))
    job = prepare(resolve(asked, plugins), plugins)
    for line in columns(_facts(job)):
        click.echo(line)


def with_device(plan: Plan) -> Plan:
    """The plan as ``vitan run --plan`` would run it here: a device that it leaves open is chosen."""
    from ..request import best_device

    open_ = plan.device == "auto" or "device" not in plan.model_fields_set
    return plan.model_copy(update={"device": best_device()}) if open_ else plan


def problems(plan: Plan, plugins: Plugins) -> list[str]:
    """Everything that is wrong with a plan: with its parts, or if they are right, with how they go together."""
    from ...engine.job import open_dataset, prepare, validate

    found: dict[str, None] = {}
    for analysis in plan.analyses:
        with _noting(found):
            probe = plugins.probes.get(analysis.name)
            validate(probe.load().Options, analysis.options, probe.name)
    for model in plan.models:
        with _noting(found):
            plugins.model(model.name)
    with _noting(found):
        open_dataset(plugins.datasets.get(plan.dataset.name), plan.dataset)
    if found:
        return list(found)
    with _noting(found):
        prepare(plan, plugins)
    for analysis, model in product(plan.analyses, plan.models) if found else ():
        with _noting(found):
            prepare(plan.model_copy(update={"analyses": (analysis,), "models": (model,)}), plugins)
    return list(found)


@contextmanager
def _noting(found: dict[str, None]) -> Iterator[None]:
    """Collects the lines of an error; the same line counts once."""
    try:
        yield
    except VitanError as error:
        found.update(dict.fromkeys(str(error).split("\n")))


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
    rows.append(("pass", f"{plan.device}, {plan.dtype}, {plan.batch_size} images at a time"))
    return rows
