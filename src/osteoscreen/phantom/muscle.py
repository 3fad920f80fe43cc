"""Muscles along the spine: psoas, quadratus, multifidus, erector and the crura of the diaphragm.

Each is a loft around the column, given at heights for a person of 1.68 m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.column import Column
from osteoscreen.phantom.contest import compete
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.section import Layers
from osteoscreen.phantom.solid import Knot, Loft
from osteoscreen.phantom.tissue import Tissues

Row = tuple[float, float, float, float, float, float]

ANATOMY: dict[str, tuple[Row, ...]] = {
    "psoas": (
        (-190, 76, -24, 18, 14, -0.8), (-150, 66, -15, 22, 13.5, -1.0),
        (-112, 55, -6, 21, 16, -0.8), (-75, 45, 0, 19, 20, -0.5),
        (-38, 39, 0, 18, 21, 0.1), (0, 33, 3, 14.5, 18, 0.2),
        (37, 28, 5, 10, 13, 0.2), (60, 24, 6, 7, 8, 0), (78, 22, 6, 3, 3, 0),
    ),
    "quadratus": (
        (-68, 72, 26, 8, 4, -0.4), (-50, 72, 24, 15, 7, -0.45), (-20, 66, 20, 17, 8.5, -0.4),
        (20, 60, 18, 15, 7, -0.3), (60, 54, 20, 11, 5, -0.1), (78, 50, 22, 6, 3, 0),
    ),
    "multifidus": (
        (-170, 15, 30, 8, 5, 0), (-140, 18, 32, 16, 9, 0), (-112, 19, 38, 18, 15, 0),
        (-75, 17, 43, 17, 17, 0), (-38, 15, 44, 14, 17, 0), (0, 13, 43, 12, 16, 0),
        (60, 12, 40, 10, 13, 0), (110, 11, 36, 9, 11, 0), (170, 10, 34, 8, 10, 0),
    ),
    "longissimus": (
        (-145, 26, 44, 5, 3, 0), (-112, 33, 48, 14, 8, 0.1), (-75, 34, 48, 17, 13, 0.1),
        (-38, 34, 45, 18, 18, 0.1), (0, 32, 43, 18, 19, 0), (60, 30, 40, 17, 17, 0),
        (110, 27, 36, 16, 14, -0.1), (170, 26, 33, 14, 11, -0.2),
    ),
    "iliocostalis": (
        (-90, 52, 46, 6, 4, 0), (-70, 54, 44, 12, 9, 0), (-38, 58, 41, 17, 14, -0.15),
        (0, 58, 39, 18, 15, -0.2), (60, 54, 38, 17, 12, -0.3), (110, 50, 37, 14, 8, -0.35),
        (170, 46, 35, 11, 6, -0.4),
    ),
}  # fmt: skip
"""Height, then beside and behind the centre of the column, half axes and turn of the left side."""

CRURA: dict[int, tuple[Row, ...]] = {
    -1: (
        (-10, -6, -19, 2, 2, 0), (30, -9, -20, 5, 5, 0.3), (70, -9, -23, 5, 10, 0.25),
        (110, -9, -24, 5, 12, 0.2), (140, -10, -24, 3, 10, 0.2), (165, -10, -22, 2, 6, 0.2),
    ),
    1: (
        (20, 17, -16, 2, 2, 0), (45, 20, -14, 3.5, 6, 0.2), (75, 25, -15, 4, 9, 0.1),
        (110, 29, -13, 3.5, 10, 0.1), (140, 33, -10, 2.5, 8, 0), (165, 35, -8, 2, 5, 0),
    ),
}  # fmt: skip

BEHIND = ("multifidus", "longissimus", "iliocostalis")
"""Muscles of the compartment behind the laminae and transverse processes."""
FAT_SHARE = {
    "psoas": 0.25, "quadratus": 0.8, "multifidus": 1.3, "longissimus": 1.2, "iliocostalis": 1.2,
    "crus": 0.2,
}  # fmt: skip
"""Fatty infiltration of each muscle against that of the patient."""
PSOAS_FOLLOWS_MM = -50.0
"""Below this height the psoas leaves the column and runs forward."""
CLEFT_MM = 0.8
"""Width of the fat between two muscles of a lean person, twice."""


@dataclass(frozen=True)
class Muscle:
    """One muscle.

    Args:
        name: A key of ``FAT_SHARE``.
        solid: Its shape.
        infiltration: Share of fat in it, 0 to 1.
    """

    name: str
    solid: Loft
    infiltration: float


def muscle_hu(tissues: Tissues, infiltration: float | Array, grains: tuple[Array, Array]) -> Array:
    """Return the attenuation inside a muscle: fat runs through it in streaks.

    Args:
        tissues: Attenuation of the tissues.
        infiltration: Share of fat, 0 to 1, a number or shape (rows, columns).
        grains: Unit fields, fine and coarse, shape (rows, columns).
    Returns: HU, shape (rows, columns).
    """
    fine, coarse = grains
    # Contour lines of the coarse grain, frayed by the fine one: long septa, not spots.
    streak = np.clip((np.sin(np.float32(4) * coarse + np.float32(1.3) * fine) - 0.1) / 0.9, 0, 1)
    strength = np.clip(infiltration * (1.2 + 0.6 * coarse), 0, 0.7)
    fat = np.clip(0.3 * infiltration + streak * strength, 0, 0.9)
    lean = np.float32(tissues.muscle) + np.float32(2.5) * coarse + np.float32(2.0) * fine
    return np.asarray(lean + fat * (tissues.fat - lean), np.float32)


def paint_muscles(muscles: tuple[Muscle, ...], tissues: Tissues, layers: Layers, hu: Array) -> None:
    """Paint the muscles along the spine over a plane, in place.

    Args:
        muscles: What to paint.
        tissues: Attenuation of the tissues.
        layers: Where, with depths below the outline.
        hu: What is there already, shape (rows, columns).
    """
    grains = layers.grains
    cuts = []
    for number, muscle in enumerate(muscles):
        cut = muscle.solid.cut(layers.plane)
        if cut is None:
            continue
        window, depth = cut
        # Uneven bellies: the coarse grain pushes the surface in and out.
        depth = depth + np.float32(1.5) * grains[1][window]
        if muscle.name in BEHIND:
            depth = np.minimum(depth, layers.fascia[window] - np.float32(0.8))
        cuts.append((number, (window, depth)))
    standing = compete(hu.shape, cuts)
    for number, (window, depth) in cuts:
        muscle = muscles[number]
        inside = (standing.owner[window] == number) & (depth > 0)
        local = (grains[0][window], grains[1][window])
        share: float | Array = muscle.infiltration
        if muscle.name in BEHIND:
            # Fat gathers beside the spinous processes and the laminae.
            beside = np.abs(layers.beside[window]) / np.float32(22)
            share = np.minimum(share * (0.45 + 1.1 * np.exp(-beside * beside)), np.float32(0.9))
        values = muscle_hu(tissues, share, local)
        cleft = standing.margin[window] < CLEFT_MM * (0.8 + 2.5 * muscle.infiltration)
        cleft &= standing.depth[window] > 0.6
        values = np.where(cleft, np.float32(0.45 * tissues.fat + 0.1 * tissues.muscle), values)
        around = (depth > -0.9) & (standing.owner[window] < 0) & (muscle.name == "psoas")
        view = hu[window]
        view[around] = tissues.fat
        view[inside] = values[inside]


def draw_muscles(
    rng: np.random.Generator, column: Column, scale: float, infiltration: float, bulk: float
) -> tuple[Muscle, ...]:
    """Draw the muscles of both sides.

    Args:
        rng: Source of every draw.
        column: What they follow.
        scale: Size of the person.
        infiltration: Share of fat in the muscles, 0 to 1.
        bulk: Size of the muscles against average ones.
    Returns: The muscles.
    """
    muscles = []
    for name, rows in ANATOMY.items():
        size = 0.95 * bulk * float(rng.normal(1, 0.06))
        share = float(np.clip(infiltration * FAT_SHARE[name] * rng.uniform(0.7, 1.3), 0, 0.85))
        for side in (-1, 1):
            jitter = (
                side * float(rng.normal(0, 1)),
                float(rng.normal(0, 1)),
                size * float(rng.normal(1, 0.03)),
            )
            knots = _knots(rows, column, scale, side, jitter)
            muscles.append(Muscle(name, Loft(knots), share))
    for rows in CRURA.values():
        knots = _knots(rows, column, scale, 1, (0.0, 0.0, float(rng.normal(1, 0.12))))
        muscles.append(Muscle("crus", Loft(knots), infiltration * FAT_SHARE["crus"]))
    return tuple(muscles)


def _knots(
    rows: tuple[Row, ...],
    column: Column,
    scale: float,
    side: int,
    jitter: tuple[float, float, float],
) -> tuple[Knot, ...]:
    """Place rows beside the column; at every centimetre, so that they bend as it bends."""
    table = np.array(rows, float)
    heights = np.arange(table[0, 0], table[-1, 0] + 1, 5.0)
    moved_x, moved_y, size = jitter
    is_psoas = rows is ANATOMY["psoas"]
    knots = []
    for height in heights:
        _, x, y, rx, ry, turn = (np.interp(height, table[:, 0], table[:, i]) for i in range(6))
        z = float(height * scale)
        follow = max(z, PSOAS_FOLLOWS_MM * scale) if is_psoas else z
        base_x, base_y = column.at(follow)
        knots.append(
            Knot(
                z,
                base_x + side * float(x) * scale + moved_x,
                base_y + float(y) * scale + moved_y,
                float(rx) * scale * size,
                float(ry) * scale * size,
                side * float(turn),
            )
        )
    return tuple(knots)
