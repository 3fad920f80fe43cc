"""The outline of a trunk: skin, subcutaneous fat, muscular wall and cavity, by height and angle.

Each cross-section is a curve around a centre; angles run from left (0) to back (pi / 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.column import Column
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.person import Person
from osteoscreen.phantom.section import ANGLES, COS, SIN, Curve, Section

SKIN_MM = 1.6
SPINOUS_MM = 60.0
"""How far a lumbar spinous process reaches behind the centre of its body, person of 1.68 m."""
LEAST_COVER_MM = 10.0
"""Skin and fat over the spinous processes of a thin person."""
COMPARTMENT_MM = (
    (-190, 26), (-140, 36), (-110, 46), (-75, 54), (-40, 58), (30, 58), (75, 54), (110, 48),
    (165, 44),
)  # fmt: skip
"""How far the muscles of the back reach behind the centre of the column, by height; the rest up to
the skin is fat."""
FOLLOW = 0.6
"""Share of the curve of the column that the skin of the back follows."""

BACK_LIMIT = {
    -120.0: ((0, 8), (22, 14), (45, 28), (80, 40), (140, 60)),
    -40.0: ((0, 8), (22, 14), (45, 23), (80, 28), (140, 40)),
    40.0: ((0, 8), (22, 13), (45, 24), (80, 31), (140, 45)),
    95.0: ((0, 6), (20, 12), (42, 27), (62, 33), (140, 40)),
}
"""Where the cavity ends behind, beside the column: (distance from the midline,
behind its centre), mm, by height."""


@dataclass(frozen=True)
class Outline:
    """The shape of one trunk.

    Args:
        column: The line through the vertebral bodies.
        half_width_mm: Half width at the waist, by height: (z, half width) rising.
        front_mm: Distance of the front skin from the origin, by height, positive.
        back_mm: Distance of the skin of the back from the column at L3.
        roundness: Exponents of the front and of the back half.
        waves: Individual form: (order, share, phase) of angular waves.
        fat_mm: Subcutaneous fat at the sides and in front, at the navel.
        wall_mm: Thickness of the side wall and of the rectus.
        groove_mm: Depth of the furrow over the spinous processes.
        navel_mm: Height of the navel.
        crest_mm, margin_mm: Heights of the iliac crest and of the lowest costal margin.
        scale: Size of the person.
        bone_back_mm: How far the sacrum reaches back, by height: (z, y) rising; the skin covers it.
    """

    column: Column
    half_width_mm: tuple[tuple[float, float], ...]
    front_mm: tuple[tuple[float, float], ...]
    back_mm: float
    roundness: tuple[float, float]
    waves: tuple[tuple[int, float, float], ...]
    fat_mm: tuple[float, float]
    wall_mm: tuple[float, float]
    groove_mm: float
    navel_mm: float
    crest_mm: float
    margin_mm: float
    scale: float
    bone_back_mm: tuple[tuple[float, float], ...] = ()

    @lru_cache(maxsize=64)  # noqa: B019 - an outline is small, and drawing asks often
    def section(self, z_mm: float) -> Section:
        """Return the cross-section at a height in mm."""
        column = self.column.at(z_mm)
        half_width = _along(self.half_width_mm, z_mm)
        back = self.back_mm + FOLLOW * column[1] + _along(((-190, 20), (-140, 10), (-85, 0)), z_mm)
        deep = self.groove_mm * _along(
            ((-180, 3.2), (-130, 1.6), (-60, 1), (60, 0.7), (150, 0.5)), z_mm
        )
        if self.bone_back_mm:
            back = max(back, _along(self.bone_back_mm, z_mm) + LEAST_COVER_MM + deep)
        front = -_along(self.front_mm, z_mm)
        centre = (0.35 * column[0], front + 0.55 * (back - front))
        radius = self._radius(half_width, centre[1] - front, back - centre[1])
        radius = _furrowed(radius, deep, column[0] - centre[0])
        slope = np.gradient(
            np.concatenate([radius[-2:], radius, radius[:2]]), ANGLES[1] - ANGLES[0]
        )
        slant = (1 / np.sqrt(1 + (slope[2:-2] / radius) ** 2)).astype(np.float32)
        x = radius * COS + centre[0] - column[0]
        dip = 11 * np.exp(-((x / 6) ** 2) - ((z_mm - self.navel_mm) / 8) ** 2) * (SIN < 0)
        fat = self._fat(z_mm, x, back - column[1])
        # The navel sinks into the fat; what lies under it stays where it is.
        dip = np.minimum(dip, fat - SKIN_MM).astype(np.float32)
        return Section(
            centre_mm=centre,
            column_mm=column,
            z_mm=z_mm,
            skin=radius - dip,
            slant=slant,
            fat=fat - dip * slant,
            wall=self._wall(z_mm, x),
            back_limit=_back_limit(z_mm),
        )

    def _radius(self, half_width: float, front: float, back: float) -> Curve:
        """Two half superellipses that meet at the sides, with the waves of one person."""
        half_depth = np.where(SIN < 0, front, back)
        n = np.where(SIN < 0, self.roundness[0], self.roundness[1])
        inverse = np.abs(COS / half_width) ** n + np.abs(SIN / half_depth) ** n
        radius = inverse ** (-1 / n)
        for order, share, phase in self.waves:
            # Waves fade behind, where the table presses the back flat.
            radius = radius * (1 + share * np.cos(order * ANGLES - phase) * (0.55 - 0.45 * SIN))
        return np.asarray(radius, np.float32)

    def _fat(self, z_mm: float, x: Curve, cover: float) -> Curve:
        side, front = self.fat_mm
        back = max(cover - self.scale * _along(COMPARTMENT_MM, z_mm) - SKIN_MM, 3.5)
        side *= _along(
            ((-170, 1.35), (-110, 1.25), (-60, 1.2), (0, 1), (60, 0.75), (120, 0.6)), z_mm
        )
        front *= _along(((-150, 1.3), (-60, 1.1), (0, 1), (70, 0.75), (130, 0.6)), z_mm)
        to_front, to_back = np.maximum(-SIN, 0) ** 1.5, np.maximum(SIN, 0) ** 1.5
        fat = side + (front - side) * to_front + (back - side) * to_back
        # Over the erector's outer edge the fat is thickest: the fascia curves in there.
        haunch = np.exp(-(((np.abs(x) - 84) / 24) ** 2)) * (SIN > 0)
        fat = fat * (1 + 0.35 * haunch * _along(((-100, 1), (60, 1), (100, 0.3)), z_mm))
        return np.asarray(SKIN_MM + np.maximum(fat, 2.0), np.float32)

    def _wall(self, z_mm: float, x: Curve) -> Curve:
        """Rectus in front, three layers at the side, thin behind, thin over the ribs."""
        side, rectus = self.wall_mm
        away = np.abs(x)
        above = _smooth((z_mm - self.margin_mm) / 45)
        below = _smooth((self.crest_mm - z_mm) / 45)
        flank = side * (1 - below * 0.55) * (1 - above) + 13.0 * above
        belly = rectus * np.sqrt(np.clip((away - 4) / 9, 0, 1)) * np.clip((82 - away) / 20, 0, 1)
        swell = 1 + sum(
            4 * share * np.cos((order + 3) * ANGLES + phase) for order, share, phase in self.waves
        )
        lateral = flank * swell * _smooth((away - 62) / 30)
        front = np.maximum(np.maximum(belly, lateral), 2.2)
        behind = np.maximum(flank * _smooth((away - 62) / 40) * (0.45 + 0.55 * (1 - SIN)), 2.5)
        behind = behind * (1 - above) + np.maximum(behind, 11.0) * above
        weight = _smooth(SIN * 2.5 + 0.5)
        wall = front * (1 - weight) + behind * weight
        # The side wall ends on the crest: below it the gluteal muscles lie under the fat.
        return np.asarray(wall * (1 - below * _smooth((SIN + 0.45) / 0.25)), np.float32)


def _furrowed(radius: Curve, deep: float, middle: float) -> Curve:
    """Sink the skin over the spinous processes, between the swell of the muscles beside them."""
    x = radius * COS - middle
    beside = np.exp(-(((np.abs(x) - 42) / 20) ** 2))
    furrow = deep * np.exp(-((x / 11) ** 2)) - 0.4 * deep * beside
    return np.asarray(radius - np.where(SIN > 0, furrow, 0), np.float32)


def _along(knots: tuple[tuple[float, float], ...], z_mm: float) -> float:
    """Interpolate smoothly between (height, value) knots that rise."""
    z, value = zip(*knots)
    index = int(np.clip(np.searchsorted(z, z_mm) - 1, 0, len(z) - 2))
    t = _smooth((z_mm - z[index]) / (z[index + 1] - z[index]))
    return float(value[index] + (value[index + 1] - value[index]) * t)


def _smooth(t: float | Array | NDArray[np.float64]) -> Array:
    t = np.clip(t, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _back_limit(z_mm: float) -> tuple[Curve, Curve]:
    heights = sorted(BACK_LIMIT)
    points = np.array([BACK_LIMIT[height] for height in heights], float)
    mixed = [
        [np.interp(z_mm, heights, points[:, i, j]) for i in range(points.shape[1])]
        for j in range(2)
    ]
    return np.array(mixed[0], np.float32), np.array(mixed[1], np.float32)


def draw_outline(
    rng: np.random.Generator,
    person: Person,
    column: Column,
    heights: tuple[float, float],
    bone_back_mm: tuple[tuple[float, float], ...] = (),
) -> Outline:
    """Draw the outline of a person.

    Args:
        rng: Source of every draw.
        person: Who.
        column: What the back follows.
        heights: Heights of the iliac crest and of the costal margin, mm.
        bone_back_mm: How far the sacrum reaches back, by height.
    Returns: The outline.
    """
    scale, plump, is_woman = person.scale, person.plumpness, person.sex == "F"
    waist = (134 + 52 * plump - 4 * is_woman) * scale * rng.normal(1, 0.03)
    chest = (136 + 30 * plump - 6 * is_woman) * scale * rng.normal(1, 0.025)
    hip = (148 + 42 * plump + 6 * is_woman) * scale * rng.normal(1, 0.03)
    belly = (104 + 62 * plump) * scale * rng.normal(1, 0.04)
    breast = (112 + 30 * plump) * scale * rng.normal(1, 0.03)
    apron = (94 + 48 * plump) * scale * rng.normal(1, 0.04)
    lean = (
        scale * (1.0 if is_woman else 1.12) * (1.08 - 0.3 * np.clip((person.age - 40) / 50, 0, 1))
    )
    fat = (1.12 if is_woman else 0.9) * rng.uniform(0.7, 1.3, 2)
    return Outline(
        column=column,
        half_width_mm=((-190, hip), (-120, 0.97 * hip), (0, waist), (60, waist), (150, chest)),
        front_mm=(
            (-190, 0.85 * apron),
            (-110, apron),
            (-15, belly),
            (60, 0.97 * belly),
            (160, breast),
        ),
        back_mm=float(SPINOUS_MM * scale + LEAST_COVER_MM + 26 * plump * rng.uniform(0.5, 1.2)),
        roundness=(float(rng.uniform(2.05, 2.35)), float(rng.uniform(2.5, 3.1))),
        waves=tuple(
            (
                order,
                float(np.clip(rng.normal(0, 0.01), -0.017, 0.017)),
                float(rng.uniform(0, 2 * np.pi)),
            )
            for order in (2, 3, 4, 5)
        ),
        fat_mm=(
            float((4 + 26 * plump) * fat[0]),
            float((4 + 32 * plump) * fat[1]),
        ),
        wall_mm=(
            float(rng.uniform(12.5, 19.5) * lean),
            float(rng.uniform(7, 11) * lean),
        ),
        groove_mm=float(rng.uniform(3, 6.5)),
        navel_mm=float(rng.normal(-30, 10)),
        crest_mm=heights[0],
        margin_mm=heights[1],
        scale=scale,
        bone_back_mm=bone_back_mm,
    )
