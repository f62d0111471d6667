"""``vitan completion``."""

from __future__ import annotations

import click

_WHERE = {
    "bash": "vitan completion bash > ~/.local/share/bash-completion/completions/vitan",
    "zsh": 'vitan completion zsh > "${fpath[1]}/_vitan"',
    "fish": "vitan completion fish > ~/.config/fish/completions/vitan.fish",
}


def _epilog() -> str:
    return "\b\nInstall it with one of\n" + "\n".join(f"  {line}" for line in _WHERE.values())


@click.command(epilog=_epilog(), short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and names in a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click cannot complete in {shell}", ctx)
    click.echo(kind(ctx.find_root().command, {}, "vitan", "_VITAN_COMPLETE").source())
