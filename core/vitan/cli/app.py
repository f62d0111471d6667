"""The command group: plugins, errors and exit codes."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError, VitanError, printable
from ..files import given_path
from ..version import __version__

if TYPE_CHECKING:
    from ..registry.plugins import Plugins

INTERRUPTED = 130
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DEBUG = "vitan.debug"


def _debug_option() -> click.Option:
    return click.Option(["--debug"], is_flag=True, expose_value=False, help="Show where errors arose, as tracebacks.")


def debugging() -> bool:
    """Whether tracebacks are asked for."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(_DEBUG))


def say_error(error: VitanError, text: str) -> None:
    """Print an error, after the traceback that led to it where ``--debug`` asks for that."""
    if debugging():
        frames = error.details or "".join(traceback.format_exception(error))
        click.echo(printable(frames), err=True, nl=False)
    click.secho(f"error: {text}", fg="red", err=True)


def _say_bug(error: Exception) -> None:
    """Say that vitan itself has failed; where, as a traceback, with ``--debug``."""
    why = " ".join(f"{type(error).__name__}: {error}".split())
    said = VitanError(f"vitan has a bug here ({why}); please run it again with --debug and report what that shows")
    said.details = "".join(traceback.format_exception(error))
    say_error(said, printable(str(said)))


class Main(click.Group):
    """Turns errors into messages and exit codes, and what is no ``VitanError`` into that of a bug.

    It and each of its commands have the option ``--debug``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """See ``click.Group``."""
        super().add_command(cmd, name)
        cmd.params.append(_debug_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See ``click.Group``; a command may fail before it has read its own options."""
        ctx.meta[_DEBUG] = "--debug" in args
        if os.environ.get("NO_COLOR"):  # see no-color.org
            ctx.color = False
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and print the error that ends it."""
        try:
            _check_current_folder()
            return super().invoke(ctx)
        except VitanError as error:
            say_error(error, str(error))
            ctx.exit(error.exit_code)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.EPIPE, *_FULL):  # click and ``main`` know these
                raise
            _say_bug(error)
            ctx.exit(VitanError.exit_code)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order in which they were added, not in that of the alphabet."""
        return list(self.commands)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run and leave with 0 done, 1 failed, 2 usage, 130 interrupted."""
        _open_what_is_closed()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # an arrow must not stop a terminal that has none
        kwargs["standalone_mode"] = False
        try:
            with _terminating_like_interrupting():
                code = super().main(*args, **kwargs)
        except click.ClickException as error:
            said = io.StringIO()
            error.show(said)
            click.echo(printable(said.getvalue()), err=True, nl=False)
            code = error.exit_code
        except click.Abort as error:
            click.echo("; ".join(["interrupted", *map(str, error.args)]), err=True)
            code = INTERRUPTED
        except OSError as error:
            if error.errno not in _FULL or error.filename is not None:
                raise
            _leave_output()
            click.secho(f"error: the output cannot be written: {error.strerror}", fg="red", err=True)
            code = 1
        sys.exit(code if isinstance(code, int) else 0)


def _open_what_is_closed() -> None:
    """Put an empty file in place of each of the three streams that is closed: nothing is read, and nothing said."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _check_current_folder() -> None:
    """Raise ``UsageError`` where the command is run in a folder that has been deleted: torch would end the process."""
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError(f"the current folder cannot be used ({error.strerror}); change to another one") from None


@contextmanager
def _terminating_like_interrupting() -> Iterator[None]:
    """Let a run that is told to end (SIGTERM) end as with Ctrl-C: what is half-written is removed."""

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001  # as handlers are called
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread, where signals are somebody else's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave_output() -> None:
    """Keep Python from trying once more to write what did not fit, when it ends."""
    with suppress(OSError, ValueError):  # where it is no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Any:  # noqa: ARG001
    """Let the shell complete paths."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


plugin_option = click.option(
    "-p",
    "--plugin",
    "plugin_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.py",
    shell_complete=complete_files,
    help="Use a plugin that is one Python file; may be repeated.",
)


def _use_data_root(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:  # noqa: ARG001
    """Set VITAN_DATA_DIR until the command is over."""
    if value is None or ctx.resilient_parsing:
        return
    folder = given_path(value).absolute()
    if not folder.is_dir():
        what = "this is a file" if folder.exists() else "there is no such folder"
        raise UsageError(f"--data-root {value}: {what}; give the folder that holds the datasets")
    before = os.environ.get("VITAN_DATA_DIR")
    os.environ["VITAN_DATA_DIR"] = str(folder)

    @ctx.call_on_close
    def restore() -> None:
        del os.environ["VITAN_DATA_DIR"]
        os.environ.update({} if before is None else {"VITAN_DATA_DIR": before})


data_root_option = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    callback=_use_data_root,
    expose_value=False,
    shell_complete=complete_files,
    help="Folder that holds the datasets, each in a folder of its own.  [default: VITAN_DATA_DIR]",
)


@click.group(cls=Main, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vitan", message="%(prog)s %(version)s")
@plugin_option
@click.pass_context
def main(ctx: click.Context, /, plugin_files: tuple[Path, ...]) -> None:  # noqa: ARG001  # read by ``plugins_of``
    """See what a Vision Transformer does, where in its layers, and how its training matters.

    \b
    vitan run attention --model dino-B16      photographs that come with vitan
    vitan list                                all models, analyses and datasets
    vitan show attention                      what it measures, and its options
    """  # \b keeps click from joining the lines
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def plugins_of(ctx: click.Context, more: Iterable[Path] = (), *, warn: bool = True) -> Plugins:
    """What is installed, with the files given with ``-p``; found once per command.

    Those that fail are reported, one line each. Raises ``PluginError`` for a file that cannot be used.
    """
    root = ctx.find_root()
    if root.obj is None:
        from ..registry.plugins import Plugins

        root.obj = Plugins()
        root.obj.load_installed()
        for failure in root.obj.failures if warn else ():
            line = " ".join(str(failure).split())
            click.echo(f"warning: {line}; 'vitan doctor' tells more", err=True)
        more = [*root.params.get("plugin_files", ()), *more]
    for path in more:
        root.obj.load_file(path)
    found: Plugins = root.obj
    return found
