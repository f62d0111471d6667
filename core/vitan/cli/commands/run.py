"""``vitan run``: the command and its options, which depend on the analyses and the dataset that are named."""

from __future__ import annotations

import json
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import OptionError, OutOfMemoryError
from ...registry.plugins import load_kind
from ..app import complete_files, data_root_option, plugin_option, plugins_of
from ..names import complete_analyses, complete_datasets, complete_models
from ..plugin_options import Part, PluginCommand, PluginOption, flags_as_typed
from ..progress import reporter
from ..request import Request, assemble, choose_dataset
from ..running import carry_out, fail_with, figures_option, leave, output_option, say_where, telling
from ..tables import as_dict, many_models, one_model

if TYPE_CHECKING:
    from ... import Plan
    from ...registry.plugins import Plugins
    from ...results.drawn import Figures
    from ...results.results import Results
    from ..progress import Bars, Lines

_PEEKED = "vitan.cli.commands.run"


class _Peeked:
    """What has to be known of the command line before it can be parsed."""

    def __init__(self, plugins: Plugins, typed: dict[str, Any]) -> None:
        words = typed.get("analyses")
        plan, dataset = typed.get("plan"), typed.get("dataset")
        self.plugins = plugins
        self.base = _read(plan) if isinstance(plan, str) else None
        self.analyses = self._analyses(list(words) if isinstance(words, (list, tuple)) else [])
        self.models = self._models(typed.get("models"))
        self.named_dataset = isinstance(dataset, str) or self.base is not None
        self.dataset = choose_dataset(dataset if isinstance(dataset, str) else None, self.models, self.base, plugins)

    def _analyses(self, words: list[str]) -> list[str]:
        """The words that name analyses; options that only an analysis brings, and their values, stand among them."""
        for word in takewhile(lambda word: not word.startswith("-"), words):
            self.plugins.probes.find(word)
        known = [word for word in words if self.plugins.probes.providers(word.rpartition(":")[2])]
        return known or [part.name for part in (self.base.analyses if self.base else ())]

    def _models(self, words: Any) -> tuple[str, ...]:
        """The models that are typed; without any, and without a plan, those that come with vitan."""
        if isinstance(words, (list, tuple)) and words:
            return tuple(words)
        return () if self.base else tuple(self.plugins.embedded())

    def parts(self) -> list[Part]:
        """Whatever brings options of its own."""
        parts = []
        for name in dict.fromkeys(self.analyses):
            probe = self.plugins.probes.get(name)
            parts.append(Part("analysis", name, probe.name, load_kind(probe).Options))
        if not self.named_dataset and not self.plugins.datasets.providers(self.dataset["name"]):
            return parts  # the dataset by default is a plugin too, and help must do without it
        dataset = self.plugins.datasets.get(self.dataset["name"])
        return [*parts, Part("dataset", self.dataset["name"], dataset.name, load_kind(dataset).Options)]


def _read(file: str) -> Plan:
    from ... import api

    return api.read_plan(file)


class _Run(PluginCommand):
    """``vitan run ANALYSIS... [OPTIONS]``."""

    def parts(self, ctx: click.Context, typed: dict[str, Any]) -> list[Part]:
        """Those of the analyses that are named, and of the dataset."""
        files = [Path(file) for file in typed.get("plugin_files") or ()]
        plugins = plugins_of(ctx, files, warn=not ctx.resilient_parsing)
        peeked = ctx.meta[_PEEKED] = _Peeked(plugins, typed)
        # the dataset's options alone would tell little, and the help of the command itself must be fast
        return peeked.parts() if peeked.analyses else []

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The analyses, where none is named."""
        peeked: _Peeked | None = ctx.meta.get(_PEEKED)
        if peeked is None or peeked.analyses:
            return
        with formatter.section("Analyses, each with options of its own ('vitan run NAME --help')"):
            formatter.write_dl([(spec.name, spec.summary) for _, spec in peeked.plugins.probes])


def _split(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:  # noqa: ARG001
    return None if value is None else tuple(word.strip() for word in value.split(",") if word.strip())


@click.command(cls=_Run, short_help="Run analyses on models, one pass per model.")
@click.argument("analyses", nargs=-1, metavar="ANALYSIS...", shell_complete=complete_analyses)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    shell_complete=complete_models,
    help="Model by name (dino-B16, timm:NAME, open_clip:NAME); repeat it for several, one pass each.  "
    "[default: those that come with vitan]",
)
@click.option(
    "-d",
    "--dataset",
    metavar="DATASET",
    shell_complete=complete_datasets,
    help="Dataset by name, or a folder of pictures.  [default: what the models were made for, or samples]",
)
@data_root_option
@click.option(
    "--weights",
    multiple=True,
    metavar="[MODEL=]FILE[::PART]",
    shell_complete=complete_files,
    help="Your own weights instead of the published ones; PART, as in teacher, says which of several.",
)
@click.option(
    "--blocks",
    metavar="LIST",
    callback=_split,
    help="Blocks with commas between: all, first, q1, middle, q3, last, an index from 0, a range 3-7.  [default: all]",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Take only the first N images, in the dataset's order."
)
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Images per forward pass.  [default: 8]")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Threads that read pictures; numbers do not depend on it.  [default: 2, beside a GPU most cores]",
)
@click.option(
    "--executor",
    default="local",
    show_default=True,
    metavar="NAME[:WHERE]",
    help="Who makes the units: local, dask or ray; 'vitan list executors' says more.",
)
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="How many workers an executor starts.")
@click.option("--device", help="cpu, cuda, cuda:1, mps or auto.  [default: a GPU if there is one]")
@click.option(
    "--dtype", type=click.Choice(["float32", "float16", "bfloat16"]), help="Numbers in the model.  [default: float32]"
)
@click.option(
    "--precision",
    type=click.Choice(["ieee", "tf32", "bf16"]),
    help="How a GPU multiplies float32: exactly, or faster and coarser.  [default: ieee]",
)
@click.option(
    "--on-error", type=click.Choice(["stop", "skip"]), help="What an image does that cannot be read.  [default: stop]"
)
@output_option
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Run this plan (YAML or JSON); whatever is typed beside it replaces that part of it.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Make the I-th of N parts of the work, for arrays of jobs that see one cache, and write no results; the same "
    "command without it then merges them.",
)
@figures_option("all")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@plugin_option
@click.pass_context
def run(
    ctx: click.Context,
    /,
    analyses: tuple[str, ...],
    models: tuple[str, ...],
    dataset: str | None,  # noqa: ARG001  # peeked at before parsing
    weights: tuple[str, ...],
    output: Path,
    workers: int | None,
    executor: str,
    jobs: int | None,
    shard: str | None,
    figures: Figures,
    as_json: bool,
    plan: Path | None,  # noqa: ARG001  # likewise
    plugin_files: tuple[Path, ...],  # noqa: ARG001  # likewise
    **given: Any,
) -> None:
    """Run one or more analyses on one or more models, with one pass per model.

    \b
    vitan run attention --model dino-B16
    vitan run attention attention-maps -m dino-B16 -m mae-B16 -d ~/pictures
    vitan run --plan plan.yaml --device cuda
    """  # \b keeps click from joining the lines
    peeked: _Peeked = ctx.meta[_PEEKED]
    assert isinstance(ctx.command, PluginCommand)
    brought = ctx.command.brought(ctx)
    typed = {option: given.pop(str(option.name)) for option in brought}
    request = Request(
        analyses=analyses or peeked.analyses,
        models=peeked.models,
        dataset=peeked.dataset,
        weights=weights,
        options=_by_part(typed),
        settings={name: value for name, value in given.items() if value is not None},
    )
    asked, progress = assemble(request, peeked.base), reporter()
    if peeked.models and not models:
        progress.note(f"no --model: {', '.join(peeked.models)}, on {peeked.dataset['name']}")
    if shard is not None:
        _make_share(ctx, asked, shard, workers, peeked.plugins, progress)
    try:
        how = {"workers": workers, "executor": executor, "jobs": jobs}
        found = carry_out(asked, output, figures=figures, plugins=peeked.plugins, progress=progress, **how)
    except (OptionError, OutOfMemoryError) as error:
        raise type(error)(flags_as_typed(str(error), brought)) from None
    _print(found, output, len(asked.models) > 1, as_json)
    leave(ctx, found, brought)


def _make_share(
    ctx: click.Context, plan: Plan, shard: str, workers: int | None, plugins: Plugins, progress: Bars | Lines
) -> None:
    """Make one share, and say how to go on."""
    from ... import api

    with telling(progress):
        made = api.make_share(plan, shard, workers=workers, plugins=plugins, progress=progress)
    click.echo(f"shard {shard}: {made.shards} of {made.of} parts of the work are made, and kept in the cache")
    click.echo("when all are, the same command without --shard merges them and writes results")
    fail_with(ctx, made.failed)


def _print(found: Results, output: Path, several: bool, as_json: bool) -> None:
    """A table for each analysis, then where pictures and numbers are."""
    if as_json:
        click.echo(json.dumps(as_dict(found, output), indent=2))
        return
    for analysis in dict.fromkeys(each.analysis for each in found):
        group = [each for each in found if each.analysis == analysis]
        click.echo("\n".join(many_models(group) if several else one_model(group)) + "\n")
    if found:
        say_where(found, output)


def _by_part(typed: dict[PluginOption, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The values that were typed, by (kind, name) of what they belong to; those of one part come after shared ones."""
    options: dict[tuple[str, str], dict[str, Any]] = {}
    for option, value in typed.items():
        for part in option.parts if value not in (None, ()) else ():
            options.setdefault((part.kind, part.name), {})[option.field.name] = option.parsed(value)
    return options
