"""Things that go somewhere, to the right."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Look, Pose
from .geometry import XY, band, box, direction, disc, ellipse, polygon, rotate, shifted, smooth


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
    f.fill("cabin", shifted(cabin, (0, dip)), look.main)
    rear_window = polygon((-0.5, -0.06), (-0.38 - 0.06 * boxy, roof + 0.12), (-0.08, roof + 0.1), (-0.08, -0.06))
    front_window = polygon((0.0, -0.06), (0.0, roof + 0.1), (0.16, roof + 0.14), (0.38, -0.06))
    for window in (rear_window, front_window):
        f.fill("windows", shifted(window, (0, dip)), look.light)
    upper = [(rear, 0.12), (rear + 0.06, -0.04), (-0.6, -0.08), (0.4, -0.08), (0.82, 0.0), (nose, 0.16)]
    body = smooth(*upper, (nose, 0.38), (0.0, 0.44), (rear, 0.4))
    f.fill("body", shifted(body, (0, dip)), look.main)
    f.fill(
        "body",
        box(rear + 0.04, 0.24 + dip, nose - 0.02, 0.32 + dip),
        look.second,
        0,
    )
    f.fill("body", band([(-0.04, -0.04 + dip), (-0.04, 0.4 + dip)], 0.02), look.dark, 0)
    f.fill("body", box(-0.24, 0.06 + dip, -0.1, 0.1 + dip), look.dark, 0)
    f.fill("lights", ellipse(nose - 0.07, 0.16 + dip, 0.07, 0.07), look.accent, 0.014)
    f.fill(
        "lights",
        box(rear + 0.01, 0.06 + dip, rear + 0.1, 0.18 + dip),
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
    f.fill(part, disc(hub, radius), look.dark)
    f.fill(part, disc(hub, radius * 0.6), look.light, 0.012)
    for spoke in (0, 60, 120):
        c, s = direction(spoke + turn)
        r = radius * 0.58
        f.fill(part, band([(hub[0] - r * c, hub[1] - r * s), (hub[0] + r * c, hub[1] + r * s)], 0.025), look.dark, 0)
    f.fill(part, disc(hub, radius * 0.2), look.accent, 0.01)


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
        f.fill(part, disc(hub, 0.06), look.accent, 0.01)
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
            box(x - 0.09, y - 0.025, x + 0.09, y + 0.035),
            look.accent,
            0.01,
        )
        f.mark("pedals", **{f"{name}_pedal": pedal})
    f.fill("pedals", disc(crank, 0.1), look.light, 0.014)
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
