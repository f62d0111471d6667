"""The pictures of ``shapes``: which instance each shows, in which view, with what around it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .categories import CATEGORIES
from .figure import Pose
from .geometry import XY, Box, Placing, direction
from .painting import draw
from .scene import PICTURE, Scene, Thing, backdrop, instance, stream
from .stencil import Stencil

#: Pictures of one instance; of eight in a row, two are queries.
PER_INSTANCE = 8
_VIEWS = ("easy", "hard", "junk", "query", "easy", "hard", "easy", "query")
_SHAPES = ((1, 0.75), (1, 0.75), (0.75, 1), (1, 1), (1, 0.66))  # width and height, of the longer side
_ATTEMPTS = 8
_ENOUGH = 4  # points of the main thing that can be seen


@dataclass(frozen=True)
class World:
    """What decides all pictures: the seed, how many categories there are, and the longer side in pixels."""

    seed: int
    classes: int
    size: int


@dataclass(frozen=True)
class Known:
    """What is known of a picture's main thing: its visible points and box in pixels, and how it is seen."""

    attempt: int
    points: dict[str, XY]
    box: Box
    turn: float
    mirror: bool
    truncated: bool
    occluded: bool


def view(number: int) -> str:
    """How the picture of that number in its category shows its instance: easy, hard, junk, or query."""
    return _VIEWS[number % PER_INSTANCE]


def picture(world: World, category: int, number: int) -> tuple[Scene, Stencil]:
    """One picture, laid out and drawn but not yet painted."""
    attempt = known(world, category, number).attempt
    scene = _compose(world, category, number, attempt)[0]
    return scene, draw(scene)


@lru_cache(maxsize=8192)
def known(world: World, category: int, number: int) -> Known:
    """What is known of a picture, without painting it. The first arrangement that shows enough is taken."""
    best: Known | None = None
    for attempt in range(_ATTEMPTS):
        found = _look_at(world, category, number, attempt)
        if found and (best is None or len(found.points) > len(best.points)):
            best = found
        if best and len(best.points) >= _ENOUGH:
            return best
    if best is None:  # attempts end with the thing alone and in the middle
        raise AssertionError(f"nothing can be seen of {CATEGORIES[category].name} {number}")
    return best


def _look_at(world: World, category: int, number: int, attempt: int) -> Known | None:
    scene, turn, mirror = _compose(world, category, number, attempt)
    stencil = draw(scene)
    box, thing = stencil.box(scene.main), scene.things[scene.main]
    if box is None:
        return None
    alone = replace(scene, things=(thing,), main=0)
    area = stencil.area(scene.main)
    occluded = len(scene.things) > scene.main + 1 and area < 0.95 * draw(alone).area(0)
    figure = thing.figure()
    outlines = np.concatenate([thing.placing.apply(shape.outline) for shape in figure.shapes])
    low, high = outlines.min(axis=0), outlines.max(axis=0)
    truncated = bool(low.min() < -2 or high[0] > scene.width + 2 or high[1] > scene.height + 2)
    points = stencil.visible(figure.marks, thing.placing, scene.main)
    return Known(attempt, points, box, turn, mirror, truncated, occluded)


def _compose(world: World, category: int, number: int, attempt: int) -> tuple[Scene, float, bool]:
    """The scene of one picture, and by how much its main thing is turned and whether it is mirrored."""
    rng = stream(PICTURE, world.seed, category, number, attempt)
    wide, high = _SHAPES[int(rng.integers(len(_SHAPES)))]
    width, height = round(world.size * wide), round(world.size * high)
    seen = "easy" if attempt == _ATTEMPTS - 1 else view(number)
    thing, turn, mirror = _main(world, category, number, seen, (width, height), rng)
    behind, before = _others(world, thing, seen, (width, height), rng)
    if attempt == _ATTEMPTS - 1:
        before = []
    scene = Scene(
        width=width,
        height=height,
        backdrop=backdrop(rng, (PICTURE, world.seed, category, number, attempt, 1)),
        things=(*behind, thing, *before),
        main=len(behind),
    )
    return scene, turn, mirror


def _main(
    world: World, category: int, number: int, seen: str, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Thing, float, bool]:
    kind, short = CATEGORIES[category], min(size)
    dice = rng.random(10)
    part, off, lean, squash = {
        "easy": (0.68 + 0.2 * dice[0], 0.06, 0.3, 1 - 0.06 * dice[1]),
        "query": (0.6 + 0.25 * dice[0], 0.08, 0.35, 1 - 0.08 * dice[1]),
        "hard": (0.42 + 0.2 * dice[0], 0.22, 1.0, 0.72 + 0.16 * dice[1]),
        "junk": (0.14 + 0.06 * dice[0], 0.36, 0.6, 1.0) if dice[9] < 0.5 else (0.7 + 0.2 * dice[0], 0.0, 0.4, 1.0),
    }[seen]
    x, y = (0.5 + off * (2 * dice[2] - 1)) * size[0], (0.5 + off * (2 * dice[3] - 1)) * size[1]
    if seen == "junk" and off == 0:  # half of it lies beyond an edge
        x = (size[0] if dice[2] < 0.5 else 0) + 0.08 * short * (2 * dice[3] - 1)
    turn = kind.tilt * lean * (2 * dice[4] - 1)
    mirror = bool(kind.side and (seen == "hard" or (seen == "junk" and dice[5] < 0.5)))
    reach = 1.0 if seen in ("hard", "junk") else 0.5
    placing = Placing.at(
        float(x),
        float(y),
        float(part * short / 2),
        float(turn),
        mirror,
        float(squash),
        0.12 * (2 * float(dice[6]) - 1) * reach,
    )
    pose = Pose(float(reach * (2 * dice[7] - 1)), float(reach * (2 * dice[8] - 1)))
    return Thing(category, instance(world.seed, category, number // PER_INSTANCE), pose, placing), float(turn), mirror


def _others(
    world: World, main: Thing, seen: str, size: tuple[int, int], rng: np.random.Generator
) -> tuple[list[Thing], list[Thing]]:
    """Smaller things of other categories: in the corners behind the main one, and before it, where it is hidden."""
    count = int(rng.integers(0, 3)) if seen in ("easy", "query") else int(rng.integers(1, 4))
    before = 1 if seen == "hard" or (count > 1 and rng.random() < 0.3) else 0
    corners = rng.permutation(4)
    made = []
    for place in range(count):
        other = (main.category + 1 + int(rng.integers(world.classes - 1))) % world.classes
        dice = rng.random(7)
        scale = (0.26 + 0.2 * dice[0]) * min(size) / 2
        if place < count - before:
            right, low = divmod(int(corners[place]), 2)
            x = (0.5 + (1 if right else -1) * (0.28 + 0.14 * dice[1])) * size[0]
            y = (0.5 + (1 if low else -1) * (0.2 + 0.18 * dice[2])) * size[1]
        else:
            c, s = direction(360 * dice[1])
            reach = (0.6 + 0.3 * dice[2]) * main.placing.scale + 0.3 * scale
            x, y = main.placing.dx + reach * c, main.placing.dy + reach * s
        kind = CATEGORIES[other]
        placing = Placing.at(
            float(x),
            float(y),
            float(scale),
            float(kind.tilt * 0.6 * (2 * dice[4] - 1)),
            mirror=bool(kind.side and dice[3] < 0.5),
        )
        look = instance(world.seed, other, 1000 + int(rng.integers(1 << 20)))
        made.append(Thing(other, look, Pose(float(2 * dice[5] - 1), float(2 * dice[6] - 1)), placing))
    return made[: count - before], made[count - before :]


def differences(one: Known, other: Known) -> dict[str, int]:
    """How far two views differ, on the scales of SPair-71k: 0 to 2, or 0 to 3 for none, the first, the second, both."""
    turned = abs(one.turn - other.turn)
    viewpoint = 2 if one.mirror != other.mirror else 1 if turned > 20 else 0
    ratio = abs(math.log2(_size(one.box) / _size(other.box)))
    return {
        "viewpoint_variation": viewpoint,
        "scale_variation": 2 if ratio > 1.5 else 1 if ratio > 0.6 else 0,
        "truncation": one.truncated + 2 * other.truncated,
        "occlusion": one.occluded + 2 * other.occluded,
    }


def _size(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])
