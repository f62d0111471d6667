"""What a thing consists of: painted shapes that belong to named parts, and named points."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from .geometry import XY, Outline

RGB: TypeAlias = "tuple[int, int, int]"


@dataclass(frozen=True)
class Paint:
    """How a shape is painted: a texture of two colours. ``period`` is in units of the figure, ``turn`` in degrees."""

    colour: RGB
    second: RGB
    texture: str = "plain"
    period: float = 0.3
    turn: float = 0.0


@dataclass(frozen=True)
class Look:
    """What makes an instance: its paints and its proportions (four numbers in [-1, 1])."""

    main: Paint
    second: Paint
    accent: Paint
    dark: Paint
    light: Paint
    line: RGB
    build: tuple[float, float, float, float]
    colour_name: str
    texture_name: str


@dataclass(frozen=True)
class Pose:
    """How an instance holds itself: two numbers in [-1, 1]."""

    bend: float = 0.0
    swing: float = 0.0


@dataclass(frozen=True)
class Shape:
    """One painted outline of a part; ``edge`` is the width of the line around it, in units of the figure."""

    part: str
    outline: Outline
    paint: Paint
    edge: float


@dataclass(frozen=True)
class Mark:
    """A named point of a figure, and the part that it is a point of."""

    at: XY
    part: str


@dataclass
class Figure:
    """Shapes from back to front within about [-1, 1] in both directions, and named points."""

    shapes: list[Shape] = field(default_factory=list)
    marks: dict[str, Mark] = field(default_factory=dict)

    def fill(self, part: str, outline: Outline, paint: Paint, edge: float = 0.022) -> None:
        """Add a shape in front of those that are there."""
        self.shapes.append(Shape(part, outline, paint, edge))

    def mark(self, part: str, **points: XY) -> None:
        """Name points of a part; an underscore stands for a hyphen."""
        for name, at in points.items():
            self.marks[name.replace("_", "-")] = Mark((float(at[0]), float(at[1])), part)
