"""Solid organs of the upper abdomen, and the fluid-filled ones: gallbladder and bladder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.contest import united
from osteoscreen.phantom.outline import Outline
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.solid import Blob, Cut, Knot, Loft, Solid, smooth_tube

Rows = tuple[tuple[float, float, float, float, float, float], ...]

LIVER_RIGHT: Rows = (
    (-12, -0.80, 0.46, 0.05, 0.10, 0), (5, -0.78, 0.48, 0.20, 0.30, 0),
    (30, -0.70, 0.50, 0.34, 0.44, 0), (60, -0.62, 0.50, 0.46, 0.54, 0),
    (95, -0.56, 0.52, 0.58, 0.60, 0), (140, -0.54, 0.52, 0.62, 0.62, 0),
    (210, -0.52, 0.50, 0.60, 0.60, 0),
)  # fmt: skip
LIVER_LEFT: Rows = (
    (48, -0.16, 0.16, 0.06, 0.05, 0.1), (65, -0.10, 0.20, 0.26, 0.15, 0.1),
    (90, -0.04, 0.25, 0.42, 0.23, 0.1), (130, 0.02, 0.27, 0.50, 0.27, 0.1),
    (170, 0.06, 0.30, 0.52, 0.28, 0.1), (210, 0.05, 0.30, 0.4, 0.25, 0.1),
)  # fmt: skip
"""Height; centre and half axes as shares of the cavity, x from right -1 to left 1, y from front 0
to back 1; turn."""

SPLEEN_Z_MM = (56.0, 176.0)


@dataclass(frozen=True)
class Organ:
    """One organ.

    Args:
        name: What it is, such as ``"liver"``.
        lobes: Its shape, the union of these.
        fissures: What is cut out of it.
        claim_mm: Added to its depth where it touches others: it yields less.
    """

    name: str
    lobes: tuple[Solid, ...]
    claim_mm: float = 0.0
    fissures: tuple[Solid, ...] = ()

    def cut(self, plane: Plane) -> Cut | None:
        """Cut the organ without its fissures; ``None`` if the plane misses it."""
        cut = None
        for lobe in self.lobes:
            cut = united(cut, lobe.cut(plane))
        return cut


def place(outline: Outline, x: float, y: float, z_mm: float) -> tuple[float, float, float]:
    """Turn shares of the cavity into a place.

    Args:
        outline: The trunk.
        x: From the right end, -1, to the left end, 1.
        y: From the front, 0, to the back limit beside the spine, 1.
        z_mm: Height.
    Returns: (x, y, z) in mm.
    """
    right, left, front, back = outline.section(z_mm).cavity_box()
    middle = (right + left) / 2
    return middle + x * (left - right) / 2, front + y * (back - front), z_mm


def shaped(outline: Outline, rows: Rows, scale: float, shift_mm: float) -> Loft:
    """Place the rows of a loft, given as shares of the cavity.

    Args:
        outline: The trunk.
        rows: Height, centre and half axes as shares, turn.
        scale: Factor on the heights.
        shift_mm: Added to the heights.
    Returns: The loft.
    """
    table = np.array(rows, float)
    knots = []
    for height in np.linspace(table[0, 0], table[-1, 0], 18):
        _, x, y, rx, ry, turn = (
            float(np.interp(height, table[:, 0], table[:, i])) for i in range(6)
        )
        z = float(height * scale + shift_mm)
        right, left, front, back = outline.section(z).cavity_box()
        centre = place(outline, x, y, z)
        half_width, depth = (left - right) / 2, back - front
        knots.append(Knot(z, centre[0], centre[1], rx * half_width, ry * depth, turn))
    return Loft(tuple(knots))


def draw_organs(
    rng: np.random.Generator, outline: Outline, scale: float, sink_mm: float
) -> tuple[Organ, ...]:
    """Draw liver, gallbladder, spleen, pancreas and the adrenal glands.

    Args:
        rng: Source of every draw.
        outline: The trunk that holds them.
        scale: Size of the person.
        sink_mm: How far the breath pushes them down.
    Returns: The organs.
    """
    drop = -sink_mm + float(rng.normal(0, 7))
    tip = float(rng.normal(0, 12))
    right = ((LIVER_RIGHT[0][0] + tip, *LIVER_RIGHT[0][1:]), *LIVER_RIGHT[1:])
    if right[0][0] >= right[1][0]:
        right = right[1:]
    bottom = place(outline, -0.36 + float(rng.normal(0, 0.05)), 0.30, 42 * scale + drop)
    organs = [
        _draw_liver(rng, outline, right, (scale, drop)),
        _draw_spleen(rng, outline, scale, drop),
        _draw_pancreas(rng, outline, scale),
    ]
    if rng.random() < 0.85:
        size = float(rng.uniform(0.75, 1.25)) * scale
        radius = (14 * size, 20 * size, 30 * size)
        organs.append(
            Organ("gallbladder", (Blob(bottom, radius, float(rng.normal(0.5, 0.3))),), 12.0)
        )
    for side in (-1, 1):
        x, y = outline.column.at(88 * scale)
        for lean in (-4.0, 7.0):
            limb = [
                (x + side * 25 * scale, y - 27 * scale, 92 * scale, 2.6),
                (x + side * (27 + lean) * scale, y - 12 * scale, 84 * scale, 2.2),
            ]
            organs.append(Organ("adrenal", (smooth_tube(limb, height=5.0),), 6.0))
    return tuple(organs)


def _draw_liver(
    rng: np.random.Generator, outline: Outline, right: Rows, size: tuple[float, float]
) -> Organ:
    """Two lobes that run into each other, with the fissure of the round ligament between them."""
    scale, drop = size
    lobes = (shaped(outline, right, scale, drop), shaped(outline, LIVER_LEFT, scale, drop))
    aside = float(rng.normal(-0.13, 0.04))
    knots = []
    for z, front, deep in ((55.0, 0.1, 26), (80.0, 0.14, 26), (105.0, 0.22, 20), (125.0, 0.3, 12)):
        x, y, _ = place(outline, aside, front, z * scale + drop)
        knots.append(Knot(z * scale + drop, x, y, deep * scale, 2.2 * scale, 1.2))
    # Bowel, stomach and kidney press into it from below; at the porta it is open.
    x, y, z = place(outline, -0.22, 0.52, 88 * scale + drop)
    porta = Blob((x, y, z), (24 * scale, 9 * scale, 18 * scale), 0.3)
    return Organ("liver", lobes, 4.0, (Loft(tuple(knots)), porta))


def _draw_spleen(rng: np.random.Generator, outline: Outline, scale: float, drop: float) -> Organ:
    low, high = SPLEEN_Z_MM
    low += float(rng.normal(0, 10))
    size = float(rng.normal(1, 0.12)) * scale
    knots = []
    for share in np.linspace(0, 1, 9):
        z = (low + share * (high - low)) * scale + drop
        swell = float(np.sin(np.pi * np.clip(0.04 + 0.92 * share, 0, 1)) ** 0.6)
        x, y, _ = place(outline, 0.74 - 0.06 * share, 0.74 + 0.06 * share, z)
        knots.append(Knot(z, x, y, 52 * size * swell, 23 * size * swell, 2.1))
    return Organ("spleen", (Loft(tuple(knots), bend_per_mm=-0.0045),), 8.0)


def _draw_pancreas(rng: np.random.Generator, outline: Outline, scale: float) -> Organ:
    """Head beside the duodenum, body over the aorta, tail towards the spleen."""
    size = float(rng.normal(1, 0.1)) * scale
    column_x, column_y = outline.column.at(60 * scale)
    stations = (
        (-34, -42, 32, 13), (-28, -48, 46, 14), (-12, -56, 56, 10), (8, -62, 62, 9),
        (30, -55, 68, 10), (55, -38, 78, 10), (78, -20, 88, 8),
    )  # fmt: skip
    jitter = rng.normal(0, 3, (len(stations), 3))
    knots = [
        (
            column_x + x * scale + move[0],
            column_y + y * scale + move[1],
            z * scale + move[2],
            r * size,
        )
        for (x, y, z, r), move in zip(stations, jitter)
    ]
    return Organ("pancreas", (smooth_tube(knots),), 5.0)
