"""``vitan cache``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from ...errors import VitanError
from ..text import columns, count, size

_DAY = 86400.0


@click.group(invoke_without_command=True, short_help="Show or clear stored state and weights.")
@click.pass_context
def cache(ctx: click.Context) -> None:
    """Show what vitan keeps: stored state, by which nothing is computed twice, and weights."""
    if ctx.invoked_subcommand is None:
        from ...files import cache_dir, states_dir, weights_dir

        click.echo(f"{cache_dir()}  (VITAN_CACHE moves it, 'vitan cache clear' empties it)\n")
        _show_states(states_dir())
        click.echo()
        _show_weights(weights_dir())


@cache.command()
@click.option("--states", is_flag=True, help="Only stored state.")
@click.option("--weights", is_flag=True, help="Only weights; those in the caches of other libraries are left alone.")
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Only what was written before that.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear(states: bool, weights: bool, older_than: float | None, yes: bool) -> None:
    """Delete stored state and weights."""
    from ...files import states_dir, weights_dir

    both = states == weights
    folders = [states_dir()] * (states or both) + [weights_dir()] * (weights or both)
    before = time.time() - (older_than or 0) * _DAY
    files = [file for folder in folders for file in _files(folder) if older_than is None or _written(file) < before]
    if not files:
        click.echo("there is nothing to delete")
        return
    what = f"{count(len(files), 'file')} ({size(_total(files))}) in {' and '.join(map(str, folders))}"
    if not yes and not _confirmed(what):
        click.echo("nothing was deleted")
        return
    for file in files:
        _delete(file)
    click.echo(f"deleted {what}")


def _confirmed(what: str) -> bool:
    try:
        return click.confirm(f"Delete {what}?", err=True)
    except click.Abort:
        raise VitanError("nothing was deleted, since nobody answered; --yes deletes without asking") from None


def _show_states(folder: Path) -> None:
    from ... import api

    found = [(content, path) for path, content in api.stored_states(folder)]
    click.echo(f"states   {folder}  {count(len(found), 'file')}, {size(_total(path for _, path in found))}")
    files: Counter[tuple[str, str, str]] = Counter()
    amount: Counter[tuple[str, str, str]] = Counter()
    for content, path in found:
        key = (
            str(content.get("model", "(any model)" if "preparation" in content else "?")),
            str(next(iter(content.get("dataset", ())), "?")),
            str(
                next(
                    iter(content.get("probe", content.get("recording", content.get("preparation", ())))), "(unreadable)"
                )
            ),
        )
        files[key] += 1
        amount[key] += path.stat().st_size
    rows = [(*key, count(files[key], "file"), size(amount[key])) for key in sorted(files)]
    for line in columns(rows, right=(3, 4), indent="  "):
        click.echo(line)


def _show_weights(folder: Path) -> None:
    files = list(_files(folder))
    click.echo(f"weights  {folder}  {count(len(files), 'file')}, {size(_total(files))}")
    rows = [(str(file.relative_to(folder)), size(file.stat().st_size)) for file in files]
    for line in columns(rows, right=(1,), indent="  "):
        click.echo(line)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _total(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _written(file: Path) -> float:
    return file.stat().st_mtime


def _delete(file: Path) -> None:
    """Another run may have deleted it, or may be writing beside it."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise VitanError(f"{file} cannot be deleted: {error.strerror}") from error
