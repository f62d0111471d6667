"""The things of this world, in the order of their labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from . import animals, things, vehicles
from .figure import Figure, Look, Pose

#: What ``things`` and ``animals`` are made by.
Make = Callable[[Look, Pose], Figure]


@dataclass(frozen=True)
class Category:
    """A kind of thing.

    ``side`` marks what is seen from the side, so that its mirror image is another view of it; with the others left and
    right belong to the thing. ``tilt`` is how far it leans in a picture, in degrees. ``wnid`` is made up.
    """

    name: str
    wnid: str
    kind: str
    make: Make
    side: bool
    tilt: float


CATEGORIES: tuple[Category, ...] = (
    Category("bicycle", "n90000001", "vehicle", vehicles.bicycle, True, 14),
    Category("bird", "n90000002", "animal", animals.bird, True, 24),
    Category("boat", "n90000003", "vehicle", vehicles.boat, True, 14),
    Category("butterfly", "n90000004", "animal", animals.butterfly, False, 90),
    Category("car", "n90000005", "vehicle", vehicles.car, True, 14),
    Category("cat", "n90000006", "animal", animals.cat, False, 16),
    Category("chair", "n90000007", "furniture", things.chair, False, 16),
    Category("fish", "n90000008", "animal", animals.fish, True, 40),
    Category("flower", "n90000009", "plant", animals.flower, False, 20),
    Category("guitar", "n90000010", "object", things.guitar, False, 60),
    Category("house", "n90000011", "building", things.house, False, 8),
    Category("lamp", "n90000012", "furniture", things.lamp, True, 12),
    Category("mug", "n90000013", "object", things.mug, True, 14),
    Category("umbrella", "n90000014", "object", things.umbrella, False, 40),
)


@cache
def parts(category: int) -> tuple[str, ...]:
    """Names of all parts that instances of a category can have, in the order of the alphabet."""
    found: dict[str, None] = {}
    for figure in _samples(category):
        found.update(dict.fromkeys(shape.part for shape in figure.shapes))
    return tuple(sorted(found))


@cache
def part_labels() -> dict[tuple[int, str], int]:
    """A number from 1 for each part of each category."""
    keys = [(category, part) for category in range(len(CATEGORIES)) for part in parts(category)]
    return {key: label for label, key in enumerate(keys, 1)}


@cache
def points(category: int) -> tuple[str, ...]:
    """Names of the points of a category, in order."""
    return tuple(_samples(category)[0].marks)


def _samples(category: int) -> list[Figure]:
    """Instances with the extremes of every proportion: some parts are there from a threshold on."""
    import numpy as np

    from .palette import look

    made = []
    for build in (-1.0, 1.0):
        plain = look(np.random.default_rng(0))
        extreme = Look(**{**vars(plain), "build": (build, build, build, build)})
        made.append(CATEGORIES[category].make(extreme, Pose()))
    return made
