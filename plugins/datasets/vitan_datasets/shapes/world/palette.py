"""Colours with names, in combinations that go together, and the instances made of them."""

from __future__ import annotations

import numpy as np

from .figure import RGB, Look, Paint

COLOURS: dict[str, RGB] = {
    "red": (214, 72, 62),
    "coral": (240, 128, 104),
    "orange": (236, 146, 58),
    "yellow": (244, 198, 80),
    "lime": (164, 190, 84),
    "green": (76, 146, 92),
    "teal": (50, 142, 140),
    "sky": (122, 184, 222),
    "blue": (62, 108, 178),
    "navy": (42, 58, 100),
    "violet": (124, 94, 166),
    "pink": (232, 150, 176),
    "plum": (130, 62, 98),
    "brown": (136, 92, 64),
    "sand": (226, 202, 160),
    "cream": (250, 240, 218),
    "white": (248, 248, 244),
    "grey": (150, 154, 162),
    "charcoal": (58, 60, 72),
    "mint": (160, 214, 190),
}

#: main, second, accent, dark, light
PALETTES: tuple[tuple[str, str, str, str, str], ...] = (
    ("red", "cream", "yellow", "charcoal", "white"),
    ("blue", "sky", "orange", "navy", "white"),
    ("teal", "mint", "coral", "navy", "cream"),
    ("yellow", "orange", "red", "brown", "cream"),
    ("green", "lime", "yellow", "charcoal", "cream"),
    ("violet", "pink", "yellow", "navy", "white"),
    ("coral", "cream", "teal", "plum", "white"),
    ("orange", "sand", "blue", "brown", "cream"),
    ("sky", "white", "red", "navy", "cream"),
    ("pink", "plum", "mint", "plum", "white"),
    ("brown", "sand", "green", "charcoal", "cream"),
    ("plum", "coral", "sand", "charcoal", "cream"),
    ("navy", "sand", "coral", "charcoal", "white"),
    ("lime", "green", "pink", "brown", "cream"),
    ("white", "sky", "red", "charcoal", "cream"),
    ("grey", "white", "yellow", "charcoal", "cream"),
)

TEXTURES: dict[str, str] = {
    "plain": "plain",
    "stripes": "striped",
    "checks": "chequered",
    "dots": "dotted",
    "speckles": "speckled",
    "waves": "wavy",
    "rings": "ringed",
}


def look(rng: np.random.Generator) -> Look:
    """A new instance."""
    names = PALETTES[int(rng.integers(len(PALETTES)))]
    main, second, accent, dark, light = (COLOURS[name] for name in names)
    kinds = list(TEXTURES)
    texture = kinds[int(rng.integers(len(kinds)))]
    other = kinds[int(rng.integers(len(kinds)))] if rng.random() < 0.35 else "plain"
    period, turn = 0.18 + 0.16 * rng.random(), float(rng.integers(0, 12)) * 15
    build = tuple(float(value) for value in rng.random(4) * 2 - 1)
    return Look(
        main=Paint(main, second, texture, period, turn),
        second=Paint(second, blend(second, main, 0.35), other, 0.8 * period, turn + 45),
        accent=Paint(accent, blend(accent, light, 0.4)),
        dark=Paint(dark, blend(dark, main, 0.3)),
        light=Paint(light, blend(light, main, 0.2)),
        line=blend(dark, (20, 18, 26), 0.45),
        build=(build[0], build[1], build[2], build[3]),
        colour_name=names[0],
        texture_name=TEXTURES[texture],
    )


def blend(one: RGB, other: RGB, share: float) -> RGB:
    """``share`` of the other colour in the one."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
