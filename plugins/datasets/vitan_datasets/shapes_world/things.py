"""Things that people make."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Look, Pose
from .geometry import XY, Outline, band, direction, ellipse, polygon, rotate, smooth


def house(look: Look, pose: Pose) -> Figure:
    """A house from the front; its door opens."""
    f, (wide, steep, chimney, _) = Figure(), look.build
    w, ridge = 0.7 + 0.1 * wide, -0.86 - 0.1 * steep
    x = 0.34 + 0.1 * chimney
    f.fill("chimney", polygon((x, -0.2), (x, -0.88), (x + 0.2, -0.88), (x + 0.2, -0.2)), look.dark)
    f.fill("chimney", polygon((x - 0.03, -0.92), (x + 0.23, -0.92), (x + 0.23, -0.82), (x - 0.03, -0.82)), look.dark)
    f.fill("walls", polygon((-w, -0.16), (w, -0.16), (w, 0.92), (-w, 0.92)), look.main)
    f.fill("walls", polygon((-w, 0.8), (w, 0.8), (w, 0.92), (-w, 0.92)), look.dark, 0.014)
    f.fill("roof", polygon((-w - 0.2, -0.06), (-0.12, ridge), (0.12, ridge), (w + 0.2, -0.06)), look.second)
    f.fill("roof", ellipse(0, -0.42, 0.13, 0.13), look.light)
    for side, sign in (("left", -1), ("right", 1)):
        c = sign * w * 0.62
        f.fill(
            f"{side}-window",
            polygon((c - 0.18, 0.12), (c + 0.18, 0.12), (c + 0.18, 0.52), (c - 0.18, 0.52)),
            look.light,
        )
        f.fill(
            f"{side}-window",
            polygon((c - 0.015, 0.12), (c + 0.015, 0.12), (c + 0.015, 0.52), (c - 0.015, 0.52)),
            look.dark,
            0,
        )
        f.fill(
            f"{side}-window",
            polygon((c - 0.18, 0.31), (c + 0.18, 0.31), (c + 0.18, 0.34), (c - 0.18, 0.34)),
            look.dark,
            0,
        )
        f.mark(f"{side}-window", **{f"{side}_window": (c, 0.32)})
        f.mark("roof", **{f"{side}_eave": (sign * (w + 0.16), -0.09)})
        f.mark("walls", **{f"{side}_corner": (sign * w * 0.98, 0.9)})
    f.fill("door", polygon((-0.16, 0.24), (0.16, 0.24), (0.16, 0.92), (-0.16, 0.92)), look.dark)
    ajar = 0.16 - 0.32 * (0.72 + 0.25 * pose.bend)
    slant = 0.06 + 0.03 * pose.bend
    f.fill("door", polygon((0.16, 0.24), (ajar, 0.24 + slant), (ajar, 0.92 + slant * 0.4), (0.16, 0.92)), look.accent)
    knob = (ajar + 0.06, 0.62)
    f.fill("door", ellipse(*knob, 0.035, 0.035), look.light, 0.01)
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
    f.fill("base", ellipse(*base, 0.1, 0.1), look.accent)
    f.fill("lower-arm", ellipse(*elbow, 0.09, 0.09), look.accent)
    tilt = 30 + 24 * pose.swing - 14 * pose.bend
    size = 1 + 0.12 * shade

    def turn(outline: Outline) -> Outline:
        return rotate(outline * size, tilt) + np.array(head)

    bulb = turn(ellipse(0, 0.34, 0.16, 0.16))
    f.fill("bulb", bulb, look.light)
    cone = turn(smooth((-0.1, -0.16), (0.1, -0.16), (0.22, 0.04), (0.4, 0.34), (-0.4, 0.34), (-0.22, 0.04)))
    f.fill("shade", cone, look.main)
    f.fill("shade", turn(polygon((-0.1, -0.26), (0.1, -0.26), (0.1, -0.12), (-0.1, -0.12))), look.accent)
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
        lean = 0.1 * pose.bend
        wisp = smooth((x, top - 0.04), (x + 0.1 + lean, top - 0.2), (x - 0.08 + lean * 2, top - 0.34), (x + 0.04 + lean * 3, top - 0.5 - 0.05 * pose.swing), closed=False)  # fmt: skip
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
    return np.stack([x * c, rim + (top - rim) * s], axis=1)


def car(look: Look, pose: Pose) -> Figure:
    """A car from the side; its wheels turn and it dips on its springs."""
    f, (long, high, boxy, _) = Figure(), look.build
    dip, roof = 0.05 * pose.swing, -0.5 - 0.08 * high
    nose, rear = 0.98, -0.98
    cabin = smooth(
        (-0.62 - 0.08 * boxy, 0.0),
        (-0.46 - 0.1 * boxy, roof + 0.06),
        (-0.1, roof),
        (0.2, roof + 0.04),
        (0.5 + 0.04 * long, 0.0),
        steps=5,
    )
    f.fill("cabin", cabin + np.array([0, dip]), look.main)
    for points in (((-0.5, -0.06), (-0.38 - 0.06 * boxy, roof + 0.12), (-0.08, roof + 0.1), (-0.08, -0.06)),
                   ((0.0, -0.06), (0.0, roof + 0.1), (0.16, roof + 0.14), (0.38, -0.06))):  # fmt: skip
        f.fill("windows", polygon(*points) + np.array([0, dip]), look.light)
    body = smooth((rear, 0.12), (rear + 0.06, -0.04), (-0.6, -0.08), (0.4, -0.08), (0.82, 0.0), (nose, 0.16), (nose, 0.38), (0.0, 0.44), (rear, 0.4))  # fmt: skip
    f.fill("body", body + np.array([0, dip]), look.main)
    f.fill(
        "body",
        polygon(
            (rear + 0.04, 0.24 + dip), (nose - 0.02, 0.24 + dip), (nose - 0.02, 0.32 + dip), (rear + 0.04, 0.32 + dip)
        ),
        look.second,
        0,
    )
    f.fill("body", band([(-0.04, -0.04 + dip), (-0.04, 0.4 + dip)], 0.02), look.dark, 0)
    f.fill(
        "body", polygon((-0.24, 0.06 + dip), (-0.1, 0.06 + dip), (-0.1, 0.1 + dip), (-0.24, 0.1 + dip)), look.dark, 0
    )
    f.fill("lights", ellipse(nose - 0.07, 0.16 + dip, 0.07, 0.07), look.accent, 0.014)
    f.fill(
        "lights",
        polygon(
            (rear + 0.01, 0.06 + dip), (rear + 0.1, 0.06 + dip), (rear + 0.1, 0.18 + dip), (rear + 0.01, 0.18 + dip)
        ),
        look.accent,
        0.014,
    )
    for name, x in (("rear", -0.54), ("front", 0.56)):
        _wheel(f, f"{name}-wheel", (x, 0.44), 0.24, look, 90 * pose.bend)
        f.mark(f"{name}-wheel", **{f"{name}_hub": (x, 0.44), f"{name}_wheel_foot": (x, 0.66)})
    f.mark("lights", headlight=(nose - 0.07, 0.16 + dip), tail_light=(rear + 0.06, 0.12 + dip))
    f.mark("cabin", roof_front=(0.22, roof + 0.06 + dip), roof_rear=(-0.44 - 0.1 * boxy, roof + 0.09 + dip))
    return f


def _wheel(f: Figure, part: str, hub: XY, radius: float, look: Look, turn: float) -> None:
    f.fill(part, ellipse(*hub, radius, radius), look.dark)
    f.fill(part, ellipse(*hub, radius * 0.6, radius * 0.6), look.light, 0.012)
    for spoke in (0, 60, 120):
        c, s = direction(spoke + turn)
        r = radius * 0.58
        f.fill(part, band([(hub[0] - r * c, hub[1] - r * s), (hub[0] + r * c, hub[1] + r * s)], 0.025), look.dark, 0)
    f.fill(part, ellipse(*hub, radius * 0.2, radius * 0.2), look.accent, 0.01)


def bicycle(look: Look, pose: Pose) -> Figure:
    """A bicycle from the side; the pedals go round."""
    f, (big, step, basket, _) = Figure(), look.build
    r = 0.4 + 0.03 * big
    rear, front, crank = (-0.58, 0.42), (0.6, 0.42), (-0.06, 0.42)
    for name, hub in (("rear", rear), ("front", front)):
        part = f"{name}-wheel"
        ring = np.concatenate([ellipse(*hub, r, r, 0, 0, 359.9), ellipse(*hub, r * 0.82, r * 0.82, 0, 0, 359.9)[::-1]])
        f.fill(part, ring, look.dark, 0.008)
        for spoke in (0, 45, 90, 135):
            c, s = direction(spoke + 60 * pose.bend)
            k = r * 0.84
            f.fill(
                part, band([(hub[0] - k * c, hub[1] - k * s), (hub[0] + k * c, hub[1] + k * s)], 0.022), look.light, 0
            )
        f.fill(part, ellipse(*hub, 0.06, 0.06), look.accent, 0.01)
        f.mark(part, **{f"{name}_hub": hub})
        f.mark(part, **{f"{name}_wheel_foot": (hub[0], hub[1] + r * 0.91)})
    seat, head = (-0.24, -0.26), (0.42, -0.28 + 0.06 * step)
    for start, stop in ((rear, crank), (rear, seat), (crank, seat), (crank, head), (seat, head)):
        f.fill("frame", band([start, stop], 0.085), look.main, 0.016)
    f.fill("fork", band([(head[0] - 0.02, head[1] - 0.08), front], 0.075), look.main, 0.016)
    bar = (head[0] - 0.06, head[1] - 0.3)
    turn = 10 * pose.swing
    f.fill("handlebar", band([head, bar], 0.06), look.dark, 0.012)
    grip = rotate(smooth((bar[0] + 0.12, bar[1] - 0.02), bar, (bar[0] - 0.16, bar[1] + 0.1), closed=False), turn, bar)
    f.fill("handlebar", band(grip, 0.08), look.accent, 0.014)
    if basket > 0:
        x, y = head[0] + 0.06, head[1] - 0.3
        f.fill("basket", polygon((x, y), (x + 0.36, y), (x + 0.3, y + 0.26), (x + 0.04, y + 0.26)), look.second)
    f.fill("saddle", band([seat, (seat[0] - 0.05, seat[1] - 0.2)], 0.06), look.dark, 0.012)
    f.fill("saddle", smooth((-0.5, -0.56), (-0.3, -0.54), (-0.1, -0.5), (-0.28, -0.44), (-0.46, -0.44)), look.second)
    c, s = direction(70 + 120 * pose.bend)
    for sign, name in ((1, "near"), (-1, "far")):
        pedal = (crank[0] + sign * 0.2 * c, crank[1] + sign * 0.2 * s)
        f.fill("pedals", band([crank, pedal], 0.045), look.dark, 0)
        x, y = pedal
        f.fill(
            "pedals",
            polygon((x - 0.09, y - 0.025), (x + 0.09, y - 0.025), (x + 0.09, y + 0.035), (x - 0.09, y + 0.035)),
            look.accent,
            0.01,
        )
        f.mark("pedals", **{f"{name}_pedal": pedal})
    f.fill("pedals", ellipse(*crank, 0.1, 0.1), look.light, 0.014)
    f.mark("saddle", saddle_nose=(-0.15, -0.5))
    f.mark("handlebar", grip=grip[-1])
    f.mark("pedals", crank=crank)
    return f


def boat(look: Look, pose: Pose) -> Figure:
    """A sailing boat; the wind fills its sails."""
    f, (tall, deep, ports, _) = Figure(), look.build
    top, wind = -0.94 - 0.05 * tall, 0.5 + 0.5 * pose.bend
    f.fill("mast", band([(0, 0.42), (0, top)], 0.055), look.dark, 0.014)
    wave = 0.06 * pose.swing
    flag = smooth(
        (0, top), (0.14, top + 0.03 + wave), (0.32, top + 0.1 - wave), (0.14, top + 0.13 + wave), (0, top + 0.16)
    )
    f.fill("flag", flag, look.accent, 0.014)
    main = np.concatenate([
        smooth((-0.05, top + 0.2), (-0.3 - 0.18 * wind, -0.2), (-0.72, 0.26), closed=False),
        smooth((-0.72, 0.26), (-0.36, 0.24 + 0.06 * wind), (-0.05, 0.26), closed=False),
    ])  # fmt: skip
    f.fill("mainsail", main, look.main)
    jib = np.concatenate([
        smooth((0.06, top + 0.28), (0.4 + 0.1 * wind, -0.16), (0.74, 0.28), closed=False),
        smooth((0.74, 0.28), (0.34, 0.2), (0.1, 0.28), closed=False),
    ])  # fmt: skip
    f.fill("jib", jib, look.light)
    f.fill("mast", band([(0, 0.31), (-0.74, 0.31)], 0.05), look.dark, 0.012)
    h = 0.9 + 0.06 * deep
    hull = smooth(
        (-0.94, 0.44), (-0.84, 0.74), (-0.56, h), (0.5, h), (0.82, 0.7), (1.0, 0.4), (0.5, 0.45), (-0.4, 0.46)
    )
    f.fill("hull", hull, look.second)
    f.fill(
        "hull", band(smooth((-0.9, 0.56), (-0.2, 0.58), (0.4, 0.57), (0.9, 0.53), closed=False), 0.07), look.accent, 0
    )
    n = 2 + (ports > 0)
    for i in range(n):
        f.fill("portholes", ellipse(-0.42 + 0.8 * i / (n - 1), 0.74, 0.075, 0.075), look.light)
    f.mark("hull", bow=(0.95, 0.43), stern=(-0.9, 0.47), keel=(0.0, h - 0.02))
    f.mark("mast", boom_end=(-0.73, 0.31))
    f.mark("flag", mast_top=(0.02, top + 0.05), flag_tip=(0.29, top + 0.1 - wave))
    f.mark("mainsail", sail_peak=(-0.07, top + 0.25))
    f.mark("jib", jib_corner=(0.7, 0.27))
    return f


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
    outline = smooth(*half, *[(-x, y) for x, y in half[-2:0:-1]])
    f.fill("body", outline, look.main)
    f.fill("body", ellipse(0, 0.32, 0.16, 0.16), look.dark)
    f.fill("neck", polygon((-0.06, -0.74), (0.06, -0.74), (0.07, 0.2), (-0.07, 0.2)), look.second)
    for y in (-0.6, -0.46, -0.32, -0.18):
        f.fill("neck", polygon((-0.065, y), (0.065, y), (0.065, y + 0.02), (-0.065, y + 0.02)), look.light, 0)
    f.fill("bridge", polygon((-0.18, 0.64), (0.18, 0.64), (0.18, 0.72), (-0.18, 0.72)), look.dark, 0.012)
    strap = smooth((w * 0.7, 0.84), (w + 0.2 + lean * 2, 0.4), (0.5 + lean, -0.3), (0.06, -0.66), closed=False)
    f.fill("strap", band(strap, 0.06), look.accent, 0.012)
    f.mark("head", head=(0, -0.94))
    f.mark("body", hole=(0, 0.32), left_hip=(-w + 0.02, 0.54), right_hip=(w - 0.02, 0.54), foot=(0, 0.93))
    f.mark("bridge", bridge=(0, 0.68))
    f.mark("neck", nut=(0, -0.72))
    return f
