"""Write docs/zoo.md: the tiny models that come with vitan, from their cards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from runpy import run_path
from typing import Any

from vitan_models import tiny

PAGE = Path(__file__).with_name("zoo.md")

HEAD = """\
# The zoo: one tiny ViT, trained in six ways

Weights that come with vitan, so that nothing has to be fetched before the first question can be asked:

    vitan run attention cka -m tiny-dino -m tiny-mae -m tiny-random -d shapes

One architecture (timm's class, {blocks} blocks of {width} channels and {heads} heads, patch {patch} at {size} px, CLS,
learned positions), the same initial weights, the same pictures, and six objectives, each with its own views and length.
`tiny-random` is what all of them began with. After a tenth of its training each is at hand too:

    vitan run attention -m tiny:dino-tenth -m tiny-dino -d shapes

**They are toys.** They have seen the drawn world of `shapes` and nothing else, for minutes on one core. They show what
an analysis does and how objectives part ways; what they say of photographs, or of the published models, is nothing.

This page is written from their cards by `make docs/zoo.md`.

## The pictures

{pictures} squares of {kept} px from drawings of `shapes` (seeds {first} to {last}, {per_class} of each kind in a world,
{drawn} px). Each drawing gives two: its middle, and its main thing with a little around it, in a square of {around}
times its box. So all six were shown where the main thing is, which the published methods are not. Drawings that hardly
show theirs are left out. Seeds 0 to 9 are for evaluation and were never trained on.
"""

MEASURED = """\
## What they can do

On four worlds of `shapes` and `shapes-video` that none of them has seen: the best block's value, its mean over the
worlds, and two standard errors of that mean. The best of a row is in bold; `tiny-random` is the floor.

<!-- corpus: tiny-tasks -->
<!-- end -->

How far the attention of each block reaches, in widths of the grid:

<!-- corpus: tiny-distances -->
<!-- end -->

Each objective gives something else. Labels and captions teach what things are called, and captions also which thing it
is. MoCo, which tells pictures apart, names things a little, finds instances again and follows objects. DINO's CLS looks
at the objects, more than that of any other, and follows them. MAE, which must say what is hidden where, finds points.
BEiT, whose words are colours and edges, does a little of all: names, instances, points, films.

None is better at everything. MAE does not name things better than the floor does, and DINO hardly; pictures fall into
their classes by themselves after labels and captions alone; and the one that was told the names looks at the objects
less than the floor, and loses them in films. DINO and MoCo live on hundreds of passes, and had a handful.

## What one sees

`vitan demo` draws these among others.

![Distance, entropy, attention to CLS and more over the blocks, a line for each model](images/zoo-attention.png)

MAE alone has learned heads that look nearby: a hidden patch is best made from those beside it. BEiT looks a little
nearer than uniform attention does, DINO in its early blocks further, the others about as far. Where they part ways is
entropy: labels, captions and self-distillation make attention sharp, above all that of CLS, and the untrained model's
is nearly uniform everywhere.

![The attention distance of every head, a panel for each model](images/zoo-heads.png)

The heads of MAE share the work, from the next patch to half of the grid; those of the untrained model are all alike.

![The share of each type of head in every block, a panel for each model](images/zoo-types.png)

In words: MAE's heads are local (strict, soft, axial), and nobody else's are. Those of the others look everywhere, or,
the more their objective asks what is in a picture, at something that depends on it (*other*): most under labels and
captions, then DINO and MoCo, least BEiT, and none before training.

![How alike the last blocks of all pairs of models are](images/zoo-cka.png)

Supervision by labels has led furthest from the beginning, and to something of its own. DINO and MoCo, which both learn
that two crops are of one picture, end with the most alike CLS; by their patches MoCo and MAE are nearest. BEiT is by
itself. All but the first are still as near to the untrained model as to most of the others, which says how little such
short trainings change.
"""
_AGAIN = """\
## Making them again

    python -m zoo render
    python -m zoo train dino
    python -m zoo finish

in a clone of the repository; `train` for each of the six, {longest} minutes of one core at most. It goes on where it
was stopped. The objectives are in `zoo/objectives`, a file each.
"""


def page() -> str:
    """The whole page."""
    content = json.loads(tiny.CARDS.read_text(encoding="utf-8"))
    parts = [_head(content["data"]), MEASURED, *_trainings(content), *_cards(content), *_end(content)]
    corpus = run_path(str(Path(__file__).with_name("write_corpus.py")))
    made: str = corpus["filled"]("\n".join(parts), corpus["read_table"](corpus["RECORDS"]))
    return made


def _head(data: Mapping[str, Any]) -> str:
    first, last = data["seeds"]
    sizes = {"blocks": tiny.DEPTH, "width": tiny.WIDTH, "heads": tiny.HEADS, "patch": tiny.PATCH, "size": tiny.SIZE}
    counts = {key: data[key] for key in ("pictures", "per_class", "drawn", "kept", "around")}
    return HEAD.format(**sizes, **counts, first=first, last=last)


def _trainings(content: Mapping[str, Any]) -> Iterator[str]:
    seed, random = content["neighbours_on"], content["random"]["neighbours"]
    yield "## How they were trained\n"
    yield "| model | steps | batch | passes | rate | decay | seed | minutes | loss, first | loss, last |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name, card in content["models"].items():
        passes = card["steps"] * card["batch"] / content["data"]["pictures"]
        recipe = (
            f"{card['steps']} | {card['batch']} | {passes:.1f} | {card['rate']:g} | {card['decay']:g} | {card['seed']}"
        )
        loss = card["loss"]
        yield f"| `tiny-{name}` | {recipe} | {card['seconds'] / 60:.0f} | {loss['first']:.3f} | {loss['last']:.3f} |"
    yield ""
    yield "AdamW, a warm-up of a twentieth and a cosine; passes are over all pictures, minutes of one core. Losses of"
    yield "two objectives cannot be compared.\n"
    yield f"The nearest neighbour on seed {seed}, in percent, by CLS and by the mean patch, after the last block:\n"
    yield "| model | after a tenth | in the end |"
    yield "|---|---|---|"
    yield f"| `tiny-random` | | {_neighbours(random)} |"
    for name, card in content["models"].items():
        tenth, end = (_neighbours(card["files"][when]["neighbours"]) for when in ("tenth", "end"))
        yield f"| `tiny-{name}` | {tenth} | {end} |"
    yield ""


def _neighbours(found: Mapping[str, float]) -> str:
    return f"{found['cls']:.1f}, {found['patches']:.1f}"


def _cards(content: Mapping[str, Any]) -> Iterator[str]:
    yield "## The cards\n"
    for name, card in content["models"].items():
        yield f"### tiny-{name}\n"
        yield f"- **Trained on** {card['objective']}."
        yield f"- **Smaller or otherwise than there:** {card['differs']}."
        yield f"- **Beware:** {card['weak']}."
        for when, file in card["files"].items():
            which = "the end" if when == "end" else f"after {file['step']} steps"
            size = f"{file['size'] / 2**20:.1f} MiB in half precision"
            yield f"- `{file['name']}`, {which}: {size}, sha256 `{file['sha256'][:16]}…`"
        yield ""


def _end(content: Mapping[str, Any]) -> Iterator[str]:
    longest = max((card["seconds"] for card in content["models"].values()), default=0)
    yield _AGAIN.format(longest=round(longest / 60))
    made = content["made_with"]
    yield f"These were made with torch {made['torch']} and timm {made['timm']}. Their licence is vitan's own, MIT."
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
