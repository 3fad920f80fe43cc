"""The sacrum: its bodies, wings and foramina, and the iliac bones that hold it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from osteoscreen.phantom.capsule import OUTSIDE_MM, Capsule, union_depth
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.vertebra import Vertebra

Band = tuple[tuple[float, float, float], ...]
"""Points of one height: left, back and half of the thickness there, mm."""

ILIUM_MM: tuple[tuple[float, Band], ...] = (
    (56.0, ((80, 34, 2), (87, 25, 3), (93, 15, 3), (98, 6, 2))),
    (42.0, ((62, 42, 4), (82, 23, 4.5), (101, -2, 4), (114, -24, 4))),
    (22.0, ((50, 48, 7), (72, 21, 5.5), (103, -14, 3.5), (124, -46, 5))),
    (0.0, ((44, 52, 8.5), (66, 17, 7.5), (99, -22, 3), (124, -60, 5.5))),
    (-20.0, ((43, 54, 8.5), (62, 17, 8.5), (91, -24, 3.5), (118, -66, 5.5))),
    (-42.0, ((47, 48, 7), (60, 17, 9), (86, -24, 5), (110, -62, 6.5))),
    (-64.0, ((58, 30, 6), (66, 8, 9.5), (86, -22, 9), (102, -46, 8))),
    (-80.0, ((66, 14, 8), (76, -6, 11), (88, -24, 11), (98, -40, 9))),
)
"""The left iliac bone as bands: height over S1, and four points of its middle (left, back) with
half its thickness, mm, against the centre of S1. Chosen to look right beside public CT."""


@dataclass(frozen=True, eq=False)
class Sacrum:
    """The sacrum and the iliac bones.

    Args:
        bodies: S1 to S3, from the head down.
        wings: Parts of each body's wings and back wall, in its coordinates.
        holes: Foramina and canal, in the same.
        scale: Size of the pelvis.
    """

    bodies: tuple[Vertebra, ...]
    wings: tuple[tuple[Capsule, ...], ...]
    holes: tuple[tuple[Capsule, ...], ...]
    scale: float

    def depth(self, plane: Plane) -> Array | None:
        """Return the depth below the surface of wings and back wall in mm, if any is near."""
        depth = None
        for body, wings in zip(self.bodies, self.wings):
            found = union_depth(wings, body.frame, plane)
            if found is not None:
                depth = found if depth is None else np.maximum(depth, found)
        if depth is None:
            return None
        for body, holes in zip(self.bodies, self.holes):
            hole = union_depth(holes, body.frame, plane)
            if hole is not None:
                depth = np.minimum(depth, -hole)
        return depth

    def ilium_depth(self, plane: Plane, side: int) -> Array | None:
        """Return the depth below the surface of one iliac bone in mm, if it is near.

        Args:
            plane: Where to look.
            side: 1 for the left one, -1 for the right one.
        """
        x, y, z = self.bodies[0].centre_mm
        band = _band((plane.z_mm - z) / self.scale)
        if band is None:
            return None
        points = band * self.scale + np.array([0, y, 0], np.float32)
        u = side * (plane.x - np.float32(x))
        low, high = points[:, 0] - points[:, 2] - 3, points[:, 0] + points[:, 2] + 3
        sides = sorted((side * low.min() + x, side * high.max() + x))
        backs = (
            float((points[:, 1] - points[:, 2]).min()) - 3,
            float((points[:, 1] + points[:, 2]).max()) + 3,
        )
        window = plane.window((float(sides[0]), float(sides[1])), backs)
        if window is None:
            return None
        depth = np.full(plane.x.shape, OUTSIDE_MM, np.float32)
        depth[window] = _band_depth(points, u[window], plane.y[window])
        return depth


def _band(height_mm: float) -> Array | None:
    heights = [height for height, _ in ILIUM_MM]
    if not heights[-1] <= height_mm <= heights[0]:
        return None
    table = np.array([knot for _, knot in ILIUM_MM], np.float32)
    flat = table.reshape(len(heights), -1)
    order = np.argsort(heights)
    rising = np.array(heights)[order]
    values = [np.interp(height_mm, rising, flat[order, column]) for column in range(flat.shape[1])]
    return np.array(values, np.float32).reshape(table.shape[1:])


def _band_depth(points: Array, u: Array, v: Array) -> Array:
    """Depth below a chain of segments whose half thickness changes along them."""
    depth = np.full(u.shape, OUTSIDE_MM, np.float32)
    for start, end in pairwise(points):
        du, dv = end[0] - start[0], end[1] - start[1]
        share = ((u - start[0]) * du + (v - start[1]) * dv) / np.float32(du * du + dv * dv)
        share = np.clip(share, 0, 1)
        away = np.hypot(u - start[0] - share * du, v - start[1] - share * dv)
        depth = np.maximum(depth, start[2] + share * (end[2] - start[2]) - away)
    return depth


def draw_sacrum(rng: np.random.Generator, bodies: tuple[Vertebra, ...], scale: float) -> Sacrum:
    """Draw the sacrum around its bodies.

    Args:
        rng: Source of every draw.
        bodies: S1 to S3, already in place.
        scale: Size of the person.
    Returns: The sacrum with the iliac bones.
    """
    wide = scale * rng.normal(1, 0.04)
    wings, holes = [], []
    for body, plan in zip(bodies, ((51, 17, 13.0), (47, 13, 12.0), (36, 11, 9.5))):
        back, half = body.depth_mm / 2, body.width_mm / 2
        wings.append(_wings(body, (plan[0] * wide, plan[1] * wide, plan[2] * wide)))
        drop = -body.height_mm / 2 - 1
        foramina = tuple(
            Capsule(
                (side * (0.62 * half + 5), 0.35 * back, drop),
                (side * (0.62 * half + 4), back + 26, drop - 2),
                (4.6 * wide, 4.6, 5.2 * wide),
            )
            for side in (-1, 1)
        )
        canal = Capsule((0, back + 6.5, -18), (0, back + 7, 22), (0.5 * half, 5.5 * wide, 6))
        holes.append((*foramina, canal))
    wings[0] += tuple(
        # Upper articular processes of S1.
        Capsule(
            (side * 20 * wide, bodies[0].depth_mm / 2 + 11, 6),
            (side * 22 * wide, bodies[0].depth_mm / 2 + 9, 0.72 * bodies[0].height_mm),
            (4.6, 6.2, 5),
        )
        for side in (-1, 1)
    )
    return Sacrum(bodies, tuple(wings), tuple(holes), wide)


def _wings(body: Vertebra, plan: tuple[float, float, float]) -> tuple[Capsule, ...]:
    reach, behind, thick = plan
    back, tall = body.depth_mm / 2, 0.52 * body.height_mm
    parts = [
        Capsule((0, back + 17, -4), (0, back + 22, -6), (3.2, 6, 0.8 * tall)),
    ]
    for side in (-1, 1):
        parts += [
            Capsule((side * 15, 4, 0), (side * reach, behind, -3), (thick, thick * 0.9, tall)),
            Capsule((side * 0.8 * reach, behind, -3), (side * 16, back + 13, -4), (7, 5.5, tall)),
            Capsule((side * 17, back + 13, -4), (0, back + 17, -5), (4, 3.2, 0.9 * tall)),
        ]
    return tuple(parts)
