"""Solids of soft tissue and bone: ellipsoids, tubes and lofts, cut by an axial plane.

A cut is a window of the plane and the depth in millimetres below the surface there: positive
inside, exact in the middle of the thinnest direction and on the surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane, Window

Place = tuple[float, float, float]
Cut = tuple[Window, Array]

OUTSIDE_MM = -99.0
"""Depth of a point of a window that no part of a tube reaches."""


@dataclass(frozen=True)
class Blob:
    """An ellipsoid.

    Args:
        centre_mm, radius_mm: Centre and half axes (x, y, z).
        turn_rad: Rotation in the axial plane, from left to back.
    """

    centre_mm: Place
    radius_mm: Place
    turn_rad: float = 0.0

    def cut(self, plane: Plane) -> Cut | None:
        """Cut the solid; ``None`` if the plane misses it."""
        lift = (plane.z_mm - self.centre_mm[2]) / self.radius_mm[2]
        if abs(lift) >= 1:
            return None
        half = float(np.sqrt(1 - lift * lift))
        shape = (self.radius_mm[0] * half, self.radius_mm[1] * half)
        return _ellipse(plane, self.centre_mm[:2], shape, self.turn_rad)


@dataclass(frozen=True)
class Knot:
    """One cross-section of a loft.

    Args:
        z_mm: Height.
        x_mm, y_mm: Centre.
        rx_mm, ry_mm: Half axes before the turn.
        turn_rad: Rotation in the axial plane, from left to back.
    """

    z_mm: float
    x_mm: float
    y_mm: float
    rx_mm: float
    ry_mm: float
    turn_rad: float = 0.0


@dataclass(frozen=True)
class Loft:
    """A stack of ellipses, interpolated between knots; it ends at the lowest and highest knot.

    Args:
        knots: Cross-sections, rising.
        bend_per_mm: Curvature of the first axis: a crescent.
    """

    knots: tuple[Knot, ...]
    bend_per_mm: float = 0.0

    @cached_property
    def _table(self) -> NDArray[np.float64]:
        return np.array(
            [[k.z_mm, k.x_mm, k.y_mm, k.rx_mm, k.ry_mm, k.turn_rad] for k in self.knots]
        )

    def at(self, z_mm: float) -> Knot | None:
        """Return the cross-section at a height in mm; ``None`` beyond the ends."""
        table = self._table
        if not table[0, 0] <= z_mm <= table[-1, 0]:
            return None
        values = [float(np.interp(z_mm, table[:, 0], table[:, i])) for i in range(1, 6)]
        return Knot(z_mm, *values)

    def cut(self, plane: Plane) -> Cut | None:
        """Cut the solid; ``None`` if the plane misses it."""
        knot = self.at(plane.z_mm)
        if knot is None or min(knot.rx_mm, knot.ry_mm) < 0.3:
            return None
        shape = (knot.rx_mm, knot.ry_mm)
        return _ellipse(plane, (knot.x_mm, knot.y_mm), shape, knot.turn_rad, self.bend_per_mm)


@dataclass(frozen=True)
class Tube:
    """A union of balls along a line, close enough together to look like a tube.

    Args:
        points_mm: Centre and radius (x, y, z, r) of each ball.
        height: Height of a ball against its width: 1 round, more for a band on edge.
    """

    points_mm: tuple[tuple[float, float, float, float], ...]
    height: float = 1.0

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        return np.array(self.points_mm, np.float32).reshape(-1, 4)

    @cached_property
    def span_mm(self) -> tuple[float, float]:
        """Lowest and highest point along z."""
        table = self._table
        reach = table[:, 3] * self.height
        return float((table[:, 2] - reach).min()), float((table[:, 2] + reach).max())

    def cut(self, plane: Plane) -> Cut | None:
        """Cut the solid; ``None`` if the plane misses it."""
        if not self.span_mm[0] < plane.z_mm < self.span_mm[1]:
            return None
        table = self._table
        lift = ((table[:, 2] - plane.z_mm) / self.height) ** 2
        balls = table[lift < table[:, 3] ** 2]
        if not len(balls):
            return None
        lifts = ((balls[:, 2] - plane.z_mm) / self.height) ** 2
        reach = np.sqrt(balls[:, 3] ** 2 - lifts) + 0.5
        low, high = (balls[:, :2] - reach[:, None]).min(0), (balls[:, :2] + reach[:, None]).max(0)
        window = plane.window((low[0], high[0]), (low[1], high[1]))
        if window is None:
            return None
        part = plane.part(window)
        depth = np.full(part.x.shape, OUTSIDE_MM, np.float32)
        for (x, y, _, radius), rise, wide in zip(balls, lifts, reach):
            spot = part.window((x - wide, x + wide), (y - wide, y + wide))
            if spot is not None:
                dx, dy = part.x[spot] - x, part.y[spot] - y
                view = depth[spot]
                np.maximum(view, radius - np.sqrt(dx * dx + dy * dy + rise), out=view)
        return window, depth


Solid = Blob | Loft | Tube


def _ellipse(
    plane: Plane,
    centre: tuple[float, float],
    half: tuple[float, float],
    turn: float,
    bend: float = 0.0,
) -> Cut | None:
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    sag = abs(bend) * half[0] ** 2
    reach_x = float(np.hypot(half[0] * cos, half[1] * sin)) + sag
    reach_y = float(np.hypot(half[0] * sin, half[1] * cos)) + sag
    window = plane.window(
        (centre[0] - reach_x, centre[0] + reach_x), (centre[1] - reach_y, centre[1] + reach_y)
    )
    if window is None:
        return None
    dx, dy = plane.x[window] - np.float32(centre[0]), plane.y[window] - np.float32(centre[1])
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    if bend:
        across = across + np.float32(bend) * along * along
    relative = np.hypot(along / np.float32(half[0]), across / np.float32(half[1]))
    return window, np.asarray((1 - relative) * np.float32(min(half)), dtype=np.float32)


def smooth_tube(
    knots_mm: list[tuple[float, float, float, float]], *, height: float = 1.0, pitch: float = 0.4
) -> Tube:
    """Lay a tube through knots by a Catmull-Rom spline.

    Args:
        knots_mm: Places and radii (x, y, z, r) along the tube; at least two.
        height: See ``Tube``.
        pitch: Distance of the balls against the smallest radius.
    Returns: The tube.
    """
    knots = np.array(knots_mm, float)
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    step = max(pitch * float(knots[:, 3].min()), 0.6)
    points = []
    for i in range(1, len(padded) - 2):
        a, b, c, d = padded[i - 1 : i + 3]
        count = max(int(np.ceil(np.linalg.norm((c - b)[:3]) / step)), 1)
        t = (np.arange(count) / count)[:, None]
        points.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2)
            + 0.5 * (3 * b - a - 3 * c + d) * t**3
        )
    points.append(knots[-1:])
    line = np.vstack(points)
    line[:, 3] = np.maximum(line[:, 3], 0.4)
    return Tube(tuple((float(x), float(y), float(z), float(r)) for x, y, z, r in line), height)
