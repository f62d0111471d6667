"""The films of ``shapes-video``: things that move, hide one another, change their posture and size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .categories import CATEGORIES
from .figure import Pose
from .geometry import Placing, direction
from .painting import draw
from .scene import FILM, Backdrop, Scene, Thing, backdrop, instance, stream

_ATTEMPTS = 12
_CLEAR = 0.6  # of each thing must be visible in the first frame


@dataclass(frozen=True)
class Studio:
    """What decides all films: the seed, how many frames they have, and the size in pixels."""

    seed: int
    frames: int
    width: int
    height: int


@dataclass(frozen=True)
class Path:
    """How one thing moves: what goes to and fro does so around a middle, so far, so often in the film, from a phase.

    Positions and scale are in heights of the picture, phases in degrees. Where ``leaves``, the thing is beyond the edge
    in the middle of the film.
    """

    category: int
    number: int
    scale: float
    x: tuple[float, float, float, float]
    y: tuple[float, float, float, float]
    turn: tuple[float, float, float, float]
    bend: tuple[float, float, float, float]
    swing: tuple[float, float, float, float]
    grow: tuple[float, float, float, float]
    mirror: bool
    leaves: bool

    def thing(self, studio: Studio, share: float) -> Thing:
        """The thing when ``share`` of the film is over."""
        h, x = studio.height, _sway(self.x, share)
        if self.leaves:  # out by the nearer side and back
            away = max(0.0, 1.0 - abs(share - 0.5) / 0.3)
            out = away * away * (3 - 2 * away)
            beyond = -0.7 if self.x[0] < 0.5 * studio.width / h else studio.width / h + 0.7
            x += out * (beyond - x)
        turn = _sway(self.turn, share)
        placing = Placing.at(
            x * h, _sway(self.y, share) * h, self.scale * _sway(self.grow, share) * h, turn, self.mirror
        )
        pose = Pose(_sway(self.bend, share), _sway(self.swing, share))
        return Thing(self.category, instance(studio.seed, self.category, self.number), pose, placing)


@dataclass(frozen=True)
class Film:
    """A backdrop, and the paths of things from back to front; object ``k`` of the masks is number ``k - 1`` here."""

    name: str
    backdrop: Backdrop
    paths: tuple[Path, ...]

    def scene(self, studio: Studio, frame: int) -> Scene:
        """What one frame shows."""
        share = frame / studio.frames
        things = tuple(path.thing(studio, share) for path in self.paths)
        return Scene(studio.width, studio.height, self.backdrop, things)


@lru_cache(maxsize=1024)
def film(studio: Studio, number: int) -> Film:
    """The film of that number; the first arrangement in which all things are clear to see at the start is taken."""
    best, most = _arrange(studio, number, 0), 0.0
    for attempt in range(_ATTEMPTS):
        made = _arrange(studio, number, attempt)
        clear = _clarity(studio, made)
        if clear > most:
            best, most = made, clear
        if clear >= _CLEAR:
            break
    return best


def _clarity(studio: Studio, made: Film) -> float:
    """The smallest share of a thing that the first frame shows."""
    scene = made.scene(studio, 0)
    stencil = draw(scene)
    shares = []
    for k, thing in enumerate(scene.things):
        alone = draw(Scene(scene.width, scene.height, scene.backdrop, (thing,)))
        whole = thing.placing.scale**2  # a thing half beyond the edge is not clear either
        shares.append(min(stencil.area(k) / max(alone.area(0), 1e-6), 3 * stencil.area(k) / whole))
    return min(shares)


def _arrange(studio: Studio, number: int, attempt: int) -> Film:
    rng = stream(FILM, studio.seed, number, attempt)
    count = 2 + number % 3
    kinds = stream(FILM, studio.seed, number).permutation(len(CATEGORIES))[:count]
    wide = studio.width / studio.height
    paths = []
    for k, category in enumerate(int(kind) for kind in kinds):
        start = wide * (k + 0.5 + 0.3 * (rng.random() - 0.5)) / count
        paths.append(_path(category, start, wide, rng, leaves=number % 3 == 1 and k == 0))
    order = rng.permutation(count)
    name = f"film-{number:02}-" + "-".join(CATEGORIES[int(kind)].name for kind in kinds)
    return Film(name, backdrop(rng, (FILM, studio.seed, number, attempt, 1)), tuple(paths[i] for i in order))


def _path(category: int, start: float, wide: float, rng: np.random.Generator, *, leaves: bool) -> Path:
    kind = CATEGORIES[category]
    dice = rng.random(16)
    far = 0.3 * wide * (1 if start < wide / 2 else -1)  # towards the middle, where things meet

    def to_and_fro(middle: float, far: float, often: float, phase: float) -> tuple[float, float, float, float]:
        return float(middle), float(far), float(often), float(phase)

    return Path(
        category=category,
        number=2000 + int(rng.integers(1 << 20)),
        scale=float(0.2 + 0.08 * dice[0]),
        x=to_and_fro(start + far, -far, 0.5 + 0.5 * dice[1], 0),
        y=to_and_fro(0.5 + 0.12 * (dice[2] - 0.5), 0.14 * dice[3] + 0.04, 0.5 + dice[4], 360 * dice[5]),
        turn=to_and_fro(0, kind.tilt * 0.6, 0.5 + dice[6], 360 * dice[7]),
        bend=to_and_fro(0, 0.95, 1 + dice[8], 360 * dice[9]),
        swing=to_and_fro(0, 0.9, 0.7 + dice[10], 360 * dice[11]),
        grow=to_and_fro(1.0, 0.22 * dice[12], 0.6 + 0.5 * dice[13], 360 * dice[14]),
        mirror=bool(kind.side and far < 0),
        leaves=leaves,
    )


def _sway(wave: tuple[float, float, float, float], share: float) -> float:
    middle, far, often, phase = wave
    return middle + far * direction(360 * often * share + phase)[0]
