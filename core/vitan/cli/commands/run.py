"""``vitan run``: the command and its options, which depend on the analyses and the dataset that are named."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..app import complete_files, data_root_option, plugin_option, plugins_of
from ..names import complete_analyses, complete_datasets, complete_models
from ..plugin_options import Part, PluginOption, plugin_options
from ..request import Request, assemble, choose_dataset

if TYPE_CHECKING:
    from ...engine.plan import Plan
    from ...registry.plugins import Plugins

_PEEKED = "vitan.cli.commands.run"


class _Peeked:
    """What has to be known of the command line before it can be parsed."""

    def __init__(self, plugins: Plugins, typed: dict[str, Any]) -> None:
        words = typed.get("analyses")
        plan, dataset = typed.get("plan"), typed.get("dataset")
        self.plugins = plugins
        self.base = _read(Path(plan)) if isinstance(plan, str) else None
        self.analyses = self._analyses(list(words) if isinstance(words, (list, tuple)) else [])
        self.named_dataset = isinstance(dataset, str) or self.base is not None
        self.dataset = choose_dataset(dataset if isinstance(dataset, str) else None, self.base, plugins)

    def _analyses(self, words: list[str]) -> list[str]:
        """The words that name analyses; options that only an analysis brings, and their values, stand among them."""
        for word in takewhile(lambda word: not word.startswith("-"), words):
            self.plugins.probes.find(word)
        known = [word for word in words if self.plugins.probes.providers(word.rpartition(":")[2])]
        return known or [part.name for part in (self.base.analyses if self.base else ())]

    def parts(self) -> list[Part]:
        """Whatever brings options of its own."""
        found = []
        for name in dict.fromkeys(self.analyses):
            probe = self.plugins.probes.get(name)
            found.append(Part("analysis", name, probe.name, probe.load().Options))
        if not self.named_dataset and not self.plugins.datasets.providers(self.dataset["name"]):
            return found  # the dataset by default is a plugin too, and help must do without it
        dataset = self.plugins.datasets.get(self.dataset["name"])
        return [*found, Part("dataset", self.dataset["name"], dataset.name, dataset.load().Options)]


def _read(file: Path) -> Plan:
    from ...engine.plan import read_plan

    return read_plan(file)


class _Run(click.Command):
    """``vitan run ANALYSIS... [OPTIONS]``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # completion must stay fast, and options come with what is heavy
            parser = self.make_parser(ctx)
            parser.ignore_unknown_options = True
            typed, _, _ = parser.parse_args(list(args))
            plugins = plugins_of(ctx, [Path(file) for file in typed.get("plugin_files") or ()])
            peeked = _Peeked(plugins, typed)
            taken = {flag for param in self.params for flag in param.opts}
            # the dataset's options alone would tell little, and the help of the command itself must be fast
            parts = peeked.parts() if peeked.analyses else []
            ctx.meta[_PEEKED] = peeked, plugin_options(parts, taken)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *ctx.meta.get(_PEEKED, (None, ()))[1]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [param for param in super().get_params(ctx) if isinstance(param, click.Option)]
        _write_options("Options", own, ctx, formatter)
        brought: list[PluginOption] = ctx.meta.get(_PEEKED, (None, ()))[1]
        for part, options in groupby(brought, key=lambda option: option.part):
            _write_options(f"Options of {part.kind} {part.owner}", options, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        peeked: _Peeked | None = ctx.meta.get(_PEEKED, (None, ()))[0]
        if peeked is None or peeked.analyses:
            return
        with formatter.section("Analyses, each with options of its own ('vitan run NAME --help')"):
            formatter.write_dl([(spec.name, spec.summary) for _, spec in peeked.plugins.probes])


def _write_options(
    title: str, options: Iterable[click.Option], ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    with formatter.section(title):
        formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])


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
    help="Model by name (dino-B16, timm:NAME, open_clip:NAME); repeat it for several, one pass each.",
)
@click.option(
    "-d",
    "--dataset",
    metavar="DATASET",
    shell_complete=complete_datasets,
    help="Dataset by name, or a folder of pictures.  [default: samples]",
)
@data_root_option
@click.option(
    "--weights",
    multiple=True,
    metavar="[MODEL=]FILE",
    shell_complete=complete_files,
    help="Your own weights instead of the published ones.",
)
@click.option(
    "--blocks",
    metavar="LIST",
    callback=_split,
    help="Blocks with commas between: all, first, q1, middle, q3, last, an index from 0, a range 3-7.  [default: all]",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Take only the first N images.")
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Images per forward pass.  [default: 8]")
@click.option("--device", help="cpu, cuda, cuda:1, mps or auto.  [default: a GPU if there is one]")
@click.option(
    "--dtype", type=click.Choice(["float32", "float16", "bfloat16"]), help="Numbers in the model.  [default: float32]"
)
@click.option(
    "--on-error", type=click.Choice(["stop", "skip"]), help="What an image does that cannot be read.  [default: stop]"
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for records and figures.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Run this plan (YAML or JSON); whatever is typed beside it replaces that part of it.",
)
@click.option("--no-figures", is_flag=True, help="Write numbers only.")
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
    no_figures: bool,
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
    from .execute import execute

    peeked: _Peeked
    peeked, brought = ctx.meta[_PEEKED]
    typed = {option: given.pop(str(option.name)) for option in brought}
    request = Request(
        analyses=analyses or peeked.analyses,
        models=models,
        dataset=peeked.dataset,
        weights=weights,
        options=_by_part(typed),
        settings={name: value for name, value in given.items() if value is not None},
    )
    built = assemble(request, peeked.base)
    ctx.exit(execute(built, peeked.plugins, output, brought, figures=not no_figures, as_json=as_json))


def _by_part(typed: dict[PluginOption, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The values that were typed, by (kind, name) of what they belong to."""
    options: dict[tuple[str, str], dict[str, Any]] = {}
    for option, value in typed.items():
        if value is not None and value != ():
            part = options.setdefault((option.part.kind, option.part.name), {})
            part[option.field.name] = option.parsed(value)
    return options
