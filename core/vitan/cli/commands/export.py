"""``vitan export``: a dataset as files, in the layout of a published one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError, VitanError
from ...registry.plugins import load_kind
from ..app import plugins_of
from ..names import complete_datasets
from ..plugin_options import Part, PluginCommand
from ..text import count, size

if TYPE_CHECKING:
    from ...data.samples import Dataset
    from ...registry.specs import DatasetSpec

_SPEC = "vitan.export.dataset"
_Layouts = Mapping[str, Callable[[Path], None]]


class _Export(PluginCommand):
    """``vitan export DATASET [OPTIONS]``."""

    def parts(self, ctx: click.Context, typed: dict[str, Any]) -> list[Part]:
        """Those of the dataset."""
        name = typed.get("dataset")
        if not isinstance(name, str) or name.startswith("-"):
            return []
        spec = ctx.meta[_SPEC] = plugins_of(ctx, warn=not ctx.resilient_parsing).datasets.get(name)
        return [Part("dataset", name, spec.name, load_kind(spec).Options)]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The layouts of the dataset."""
        spec: DatasetSpec | None = ctx.meta.get(_SPEC)
        if spec is None:
            formatter.write_paragraph()
            formatter.write_text("'vitan export DATASET --help' shows the layouts and the options of a dataset.")
            return
        with formatter.section(f"Layouts of {spec.name}"):
            try:
                layouts = _open(ctx, {}).layouts()
            except VitanError:  # it needs options to be opened
                formatter.write_text("to see them, leave out --layout and give the options that the dataset needs")
                return
            formatter.write_dl([(name, _about(write)) for name, write in layouts.items()] or [("none", "")])


@click.command(cls=_Export, short_help="Write a dataset as files, in a published layout.")
@click.argument("dataset", shell_complete=complete_datasets)
@click.option("--layout", metavar="NAME", help="Layout of the files; 'vitan export DATASET --help' lists them.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder to write, which must not exist or be empty.  [default: the name of the layout]",
)
@click.pass_context
def export(ctx: click.Context, /, dataset: str, layout: str | None, output: Path | None, **typed: Any) -> None:  # noqa: ARG001
    """Write a dataset as files, in the layout of a published one.

    \b
    vitan export shapes --layout coco -o data/coco
    vitan export shapes-video --layout davis2017 -o data/DAVIS --films 4
    """  # \b keeps click from joining the lines
    from ...files import replacing_folder

    spec: DatasetSpec = ctx.meta[_SPEC]
    assert isinstance(ctx.command, PluginCommand)
    values = {option: typed[str(option.name)] for option in ctx.command.brought(ctx)}
    given = {option.field.name: option.parsed(value) for option, value in values.items() if value not in (None, ())}
    opened = _open(ctx, given)
    write = _chosen(layout, opened.layouts(), spec.name)
    folder = output if output is not None else Path(str(layout))
    _check_empty(folder)
    try:
        with replacing_folder(folder) as temporary:
            write(temporary)
    except OSError as error:
        raise VitanError(f"{folder} cannot be written: {error.strerror or error}") from error
    files = [file for file in folder.rglob("*") if file.is_file()]
    amount = size(sum(file.stat().st_size for file in files))
    click.echo(f"{folder}: {count(len(opened), 'picture')} of {spec.name}, {count(len(files), 'file')}, {amount}")


def _open(ctx: click.Context, options: Mapping[str, Any]) -> Dataset:
    from ... import api

    spec: DatasetSpec = ctx.meta[_SPEC]
    return api.load_dataset(spec.name, plugins=plugins_of(ctx), **options)


def _chosen(name: str | None, layouts: _Layouts, dataset: str) -> Callable[[Path], None]:
    """The function of that layout; raises ``UsageError`` with the ones there are."""
    if not layouts:
        raise UsageError(
            f"dataset {dataset} cannot be written as files; 'vitan export shapes --help' shows one that can"
        )
    if name is None:
        raise UsageError(
            f"say in which layout, as in --layout {next(iter(layouts))}; {dataset} has {', '.join(layouts)}"
        )
    if name not in layouts:
        raise UsageError(f"--layout {name}: dataset {dataset} has {', '.join(layouts)}")
    return layouts[name]


def _check_empty(folder: Path) -> None:
    """Raise ``UsageError`` unless the folder is free: nothing that is there is ever replaced."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise UsageError(f"--output {folder}: this folder is not empty; name another one, or empty it first")
    elif folder.exists():
        raise UsageError(f"--output {folder}: this is a file; name a folder")


def _about(write: Callable[[Path], None]) -> str:
    """The first paragraph of a layout's docstring."""
    inner = write.func if isinstance(write, partial) else write
    return " ".join((inspect.getdoc(inner) or "").split("\n\n")[0].split())
