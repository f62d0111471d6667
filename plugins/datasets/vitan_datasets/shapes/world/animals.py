"""Things that live. Side views look to the right."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Look, Pose
from .geometry import Outline, band, direction, disc, ellipse, mirrored, polygon, rotate, shifted, smooth, symmetric


def bird(look: Look, pose: Pose) -> Figure:
    """A songbird on two legs; it beats its wing and lifts its tail."""
    f, (fat, long, crest, _) = Figure(), look.build
    belly = 0.42 + 0.06 * fat
    for side, x in (("left", -0.02), ("right", 0.16)):
        foot = (x + 0.12 * pose.swing, 0.92)
        f.fill("legs", band([(x, 0.3), (x + 0.02, 0.6), foot], 0.06), look.accent, 0.012)
        f.fill("legs", polygon(foot, (foot[0] + 0.17, 0.96), (foot[0] - 0.08, 0.97)), look.accent, 0.012)
        f.mark("legs", **{f"{side}_foot": foot})
    lift = -18 * pose.swing
    tail = rotate(
        smooth((-0.42, -0.02), (-0.98 - 0.1 * long, -0.28), (-1.0, 0.0), (-0.84, 0.12), (-0.4, 0.2)), lift, (-0.4, 0.1)
    )
    f.fill("tail", tail, look.second)
    f.mark("tail", tail_tip=tail[9])
    f.fill("body", ellipse(-0.02, 0.12, 0.6, belly, -12), look.main)
    f.fill("body", ellipse(0.12, 0.24, 0.38, belly * 0.6, -20), look.light, 0)
    head = (0.44, -0.36)
    if crest > 0:
        for turn in (-25, 0, 25):
            f.fill(
                "head", rotate(polygon((0.36, -0.6), (0.3, -0.92), (0.5, -0.62)), turn - 20, head), look.accent, 0.014
            )
    f.fill("beak", polygon((0.66, -0.46), (0.98 + 0.1 * long, -0.3), (0.64, -0.22)), look.accent)
    f.fill("head", ellipse(*head, 0.31, 0.3), look.main)
    f.fill("head", ellipse(0.52, -0.42, 0.1, 0.1), look.light, 0.01)
    f.fill("head", ellipse(0.54, -0.42, 0.05, 0.055), look.dark, 0)
    wing = rotate(
        smooth((0.2, -0.06), (-0.1, -0.2), (-0.7, -0.12), (-0.84, 0.06), (-0.3, 0.34), (0.1, 0.28)),
        45 * pose.bend + 8, (0.16, 0.05),
    )  # fmt: skip
    f.fill("wing", wing, look.second)
    f.mark("wing", wing_tip=wing[20])
    f.mark("head", eye=(0.54, -0.42), crown=(0.42, -0.64))
    f.mark("beak", beak_tip=(0.96 + 0.1 * long, -0.31))
    f.mark("body", breast=(0.5, 0.06))
    return f


def fish(look: Look, pose: Pose) -> Figure:
    """A reef fish; its body and its tail swing."""
    f, (high, _, fin, spot) = Figure(), look.build
    h = 0.46 + 0.1 * high
    tail = rotate(
        smooth((-0.5, 0.0), (-0.74, -0.12), (-1.02, -0.46), (-0.92, 0.0), (-1.02, 0.46), (-0.74, 0.12)),
        26 * pose.bend,
        (-0.5, 0),
    )
    f.fill("tail", tail, look.second)
    dorsal = smooth((-0.4, -0.26), (-0.3 + 0.1 * pose.swing, -h - 0.32 - 0.1 * fin), (0.1, -h - 0.2), (0.34, -0.3))
    f.fill("dorsal-fin", dorsal, look.accent)
    belly = smooth((-0.06, 0.3), (-0.24 - 0.12 * pose.swing, h + 0.3), (0.02, h + 0.14), (0.2, 0.3))
    f.fill("belly-fin", belly, look.accent)
    back = [(0.62, -h * 0.62), (0.16, -h), (-0.36, -h * 0.56), (-0.62, -0.07)]
    body = smooth((0.84, 0.02), *back, *[(x, -y) for x, y in back[::-1]])
    f.fill("body", body, look.main)
    f.fill(
        "head",
        smooth((0.84, 0.02), (0.64, -h * 0.6), (0.42, -h * 0.8), (0.34, 0.0), (0.42, h * 0.8), (0.64, h * 0.6)),
        look.second,
    )
    if spot > 0:
        f.fill("body", ellipse(-0.22, -0.06, 0.1, 0.1), look.dark, 0)
    side = rotate(smooth((0.2, 0.06), (-0.1, -0.02), (-0.16, 0.22), (0.1, 0.24)), 30 * pose.swing, (0.2, 0.1))
    f.fill("side-fin", side, look.accent)
    f.fill("head", ellipse(0.56, -0.12, 0.11, 0.11), look.light, 0.012)
    f.fill("head", ellipse(0.58, -0.12, 0.06, 0.06), look.dark, 0)
    f.fill("head", band([(0.84, 0.06), (0.74, 0.12), (0.66, 0.1)], 0.035), look.dark, 0)
    f.mark("head", mouth=(0.8, 0.06), eye=(0.58, -0.12))
    f.mark("tail", tail_top=tail[12], tail_bottom=tail[24])
    f.mark("dorsal-fin", dorsal_tip=dorsal[6])
    f.mark("belly-fin", belly_tip=belly[6])
    f.mark("side-fin", side_fin_tip=side[12])
    return f


def butterfly(look: Look, pose: Pose) -> Figure:
    """A butterfly from above; it opens and closes its wings."""
    f, (wide, low, spots, _) = Figure(), look.build
    open_ = 0.86 + 0.14 * pose.bend
    fore = smooth(
        (-0.04, -0.24), (-0.42, -0.84), (-0.86 - 0.08 * wide, -0.8), (-0.9, -0.4), (-0.5, -0.04), (-0.06, 0.0)
    )
    hind = smooth((-0.05, 0.0), (-0.56, 0.0), (-0.72, 0.34), (-0.48, 0.74 + 0.1 * low), (-0.2, 0.5), (-0.05, 0.2))
    turn = 7 * pose.swing
    for side in ("left", "right"):

        def place(outline: Outline, side: str = side) -> Outline:
            folded = rotate(outline, turn)
            folded = np.stack([folded[:, 0] * open_, folded[:, 1]], axis=1)
            return folded if side == "left" else mirrored(folded)

        hindwing, forewing = place(hind), place(fore)
        f.fill(f"{side}-hindwing", hindwing, look.second)
        f.fill(f"{side}-hindwing", place(ellipse(-0.46, 0.4, 0.1, 0.13)), look.accent, 0.012)
        f.fill(f"{side}-forewing", forewing, look.main)
        f.fill(f"{side}-forewing", place(ellipse(-0.62, -0.58, 0.12 + 0.03 * spots, 0.1)), look.accent, 0.012)
        f.fill(f"{side}-forewing", place(ellipse(-0.62, -0.58, 0.05, 0.045)), look.dark, 0)
        f.mark(f"{side}-forewing", **{f"{side}_forewing_tip": forewing[12]})
        f.mark(f"{side}-hindwing", **{f"{side}_hindwing_tip": hindwing[18]})
        feeler = place(smooth((-0.02, -0.4), (-0.1, -0.66), (-0.26, -0.82), closed=False))
        f.fill("feelers", band(feeler, 0.035), look.dark, 0)
        f.fill("feelers", disc(feeler[-1], 0.04), look.dark, 0)
        f.mark("feelers", **{f"{side}_feeler": feeler[-1]})
    f.fill("body", smooth((0, -0.34), (0.08, -0.16), (0.06, 0.1), (0.0, 0.56), (-0.06, 0.1), (-0.08, -0.16)), look.dark)
    f.fill("head", ellipse(0, -0.38, 0.09, 0.08), look.dark)
    f.mark("head", head=(0, -0.38))
    f.mark("body", tail=(0, 0.52))
    return f


def cat(look: Look, pose: Pose) -> Figure:
    """A sitting cat that looks at you; it tilts its head and moves its tail."""
    f, (fat, ear, snout, _) = Figure(), look.build
    c, s = direction(-30 - 40 * pose.bend)
    tail = smooth(
        (0.36, 0.8), (0.68, 0.74), (0.66 + 0.24 * c, 0.5 + 0.24 * s), (0.7 + 0.3 * c, 0.3 + 0.5 * s), closed=False
    )
    f.fill("tail", band(tail, 0.2, 0.12), look.main)
    f.fill("tail", disc(tail[-1], 0.075), look.light, 0.016)
    w = 0.44 + 0.08 * fat
    flank = [(w * 0.7, 0.1), (w * 1.15, 0.62), (w * 0.9, 0.94)]
    f.fill("body", symmetric((0, -0.14), *flank), look.main)
    f.fill("body", ellipse(0, 0.4, 0.2, 0.3), look.light, 0)
    for side, x in (("left", -0.17), ("right", 0.17)):
        f.fill("paws", smooth((x - 0.12, 0.5), (x + 0.12, 0.5), (x + 0.13, 0.94), (x - 0.13, 0.94)), look.main, 0.016)
        f.fill("paws", ellipse(x, 0.9, 0.15, 0.08), look.light, 0.016)
        f.mark("paws", **{f"{side}_paw": (x, 0.9)})
    tilt, neck, up = 14 * pose.swing, (0.0, -0.1), 0.98 + 0.08 * ear

    def turn(outline: Outline) -> Outline:
        return rotate(outline, tilt, neck)

    for side, sign in (("left", -1), ("right", 1)):
        one = turn(polygon((sign * 0.44, -0.42), (sign * 0.42, -up), (sign * 0.1, -0.68)))
        f.fill("ears", one, look.main)
        f.fill(
            "ears", turn(polygon((sign * 0.38, -0.55), (sign * 0.38, -up + 0.14), (sign * 0.2, -0.68))), look.accent, 0
        )
        f.mark("ears", **{f"{side}_ear": one[1]})
    cheek = [(0.34, -0.64), (0.48, -0.36), (0.3, -0.08), (0, -0.02)]
    f.fill("head", turn(symmetric((0, -0.74), *cheek)), look.main)
    f.fill("head", turn(ellipse(0, -0.2, 0.2 + 0.03 * snout, 0.13)), look.light, 0)
    for side, x in (("left", -0.2), ("right", 0.2)):
        f.fill("head", turn(ellipse(x, -0.4, 0.095, 0.1)), look.light, 0.014)
        f.fill("head", turn(ellipse(x, -0.4, 0.045, 0.08)), look.dark, 0)
        f.mark("head", **{f"{side}_eye": turn(polygon((x, -0.4)))[0]})
        for y in (-0.22, -0.16):
            f.fill("head", turn(band([(x * 0.6, y), (x * 2.9, y - 0.06 + (y + 0.19) * 2)], 0.018)), look.dark, 0)
    f.fill("head", turn(polygon((-0.06, -0.28), (0.06, -0.28), (0, -0.2))), look.accent, 0.012)
    f.mark("head", nose=turn(polygon((0, -0.25)))[0])
    f.mark("tail", tail_tip=tail[-1])
    return f


def flower(look: Look, pose: Pose) -> Figure:
    """A flower that bends in the wind."""
    f, (many, wide, leafy, _) = Figure(), look.build
    head = (0.3 * pose.bend, -0.36)
    stem = smooth((0, 0.98), (-0.04 - 0.08 * pose.bend, 0.5), (0.12 * pose.bend, 0.1), head, closed=False)
    green = look.dark
    for side, sign in (("left", -1), ("right", 1)):
        lift = sign * (24 * pose.swing - 18)
        leaf = rotate(
            smooth((0, 0.66), (sign * 0.3, 0.42), (sign * (0.64 + 0.08 * leafy), 0.46), (sign * 0.36, 0.68)),
            lift,
            (0, 0.66),
        )
        f.fill(f"{side}-leaf", leaf, look.second)
        f.mark(f"{side}-leaf", **{f"{side}_leaf_tip": leaf[12]})
    f.fill("stem", band(stem, 0.09, 0.07), green)
    n = 6 + round(1.5 * (many + 1))
    for i in range(n):
        turn = 360 * i / n - 90
        petal = ellipse(0.36, 0, 0.27, 0.15 + 0.03 * wide)
        f.fill("petals", shifted(rotate(petal, turn), head), look.main, 0.018)
    f.fill("centre", ellipse(*head, 0.2, 0.2), look.accent)
    f.fill("centre", ellipse(head[0], head[1], 0.1, 0.1), look.light, 0.0)
    f.mark("centre", centre=head)
    for name, share in {"top": 0.0, "right": 0.25, "lower": 0.5, "left": 0.75}.items():
        c, s = direction(360 * round(n * share) / n - 90)  # in the middle of the petal nearest to there
        f.mark("petals", **{f"{name}_petal": (head[0] + 0.46 * c, head[1] + 0.46 * s)})
    f.mark("stem", foot=(0, 0.95))
    return f
