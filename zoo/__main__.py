"""``python -m zoo render``, then ``train NAME`` for each model, then ``finish``."""

from __future__ import annotations

import json
from pathlib import Path

import click
import torch

from .finishing import finish
from .knn import top1
from .objectives import OBJECTIVES
from .training import tail, train
from .world import load, render


@click.group()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("build/zoo"), show_default=True)
@click.pass_context
def zoo(ctx: click.Context, folder: Path) -> None:
    """Train the tiny models that come with vitan."""
    ctx.obj = folder


@zoo.command("render")
@click.pass_obj
def render_(folder: Path) -> None:
    """Draw the training pictures, once."""
    render(folder / "world")


@zoo.command("train")
@click.argument("name", type=click.Choice(list(OBJECTIVES)))
@click.pass_obj
def train_(folder: Path, name: str) -> None:
    """Train one model on one core, or go on with it."""
    torch.set_num_threads(1)
    log = train(name, load(folder / "world"), folder / name)
    click.echo(f"{name}: loss {tail(log):.3f} after {log[-1]['step']} steps, {log[-1]['seconds']} s")


@zoo.command("look")
@click.argument("name", type=click.Choice(list(OBJECTIVES)))
@click.pass_obj
def look(folder: Path, name: str) -> None:
    """Say how well neighbours are of one class so far."""
    for path in sorted((folder / name).glob("*.pt")):
        state = torch.load(path, weights_only=True)
        if "objective" not in state:
            click.echo(f"{name} {path.stem} {json.dumps(top1(state))}")


@zoo.command("finish")
@click.pass_obj
def finish_(folder: Path) -> None:
    """Write the weights and cards of all models that are trained, into the package."""
    click.echo(f"finished: {', '.join(finish(folder))}")


if __name__ == "__main__":
    zoo()
