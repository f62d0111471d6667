"""What a picture shows, before a pixel of it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .categories import CATEGORIES
from .figure import RGB, Figure, Look, Pose
from .geometry import Placing
from .palette import COLOURS, blend, look

# The first number of every stream of random numbers, so that no two kinds of stream meet.
INSTANCE, PICTURE, FILM, PAIRS = 1, 2, 3, 4


def stream(*numbers: int) -> np.random.Generator:
    """Random numbers of their own for whatever the numbers name."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(numbers)))


@dataclass(frozen=True)
class Thing:
    """One thing in a picture."""

    category: int
    look: Look
    pose: Pose
    placing: Placing

    def figure(self) -> Figure:
        """Its shapes and points; not to be changed."""
        return _figure(self.category, self.look, self.pose)


@lru_cache(maxsize=64)  # the same thing is drawn again to see what hides it, and to paint it
def _figure(category: int, look: Look, pose: Pose) -> Figure:
    return CATEGORIES[category].make(look, pose)


@dataclass(frozen=True)
class Backdrop:
    """What is behind: two colours that run into each other, clouds of noise, and a faint pattern or a ground."""

    top: RGB
    bottom: RGB
    kind: str
    pattern: RGB
    period: float
    turn: float
    horizon: float
    seed: tuple[int, ...]
    colour_name: str


@dataclass(frozen=True)
class Scene:
    """A picture of ``width`` x ``height`` pixels; things from back to front. ``main`` is the one that it is about."""

    width: int
    height: int
    backdrop: Backdrop
    things: tuple[Thing, ...]
    main: int = 0


@lru_cache(maxsize=4096)
def instance(seed: int, category: int, number: int) -> Look:
    """The instance of that number of a category."""
    return look(stream(INSTANCE, seed, category, number))


_BACKS = ("sky", "mint", "sand", "cream", "pink", "lime", "teal", "violet", "grey", "blue", "coral", "yellow")
_KINDS = ("plain", "stripes", "checks", "dots", "waves", "rings", "ground", "ground", "hills", "hills", "plain")


def backdrop(rng: np.random.Generator, seed: tuple[int, ...]) -> Backdrop:
    """A background of pale colours."""
    name = _BACKS[int(rng.integers(len(_BACKS)))]
    other = _BACKS[int(rng.integers(len(_BACKS)))]
    base = blend(COLOURS[name], (255, 252, 246), 0.35 + 0.25 * rng.random())
    end = blend(base, blend(COLOURS[other], (255, 255, 250), 0.3), 0.5)
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    ground = blend(COLOURS[("green", "sand", "brown", "lime", "teal")[int(rng.integers(5))]], base, 0.35)
    pattern = ground if kind in ("ground", "hills") else blend(base, COLOURS[other], 0.35)
    return Backdrop(
        top=base,
        bottom=end,
        kind=kind,
        pattern=pattern,
        period=28 + 40 * rng.random(),
        turn=float(rng.integers(0, 12)) * 15,
        horizon=0.55 + 0.25 * rng.random(),
        seed=seed,
        colour_name=name,
    )
