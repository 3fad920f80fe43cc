"""Where the gut runs: stomach and duodenum, colon, and the small bowel packed between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.bowel import Filling, Gut, fill
from osteoscreen.phantom.organ import place
from osteoscreen.phantom.outline import Outline
from osteoscreen.phantom.solid import Tube, smooth_tube

Station = tuple[float, float, float, float]

STOMACH: tuple[Station, ...] = (
    (0.46, 0.72, 172, 20), (0.50, 0.58, 150, 33), (0.54, 0.42, 122, 33), (0.50, 0.28, 95, 28),
    (0.36, 0.20, 70, 24), (0.12, 0.20, 52, 19), (-0.12, 0.30, 50, 13),
)  # fmt: skip
DUODENUM: tuple[Station, ...] = (
    (-0.14, 0.32, 50, 13), (-0.30, 0.46, 56, 13), (-0.36, 0.62, 40, 13), (-0.36, 0.66, 5, 13),
    (-0.26, 0.60, -10, 12), (0.0, 0.52, -6, 10), (0.20, 0.55, 8, 11), (0.27, 0.46, 34, 12),
)  # fmt: skip
COLON: tuple[tuple[Station, ...], ...] = (
    (
        (-0.64, 0.42, -132, 20), (-0.72, 0.50, -110, 29), (-0.80, 0.56, -75, 28),
        (-0.83, 0.62, -35, 25), (-0.80, 0.62, 5, 24), (-0.74, 0.50, 32, 25), (-0.62, 0.30, 30, 24),
    ),
    (
        (-0.62, 0.30, 30, 24), (-0.44, 0.15, 12, 24), (-0.18, 0.10, -10, 22), (0.10, 0.10, -14, 22),
        (0.36, 0.13, 8, 21), (0.58, 0.22, 50, 20), (0.72, 0.36, 92, 21), (0.78, 0.52, 116, 20),
    ),
    (
        (0.78, 0.52, 116, 19), (0.83, 0.66, 92, 18), (0.84, 0.72, 50, 16), (0.84, 0.68, 5, 15),
        (0.83, 0.62, -40, 15), (0.78, 0.52, -85, 15), (0.68, 0.45, -115, 16),
        (0.50, 0.36, -138, 17), (0.24, 0.30, -150, 18), (0.05, 0.42, -138, 18),
        (0.12, 0.62, -150, 17), (0.05, 0.84, -165, 18), (0.0, 0.95, -188, 20),
    ),
)  # fmt: skip
"""x and y as shares of the cavity (see ``place``), height and radius in mm, of a
person of 1.68 m."""

PITCH_MM = 24.5
"""Distance of neighbouring loops of small bowel."""
SHEAR_MM, SHEAR_PERIOD_MM = 9.0, 125.0
"""Amplitude and length of the waves that bend the rows of loops."""
STEPS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])


@dataclass(frozen=True)
class Diet:
    """What the gut of one patient holds.

    Args:
        has_oral_contrast: Whether the patient drank contrast agent.
        gas: Factor on the chance of gas.
        slack: Empty space among the loops, 0 to 1.
    """

    has_oral_contrast: bool
    gas: float
    slack: float


def draw_gut(
    rng: np.random.Generator, outline: Outline, scale: float, diet: Diet
) -> tuple[Gut, ...]:
    """Draw the gut.

    Args:
        rng: Source of every draw.
        outline: The trunk that holds it.
        scale: Size of the person.
        diet: What it holds.
    Returns: Stomach, duodenum, the three parts of the colon, then loops of small bowel.
    """
    drink = Filling.CONTRAST if diet.has_oral_contrast else Filling.FLUID
    swollen = float(rng.uniform(0.72, 1.12))
    stomach = _tube(rng, outline, STOMACH, (scale, swollen, 5.0))
    meal = {Filling.FOOD: 0.5, drink: 0.5}
    parts = [_gut(rng, stomach, meal, (0.75 * diet.gas, 0.5, 400.0), 3.6)]
    duodenum = _tube(rng, outline, DUODENUM, (scale, float(rng.uniform(0.75, 1.05)), 4.0))
    parts.append(
        _gut(rng, duodenum, {Filling.COLLAPSED: 0.5, drink: 0.5}, (0.15 * diet.gas, 0.4, 50.0), 2.4)
    )
    late = Filling.CONTRAST if diet.has_oral_contrast and rng.random() < 0.3 else Filling.STOOL
    fillings: tuple[tuple[dict[Filling, float], tuple[float, float, float]], ...] = (
        ({Filling.STOOL: 0.8, late: 0.2}, (0.35 * diet.gas, 0.5, 90.0)),
        (
            {Filling.STOOL: 0.5, Filling.FLUID: 0.2, Filling.COLLAPSED: 0.2},
            (0.75 * diet.gas, 0.95, 80.0),
        ),
        ({Filling.STOOL: 0.5, Filling.COLLAPSED: 0.5}, (0.3 * diet.gas, 0.6, 70.0)),
    )
    for stations, (shares, gas) in zip(COLON, fillings):
        tube = _haustra(
            rng, _tube(rng, outline, stations, (scale, float(rng.uniform(0.8, 1.15)), 6.0))
        )
        parts.append(_gut(rng, tube, shares, gas, 1.9))
    loops = {Filling.COLLAPSED: 0.5, Filling.FLUID: 0.2, drink: 0.3}
    tubes = _draw_loops(rng, outline, scale, diet.slack)
    parts += [_gut(rng, tube, loops, (0.12 * diet.gas, 0.45, 60.0), 2.2) for tube in tubes]
    return tuple(parts)


def _gut(
    rng: np.random.Generator,
    tube: Tube,
    shares: dict[Filling, float],
    gas: tuple[float, float, float],
    wall_mm: float,
) -> Gut:
    filling, level = fill(rng, tube, shares, gas=gas[:2], length_mm=gas[2])
    return Gut(tube, filling, level, wall_mm * float(rng.uniform(0.85, 1.2)))


def _tube(
    rng: np.random.Generator,
    outline: Outline,
    stations: tuple[Station, ...],
    size: tuple[float, float, float],
) -> Tube:
    scale, swell, spread = size
    knots = []
    for index, (x, y, z, radius) in enumerate(stations):
        is_end = index in (0, len(stations) - 1)
        move = np.zeros(3) if is_end else rng.normal(0, spread, 3)
        spot = place(outline, x, y, z * scale + 1.5 * float(move[2]))
        grown = radius * scale * swell * float(rng.normal(1, 0.06))
        knots.append((spot[0] + float(move[0]), spot[1] + float(move[1]), spot[2], grown))
    return smooth_tube(knots, pitch=0.22)


def _haustra(rng: np.random.Generator, tube: Tube) -> Tube:
    """Pinch a tube into pouches."""
    points = np.array(tube.points_mm)
    steps = np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    phase = along / float(rng.uniform(30, 40)) * np.pi + 0.8 * np.sin(along / 47.0)
    points[:, 3] *= 0.78 + 0.26 * np.sqrt(np.abs(np.sin(phase)))
    return Tube(tuple((float(x), float(y), float(z), float(r)) for x, y, z, r in points))


def _draw_loops(
    rng: np.random.Generator, outline: Outline, scale: float, slack: float
) -> list[Tube]:
    """Small bowel: self-avoiding walks over a lattice that fills the middle of the cavity.

    No two passes come closer than the lattice is wide, so loops lie side by side as in life.
    """
    free, spots = _lattice(rng, outline, scale, slack)
    tubes = []
    while free.any():
        corners = np.argwhere(free)
        here = corners[int(rng.integers(len(corners)))]
        walk = []
        heading = -1
        while True:
            free[tuple(here)] = False
            walk.append(spots[tuple(here)])
            ways = [
                way
                for way, step in enumerate(STEPS)
                if ((here + step >= 0) & (here + step < free.shape)).all()
                and free[tuple(here + step)]
            ]
            if not ways:
                break
            # Loops run across and come back rather than up and down.
            odds = np.array(
                [(0.3, 0.3, 0.7, 0.7, 1.0, 1.0)[way] * (2 if way == heading else 1) for way in ways]
            )
            heading = ways[int(rng.choice(len(ways), p=odds / odds.sum()))]
            here = here + STEPS[heading]
        if len(walk) > 1:
            radii = scale * np.clip(rng.normal(11.6, 1.8, len(walk)), 7.5, 14.0)
            knots = [(float(x), float(y), float(z), float(r)) for (x, y, z), r in zip(walk, radii)]
            tubes.append(smooth_tube(knots, pitch=0.35))
    return tubes


def _lattice(
    rng: np.random.Generator, outline: Outline, scale: float, slack: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    phases = rng.uniform(0, 2 * np.pi, 6)
    heights = np.arange(-185.0, 55.0, PITCH_MM * 0.95) * scale
    right, left, front, back = outline.section(-40.0).cavity_box()
    pitch = PITCH_MM * scale
    across, deep = int((left - right) * 0.80 / pitch) + 1, int((back - front) * 0.72 / pitch) + 1
    free = np.zeros((len(heights), deep, across), bool)
    spots = np.zeros((*free.shape, 3))
    for k, z in enumerate(heights):
        right, left, front, back = outline.section(float(z)).cavity_box()
        middle, half_width = (left + right) / 2, (left - right) / 2
        low = max(-float(z) / scale, 0) / 180
        for j in range(deep):
            y = front + 13 + j * pitch + (k % 2) * 0.3 * pitch
            for i in range(across):
                x = middle + (i - (across - 1) / 2 + 0.25 * (j % 2)) * pitch
                spot = _sheared(np.array([x, y, float(z)]), phases) + rng.normal(0, 4.5, 3)
                spots[k, j, i] = spot
                share = (y - front) / (back - front)
                beside = abs(x - middle) / half_width
                limit = 0.46 + 0.16 * (beside > 0.3) + 0.22 * low
                is_in = beside < 0.62 + 0.1 * low and share < limit
                is_high = z > 8 * scale and x < middle + 12
                root = np.hypot((x - middle) / 60, (share - 0.45) / 0.28)
                lost = slack * (0.55 + 0.8 * np.exp(-root * root))
                free[k, j, i] = is_in and not is_high and rng.random() > lost
    return free, spots


def _sheared(spot: NDArray[np.float64], phases: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move a place of the lattice along waves across it: rows bend, and keep their distance."""
    x, y, z = 2 * np.pi * spot / SHEAR_PERIOD_MM
    waves = np.array(
        [
            np.sin(y + phases[0]) + np.sin(z + phases[1]),
            np.sin(x + phases[2]) + np.sin(z + phases[3]),
            np.sin(x + phases[4]) + np.sin(y + phases[5]),
        ]
    )
    return np.asarray(spot + SHEAR_MM * waves)
