"""Where the vessels of the trunk run: along the column, to the organs and through the mesentery."""

from __future__ import annotations

import numpy as np

from osteoscreen.phantom.column import Column
from osteoscreen.phantom.solid import Knot, Loft, Place, smooth_tube
from osteoscreen.phantom.vessel import Vessel, Vessels, draw_plaques

BODY_FRONT_MM = 17.0
"""From the centre of a lumbar body to its front, person of 1.68 m."""
LIMY_YEARS = 65.0
"""A limy aorta is at least as old as this."""
FORK_MM = -40.0
"""Where the aorta divides: L4. The iliac veins join a little below."""
ILIAC_MM = (
    (-36.0, 4, -12), (-52.0, 14, -10), (-75.0, 26, -10), (-100.0, 33, -8), (-125.0, 39, -12),
    (-150.0, 47, -22), (-190.0, 58, -42),
)  # fmt: skip
ILIAC_FOLLOWS_MM = -75.0
"""The iliac arteries: height, beside and behind the front of the column; and the height below which
they leave the column."""


def draw_vessels(
    rng: np.random.Generator,
    column: Column,
    who: tuple[float, float],
    hila: tuple[Place, Place],
    targets: tuple[Place, ...],
    *,
    is_limy: bool = False,
) -> Vessels:
    """Draw the vessels.

    Args:
        rng: Source of every draw.
        column: What the great vessels lie on.
        who: Size of the person and age in years.
        hila: Where the vessels of the right and the left kidney end.
        targets: Places on the bowel that mesenteric vessels run to.
        is_limy: Whether the aorta is wide, in a shell of lime, and touches the column.
    Returns: The vessels.
    """
    scale, age = who
    radius = float(np.clip(rng.normal(8.6 + 0.035 * (age - 55), 1.0), 6.5, 13)) * scale
    aside = float(rng.normal(6, 4)) * scale
    gap = float(rng.uniform(0, 3)) * scale
    lime = 1.0
    if is_limy:
        age, lime = max(age, LIMY_YEARS), float(rng.uniform(2, 6))
        gap = float(rng.uniform(-1.5, 1.5)) * scale
        radius *= float(rng.uniform(1.0, 1.35))
    aorta = _aorta(column, scale, radius, (aside, gap))
    others = [Vessel("blood", _cava(rng, column, scale))]
    others += _iliacs(column, scale, radius)
    others += _branches(rng, column, scale, hila)
    small = _mesentery(rng, column, scale, targets)
    return Vessels(
        aorta=aorta,
        plaques=draw_plaques(rng, age, lime),
        others=tuple(others + small),
        hepatic=_hepatic(rng, column, scale),
    )


def _front(column: Column, z: float, scale: float) -> tuple[float, float]:
    """Return the middle of the front of the column."""
    x, y = column.at(z)
    return x, y - BODY_FRONT_MM * scale


def _aorta(column: Column, scale: float, radius: float, where: tuple[float, float]) -> Loft:
    """Draw the aorta: before the lumbar column, left of the thoracic one and close to it.

    ``where`` tells how far left of the middle and how far before the column it lies, mm.
    """
    aside, gap = where
    knots = []
    for z in np.arange(FORK_MM, 211.0, 8.0) * scale:
        x, y = _front(column, float(z), scale)
        grown = radius * float(np.interp(z / scale, [-40, 60, 160], [0.92, 1.05, 1.25]))
        high = float(np.interp(z / scale, [40, 140], [0.0, 1.0])) * scale
        knots.append(
            Knot(float(z), x + aside + 14 * high, y - grown - gap + 14 * high, grown, grown)
        )
    return Loft(tuple(knots))


def _cava(rng: np.random.Generator, column: Column, scale: float) -> Loft:
    flat = float(rng.uniform(0.5, 0.95))
    wide = float(rng.normal(12.5, 1.2)) * scale
    knots = []
    for z in np.arange(FORK_MM - 8, 200.0, 8.0) * scale:
        x, y = _front(column, float(z), scale)
        rise = float(np.interp(z / scale, [40, 90, 130, 180], [0.0, 7.0, 16.0, 24.0]))
        beside = float(np.interp(z / scale, [-48, -20, 60, 180], [10, 19, 22, 24])) * scale
        depth = wide * flat
        knots.append(Knot(float(z), x - beside, y - depth * 0.85 + 2 - rise, wide, depth, -0.25))
    return Loft(tuple(knots))


def _iliacs(column: Column, scale: float, radius: float) -> list[Vessel]:
    found = []
    for side in (-1, 1):
        for blood, size, inward in (("aorta", 0.6 * radius, 0.0), ("blood", 7.2 * scale, 1.0)):
            knots: list[tuple[float, float, float, float]] = []
            for z, beside, behind in ILIAC_MM:
                base_x, base_y = _front(column, max(z, ILIAC_FOLLOWS_MM) * scale, scale)
                # The vein joins its fellow right of the midline, and runs behind the artery.
                shift = inward * float(np.interp(z, [-75, -50], [11, 3.3]))
                fork = inward * (z > FORK_MM)
                x = base_x + (side * (beside - 0.4 * shift) - 9 * fork) * scale
                y = base_y + (behind + shift) * scale
                knots.append((x, y, z * scale - 4 * inward, size))
            found.append(Vessel(blood, smooth_tube(knots)))
        # The inner branch dives to the back.
        x, y = column.at(-112 * scale)
        inner = [
            (x + side * 40 * scale, _front(column, -75 * scale, scale)[1] - 4, -108 * scale, 4.2),
            (x + side * 44 * scale, y - 22 * scale, -135 * scale, 4.0),
            (x + side * 50 * scale, y - 4 * scale, -175 * scale, 3.6),
        ]
        found.append(Vessel("blood", smooth_tube(inner)))
    return found


def _branches(
    rng: np.random.Generator, column: Column, scale: float, hila: tuple[Place, Place]
) -> list[Vessel]:
    """Renal vessels, superior mesenteric vessels, celiac trunk, splenic and portal vein."""
    found = []
    x, y = _front(column, 60 * scale, scale)
    for side, hilum in zip((-1, 1), hila):
        z = 58 * scale
        root = (x + side * 10 * scale, y - 6, z)
        for blood, r, lift, front in (("blood", 4.4, 0.0, -9.0), ("aorta", 2.6, 5.0, -2.0)):
            mid = ((root[0] + hilum[0]) / 2, (root[1] + hilum[1]) / 2 - 3 + front / 2, z + lift)
            knots = [(root[0], root[1] + front, z + lift, r), (*mid, r), (*hilum, r * 0.8)]
            found.append(Vessel(blood, smooth_tube(knots)))
    drift = rng.normal(0, 2, 4)
    artery = [
        (x + 6, y - 17, 72, 4.0),
        (x + 5 + drift[0], y - 27, 60, 3.6),
        (x + 4, y - 31, 30, 3.4),
        (x - 2 + drift[1], y - 33, -10, 3.0),
        (x - 12, y - 36, -55, 2.4),
    ]
    vein = [
        (x - 10, y - 39, 58, 6.5),
        (x - 10, y - 37, 40, 5.8),
        (x - 11 + drift[2], y - 36, 5, 5.0),
        (x - 18, y - 40, -50, 3.2),
    ]
    portal = [
        (x - 10, y - 39, 58, 6.5),
        (x - 26, y - 40, 78, 6.5),
        (x - 44, y - 42, 96, 6.0),
        (x - 56, y - 46, 100, 5.0),
    ]
    splenic = [
        (x - 10, y - 39, 58, 5.0),
        (x + 14, y - 40, 64, 4.2),
        (x + 50, y - 16, 80, 3.8),
        (x + 84, y + 8, 96, 3.2),
    ]
    celiac = [
        (x + 5, y - 12, 88, 4.0),
        (x + 4, y - 26, 86, 3.4),
        (x - 12, y - 34, 86, 2.5),
        (x - 30, y - 40, 90, 2.2),
    ]
    for blood, line in (
        ("aorta", artery),
        ("portal", vein),
        ("portal", portal),
        ("portal", splenic),
        ("aorta", celiac),
    ):
        knots = [(px, py, pz * scale, r * scale) for px, py, pz, r in line]
        found.append(Vessel(blood, smooth_tube(knots)))
    return found


def _mesentery(
    rng: np.random.Generator, column: Column, scale: float, targets: tuple[Place, ...]
) -> list[Vessel]:
    """Fans of paired small vessels from the root of the mesentery to the bowel."""
    found = []
    for end in targets:
        z = float(np.clip(0.45 * end[2] + rng.normal(0, 12), -70 * scale, 45 * scale))
        x, y = _front(column, z, scale)
        root = np.array([x - 2 + rng.normal(0, 13), y - 36 + rng.normal(0, 8), z])
        goal = np.array(end)
        for blood in ("aorta", "portal"):
            size = float(rng.uniform(0.9, 1.9))
            ways = [
                root + share * (goal - root) + rng.normal(0, 4.0, 3) * np.sin(np.pi * share)
                for share in (0.0, 0.25, 0.5, 0.75, 0.96)
            ]
            knots = [
                (
                    float(w[0]),
                    float(w[1]),
                    float(w[2]),
                    size * fade * (1.25 if blood == "portal" else 1),
                )
                for w, fade in zip(ways, (1.3, 1.1, 1, 0.85, 0.6))
            ]
            found.append(Vessel(blood, smooth_tube(knots, pitch=0.8), is_great=False))
    for _ in range(int(rng.integers(14, 30))):
        # Lymph nodes and vessels of the retroperitoneum beside the great vessels.
        z = float(rng.uniform(-110, 90)) * scale
        x, y = _front(column, z, scale)
        spot = (x + float(rng.normal(4, 22)), y - float(rng.uniform(-2, 24)), z)
        size = float(rng.uniform(1.2, 3.2))
        node = [
            (*spot, size),
            (spot[0] + float(rng.normal(0, 6)), spot[1], z + float(rng.normal(0, 10)), size),
        ]
        found.append(Vessel("blood", smooth_tube(node, pitch=0.7), is_great=False))
    return found


def _hepatic(rng: np.random.Generator, column: Column, scale: float) -> tuple[Vessel, ...]:
    """Hepatic veins that meet at the cava under the dome, and branches of the portal vein."""
    found = []
    x, y = _front(column, 150 * scale, scale)
    for blood, root, count, size in (
        ("blood", (x - 26, y - 26, 172.0), 7, 4.6),
        ("portal", (x - 50, y - 46, 100.0), 10, 4.2),
    ):
        for _ in range(count):
            out = rng.uniform((-95, -70, -60 if blood == "blood" else -35), (5, 30, 10)) * scale
            end = np.array([root[0], root[1], root[2] * scale]) + out
            start = np.array([root[0], root[1], root[2] * scale])
            for fork in (0.0, 1.0):
                spread = rng.normal(0, 14, 3) * fork
                ways = [
                    start
                    + share * (end + spread * share - start)
                    + rng.normal(0, 3, 3) * share * (1 - share) * 4
                    for share in (0.0, 0.33, 0.66, 1.0)
                ]
                knots = [
                    (float(w[0]), float(w[1]), float(w[2]), size * scale * fade)
                    for w, fade in zip(ways, (1.0, 0.8, 0.55, 0.3))
                ]
                found.append(Vessel(blood, smooth_tube(knots, pitch=0.7), is_great=False))
    return tuple(found)
