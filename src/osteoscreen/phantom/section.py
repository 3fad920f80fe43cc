"""One cross-section of a trunk, and how deep each point of a plane lies below its layers.

Angles run from left (0) to back (pi / 2) around a centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane

Curve = NDArray[np.float32]
"""A value at each of ``ANGLES``."""

ANGLES = np.linspace(-np.pi, np.pi, 1440, endpoint=False).astype(np.float32)
COS, SIN = np.cos(ANGLES), np.sin(ANGLES)

BEHIND_BODY_MM = 28.0
"""How far behind the centre of the column the cavity reaches at its sides."""


@dataclass(frozen=True, eq=False)
class Section:
    """The outline at one height.

    Args:
        centre_mm: Where the angles are measured from (x, y).
        column_mm: Centre of the column (x, y).
        z_mm: Height.
        skin: Radius of the skin by angle, mm.
        slant: Cosine between the radius and the normal of the skin.
        fat: Thickness of skin and subcutaneous fat.
        wall: Thickness of the muscular wall below it.
        back_limit: Where the cavity ends behind: distances from the midline, and how far behind the
            centre of the column.
    """

    centre_mm: tuple[float, float]
    column_mm: tuple[float, float]
    z_mm: float
    skin: Curve
    slant: Curve
    fat: Curve
    wall: Curve
    back_limit: tuple[Curve, Curve]

    def place(self, angle: float, below_mm: float) -> tuple[float, float]:
        """Return the point (x, y) at an angle and a depth below the skin, mm."""
        index = _index(angle)
        radius = float(self.skin[index] - below_mm / self.slant[index])
        return (
            self.centre_mm[0] + radius * float(np.cos(angle)),
            self.centre_mm[1] + radius * float(np.sin(angle)),
        )

    def layer_mm(self, angle: float) -> tuple[float, float]:
        """Return the thickness of skin with fat, and of the wall, at an angle, mm."""
        index = _index(angle)
        return float(self.fat[index]), float(self.wall[index])

    def cavity_box(self) -> tuple[float, float, float, float]:
        """Return right, left, front and back end of the cavity, mm."""
        inner = self.skin - (self.fat + self.wall) / self.slant
        x, y = self.centre_mm[0] + inner * COS, self.centre_mm[1] + inner * SIN
        back = self.column_mm[1] + BEHIND_BODY_MM
        return float(x.min()), float(x.max()), float(y.min()), float(back)

    def skin_box(self) -> tuple[float, float, float, float]:
        """Return right, left, front and back end of the skin, mm."""
        x, y = self.centre_mm[0] + self.skin * COS, self.centre_mm[1] + self.skin * SIN
        return float(x.min()), float(x.max()), float(y.min()), float(y.max())


def _index(angle: float) -> int:
    """Nearest lower place of an angle in ``ANGLES``."""
    return int((angle + np.pi) / (2 * np.pi) % 1 * len(ANGLES)) % len(ANGLES)


@dataclass(frozen=True, eq=False)
class Layers:
    """Depths of each point of a plane, mm, positive inside.

    Args:
        plane: Where.
        grains: Unit fields, fine and coarse, of the plane's shape.
        angle: Angle of the point.
        skin, fascia, cavity: Depth below the skin, below the subcutaneous fat and below the
            muscular wall, each of the plane's shape.
        wall: Thickness of the wall there.
        beside, behind: Distance left of and behind the centre of the column.
    """

    plane: Plane
    grains: tuple[Array, Array]
    angle: Array
    skin: Array
    fascia: Array
    cavity: Array
    wall: Array
    beside: Array
    behind: Array


def layers(section: Section, plane: Plane, grains: tuple[Array, Array]) -> Layers:
    """Measure a plane against the outline.

    Args:
        section: The outline at the height of the plane.
        plane: Where.
        grains: Unit fields, fine and coarse.
    Returns: The depths.
    """
    dx = plane.x - np.float32(section.centre_mm[0])
    dy = plane.y - np.float32(section.centre_mm[1])
    angle = np.arctan2(dy, dx)
    index = ((angle + np.float32(np.pi)) * np.float32(len(ANGLES) / (2 * np.pi))).astype(np.int32)
    np.minimum(index, len(ANGLES) - 1, out=index)
    skin = (section.skin[index] - np.hypot(dx, dy)) * section.slant[index]
    fascia = skin - section.fat[index]
    wall = section.wall[index]
    beside = plane.x - np.float32(section.column_mm[0])
    behind = plane.y - np.float32(section.column_mm[1])
    steps = np.arange(0, 260, dtype=np.float32)
    limit = np.interp(steps, *section.back_limit).astype(np.float32)
    reach = limit[np.minimum(np.abs(beside), np.float32(259)).astype(np.int32)]
    cavity = np.minimum(fascia - wall, reach - behind)
    return Layers(plane, grains, angle, skin, fascia, cavity, wall, beside, behind)
