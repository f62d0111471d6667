"""Writes ``docs/cli.md``, the reference of the command line, from the commands themselves: ``make docs/cli.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import cleandoc
from pathlib import Path

import click

from vitan.cli import main
from vitan.cli.plugin_options import Part, plugin_options
from vitan.options import Options
from vitan.registry.names import Registry
from vitan.registry.plugins import Plugins

PAGE = Path(__file__).parent / "cli.md"
_HEAD = """\
# The command line

Written by `make docs/cli.md` from the commands themselves. `vitan COMMAND --help` says the same of what is installed on
your machine, plugins of others included.

Exit codes: 0 done, 1 failed, 2 usage, 130 interrupted. Progress goes to stderr and results to stdout.
"""
_ANALYSES = """\
## Options of analyses

Where two analyses of one command have an option of the same name, the analysis stands before it, as in
`--attention.protocol`. That form is always taken. What all of them have can be said once: `--protocol paper` is
then for all, but those for which it is said otherwise.
"""
_OWN = "vitan"  # the distribution whose analyses and datasets are described


def page() -> str:
    """The whole page, as Markdown."""
    plugins = Plugins()
    plugins.load_installed()
    parts = [_HEAD, *_commands(main, click.Context(main, info_name="vitan"))]
    parts += [
        _ANALYSES,
        *_options_of(plugins.probes),
        "## Options of datasets\n",
        *_options_of(plugins.datasets),
    ]
    return "\n".join(parts)


def _commands(group: click.Group, ctx: click.Context) -> Iterator[str]:
    """A section for each command, in the group's order."""
    for name in group.list_commands(ctx):
        if (command := group.get_command(ctx, name)) is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=ctx)
        usage = " ".join([inner.command_path, *command.collect_usage_pieces(inner)])
        yield f"## {inner.command_path}\n\n```text\n{usage}\n```\n\n{_prose(command.help or '')}"
        yield _table(command.params, inner)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _prose(text: str) -> str:
    """The help of a command; what stands behind a ``\\b`` are its examples."""
    paragraphs = cleandoc(text).split("\n\n")
    shown = [
        "\n".join(f"    {line.strip()}" for line in paragraph.splitlines()[1:]) if paragraph[0] == "\b" else paragraph
        for paragraph in paragraphs
        if paragraph
    ]
    return "\n\n".join(shown) + "\n"


def _options_of(registry: Registry) -> Iterator[str]:  # type: ignore[type-arg]
    """A table for each analysis or dataset of ours that has options."""
    for provider, spec in registry:
        kind: type[Options] = spec.load().Options
        if provider.name == _OWN and kind.model_fields:
            yield f"### {spec.name}\n\n{spec.summary}\n"
            yield _table(plugin_options([Part("", spec.name, spec.name, kind)], taken=()), click.Context(main))


def _table(params: Iterable[click.Parameter], ctx: click.Context) -> str:
    """What is typed and what it does, of each option; empty without any."""
    records = [record for param in params if isinstance(param, click.Option) if (record := param.get_help_record(ctx))]
    rows = ["| `{}` | {} |".format(typed.replace("|", "\\|"), _cell(meaning)) for typed, meaning in records]
    return "\n".join(["| option | |", "|---|---|", *rows]) + "\n" if rows else ""


def _cell(text: str) -> str:
    """Text that neither ends a cell nor looks like a link."""
    for sign in "|[]":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
