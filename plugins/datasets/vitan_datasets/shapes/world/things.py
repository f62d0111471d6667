"""Things that people make."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Look, Pose
from .geometry import Outline, band, box, direction, disc, ellipse, polygon, rotate, shifted, smooth, symmetric


def house(look: Look, pose: Pose) -> Figure:
    """A house from the front; its door opens."""
    f, (wide, steep, chimney, _) = Figure(), look.build
    w, ridge = 0.7 + 0.1 * wide, -0.86 - 0.1 * steep
    x = 0.34 + 0.1 * chimney
    f.fill("chimney", polygon((x, -0.2), (x, -0.88), (x + 0.2, -0.88), (x + 0.2, -0.2)), look.dark)
    f.fill("chimney", box(x - 0.03, -0.92, x + 0.23, -0.82), look.dark)
    f.fill("walls", box(-w, -0.16, w, 0.92), look.main)
    f.fill("walls", box(-w, 0.8, w, 0.92), look.dark, 0.014)
    f.fill("roof", polygon((-w - 0.2, -0.06), (-0.12, ridge), (0.12, ridge), (w + 0.2, -0.06)), look.second)
    f.fill("roof", ellipse(0, -0.42, 0.13, 0.13), look.light)
    for side, sign in (("left", -1), ("right", 1)):
        c = sign * w * 0.62
        f.fill(
            f"{side}-window",
            box(c - 0.18, 0.12, c + 0.18, 0.52),
            look.light,
        )
        f.fill(
            f"{side}-window",
            box(c - 0.015, 0.12, c + 0.015, 0.52),
            look.dark,
            0,
        )
        f.fill(
            f"{side}-window",
            box(c - 0.18, 0.31, c + 0.18, 0.34),
            look.dark,
            0,
        )
        f.mark(f"{side}-window", **{f"{side}_window": (c, 0.32)})
        f.mark("roof", **{f"{side}_eave": (sign * (w + 0.16), -0.09)})
        f.mark("walls", **{f"{side}_corner": (sign * w * 0.98, 0.9)})
    f.fill("door", box(-0.16, 0.24, 0.16, 0.92), look.dark)
    ajar = 0.16 - 0.32 * (0.72 + 0.25 * pose.bend)
    slant = 0.06 + 0.03 * pose.bend
    f.fill("door", polygon((0.16, 0.24), (ajar, 0.24 + slant), (ajar, 0.92 + slant * 0.4), (0.16, 0.92)), look.accent)
    knob = (ajar + 0.06, 0.62)
    f.fill("door", disc(knob, 0.035), look.light, 0.01)
    f.mark("door", knob=knob)
    f.mark("roof", ridge=(0, ridge + 0.03), round_window=(0, -0.42))
    f.mark("chimney", chimney_top=(x + 0.1, -0.88))
    return f


def chair(look: Look, pose: Pose) -> Figure:
    """A chair, a little from the side; its back leans."""
    f, (tall, wide, rails, _) = Figure(), look.build
    w, top = 0.5 + 0.06 * wide, -0.9 - 0.08 * tall
    lean = 0.12 + 0.16 * pose.bend
    sway = 0.06 * pose.swing
    back_left, back_right = (-w + 0.16, 0.02), (w + 0.16, 0.02)
    front_left, front_right = (-w - 0.08, 0.3), (w - 0.08, 0.3)
    for name, (x, y), drop in (
        ("back-left-leg", back_left, 0.76), ("back-right-leg", back_right, 0.76),
    ):  # fmt: skip
        foot = (x + 0.06, y + drop)
        f.fill("legs", band([(x, y), foot], 0.1, 0.07), look.dark)
        f.mark("legs", **{name.replace("-leg", "_foot").replace("-", "_"): (foot[0], foot[1] - 0.02)})
    top_left, top_right = (back_left[0] + lean, top), (back_right[0] + lean, top)
    f.fill(
        "back",
        polygon(top_left, top_right, (back_right[0] + 0.35 * lean, -0.34), (back_left[0] + 0.35 * lean, -0.34)),
        look.main,
    )
    for (x, y), (tx, ty) in ((back_left, top_left), (back_right, top_right)):
        f.fill("back", band([(x, y + 0.04), (tx, ty - 0.06)], 0.1), look.dark)
    for k in range(2 + (rails > 0)):
        t = 0.3 + 0.4 * k / (1 + (rails > 0))
        x = back_left[0] + t * (back_right[0] - back_left[0]) + 0.05
        f.fill("back", band([(x, 0.0), (x + 0.35 * lean, -0.36)], 0.06), look.dark, 0.014)
    f.fill("seat", polygon(back_left, back_right, front_right, front_left), look.second)
    edge = polygon(front_left, front_right, (front_right[0], 0.4), (front_left[0], 0.4))
    f.fill("seat", edge, look.dark)
    for name, (x, y) in (("front_left_foot", front_left), ("front_right_foot", front_right)):
        at = x + (0.08 if "left" in name else -0.08)
        foot = (at + sway, 0.98)
        f.fill("legs", band([(at, y + 0.09), foot], 0.12, 0.08), look.dark)
        f.mark("legs", **{name: (foot[0], 0.95)})
    f.mark("back", back_left_top=(top_left[0], top_left[1] - 0.02), back_right_top=(top_right[0], top_right[1] - 0.02))
    f.mark("seat", seat_front_left=(front_left[0] + 0.02, 0.31), seat_front_right=(front_right[0] - 0.02, 0.31))
    return f


def lamp(look: Look, pose: Pose) -> Figure:
    """A desk lamp with two joints."""
    f, (long, shade, foot, _) = Figure(), look.build
    base = (-0.34, 0.84)
    c, s = direction(-100 + 22 * pose.bend)
    one = 0.78 + 0.06 * long
    elbow = (base[0] + one * c, base[1] + one * s)
    c, s = direction(-40 + 22 * pose.swing)
    head = (elbow[0] + 0.74 * c, elbow[1] + 0.74 * s)
    w = 0.42 + 0.06 * foot
    f.fill(
        "base",
        smooth(
            (base[0] - w, 0.96), (base[0] - 0.26, 0.82), (base[0], 0.76), (base[0] + 0.26, 0.82), (base[0] + w, 0.96)
        ),
        look.main,
    )
    f.fill("lower-arm", band([base, elbow], 0.09), look.dark)
    f.fill("upper-arm", band([elbow, head], 0.09), look.dark)
    f.fill("base", disc(base, 0.1), look.accent)
    f.fill("lower-arm", disc(elbow, 0.09), look.accent)
    tilt = 30 + 24 * pose.swing - 14 * pose.bend
    size = 1 + 0.12 * shade

    def turn(outline: Outline) -> Outline:
        return shifted(rotate(size * outline, tilt), head)

    bulb = turn(ellipse(0, 0.34, 0.16, 0.16))
    f.fill("bulb", bulb, look.light)
    cone = turn(smooth((-0.1, -0.16), (0.1, -0.16), (0.22, 0.04), (0.4, 0.34), (-0.4, 0.34), (-0.22, 0.04)))
    f.fill("shade", cone, look.main)
    f.fill("shade", turn(box(-0.1, -0.26, 0.1, -0.12)), look.accent)
    left, right, top, low = turn(polygon((-0.4, 0.33), (0.4, 0.33), (0, -0.24), (0, 0.48)))
    f.mark("shade", shade_left=left, shade_right=right, shade_top=top)
    f.mark("bulb", bulb=low)
    f.mark("lower-arm", elbow=elbow)
    f.mark("base", joint=base, base_left=(base[0] - w + 0.06, 0.94), base_right=(base[0] + w - 0.06, 0.94))
    return f


def mug(look: Look, pose: Pose) -> Figure:
    """A mug that steams."""
    f, (wide, tall, ear, _) = Figure(), look.build
    w, top, narrow = 0.52 + 0.06 * wide, -0.4 - 0.08 * tall, 0.88
    out = 0.32 + 0.08 * ear
    ring = smooth((w - 0.04, top + 0.22), (w + out, top + 0.24), (w + out + 0.06, 0.34), (w - 0.1, 0.56), closed=False)
    f.fill("handle", band(ring, 0.17), look.second)
    f.mark("handle", handle_top=ring[6], handle_outer=ring[9], handle_bottom=ring[12])
    body = np.concatenate([
        polygon((-w, top), (w, top)), ellipse(0, 0.84, w * narrow, 0.12, 0, 0, 180),
    ])  # fmt: skip
    f.fill("body", body, look.main)
    f.fill(
        "body",
        polygon((-w * 0.99, top + 0.2), (w * 0.99, top + 0.2), (w * 0.985, top + 0.28), (-w * 0.985, top + 0.28)),
        look.accent,
        0,
    )
    f.fill("rim", ellipse(0, top, w, 0.14), look.light)
    f.fill("drink", ellipse(0, top + 0.02, w * 0.84, 0.09), look.dark, 0.014)
    for x in (-0.18, 0.14):
        lean, lift = 0.1 * pose.bend, 0.05 * pose.swing
        sway = [(x, -0.04), (x + 0.1 + lean, -0.2), (x - 0.08 + 2 * lean, -0.34), (x + 0.04 + 3 * lean, -0.5 - lift)]
        wisp = smooth(*[(x, top + y) for x, y in sway], closed=False)
        f.fill("steam", band(wisp, 0.09, 0.03), look.light, 0.014)
    f.mark("rim", rim_left=(-w + 0.02, top), rim_right=(w - 0.02, top))
    f.mark("body", base_left=(-w * narrow + 0.03, 0.84), base_right=(w * narrow - 0.03, 0.84), middle=(0, 0.3))
    return f


def umbrella(look: Look, pose: Pose) -> Figure:
    """An open umbrella; it opens further and closes."""
    f, (round_, crook, _, _) = Figure(), look.build
    open_ = 0.88 + 0.12 * pose.bend
    rim, top = 0.02, -0.78 - 0.04 * round_
    hook = smooth(
        (0, 0.62), (0.0, 0.82), (0.12, 0.95), (0.26 + 0.04 * crook, 0.86), (0.27 + 0.04 * crook, 0.74), closed=False
    )
    f.fill("shaft", band([(0, top - 0.14), (0, 0.66)], 0.05), look.dark, 0.014)
    f.fill("handle", band(hook, 0.1), look.accent)
    ribs = np.array([-0.98, -0.5, 0.0, 0.5, 0.98]) * open_
    sag = 0.1 + 0.06 * pose.swing
    for i in range(4):
        left, right = float(ribs[i]), float(ribs[i + 1])
        middle = (left + right) / 2
        low = smooth((left, rim), (middle, rim - sag), (right, rim), closed=False)
        sides = (_rib(left, rim, top), _rib(right, rim, top))
        panel = np.concatenate([low, sides[1], sides[0][::-1]])
        f.fill("canopy", panel, look.main if i % 2 == 0 else look.second)
    f.fill("tip", polygon((-0.035, top + 0.02), (0.0, top - 0.2), (0.035, top + 0.02)), look.accent, 0.014)
    f.mark("tip", tip=(0, top - 0.16))
    f.mark("canopy", left_rim=(float(ribs[0]) + 0.02, rim - 0.02), right_rim=(float(ribs[4]) - 0.02, rim - 0.02))
    f.mark("canopy", left_rib=(float(ribs[1]), rim - 0.02), right_rib=(float(ribs[3]), rim - 0.02))
    f.mark("handle", crook=hook[12], handle_end=hook[-1])
    return f


def _rib(x: float, rim: float, top: float) -> Outline:
    """A quarter of an ellipse from the rim to the top."""
    steps = np.radians(np.linspace(0, 90, 9))
    c, s = np.round(np.cos(steps), 9), np.round(np.sin(steps), 9)
    return np.asarray(np.stack([x * c, rim + (top - rim) * s], axis=1), dtype=np.float64)


def guitar(look: Look, pose: Pose) -> Figure:
    """A guitar, upright."""
    f, (waist, wide, _, _) = Figure(), look.build
    w, nip = 0.5 + 0.05 * wide, 0.3 + 0.05 * waist
    lean = 0.06 * pose.swing
    head = polygon((-0.1, -0.98), (0.1, -0.98), (0.08, -0.72), (-0.08, -0.72))
    f.fill("head", head, look.dark)
    for side, sign in (("left", -1), ("right", 1)):
        for y in (-0.92, -0.8):
            f.fill("pegs", ellipse(sign * 0.14, y, 0.05, 0.035, 30 * pose.bend), look.light, 0.012)
        f.mark("pegs", **{f"{side}_peg": (sign * 0.14, -0.92)})
    half = [(0.0, -0.12), (0.24, -0.14), (0.38, 0.04), (nip, 0.26), (w, 0.52), (w * 0.8, 0.86), (0.0, 0.96)]
    f.fill("body", symmetric(*half), look.main)
    f.fill("body", ellipse(0, 0.32, 0.16, 0.16), look.dark)
    f.fill("neck", polygon((-0.06, -0.74), (0.06, -0.74), (0.07, 0.2), (-0.07, 0.2)), look.second)
    for y in (-0.6, -0.46, -0.32, -0.18):
        f.fill("neck", box(-0.065, y, 0.065, y + 0.02), look.light, 0)
    f.fill("bridge", box(-0.18, 0.64, 0.18, 0.72), look.dark, 0.012)
    strap = smooth((w * 0.7, 0.84), (w + 0.2 + lean * 2, 0.4), (0.5 + lean, -0.3), (0.06, -0.66), closed=False)
    f.fill("strap", band(strap, 0.06), look.accent, 0.012)
    f.mark("head", head=(0, -0.94))
    f.mark("body", hole=(0, 0.32), left_hip=(-w + 0.02, 0.54), right_hip=(w - 0.02, 0.54), foot=(0, 0.93))
    f.mark("bridge", bridge=(0, 0.68))
    f.mark("neck", nut=(0, -0.72))
    return f
