"""Capsules, and the smooth bones that unions of them make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane, Window

Place = tuple[float, float, float]
Size = NDArray[np.float64]

OUTSIDE_MM = -50.0
"""Depth where no part of a bone is near."""
NEAR_MM = 4.0
"""Farthest outside that the depth of a part is still wanted: joints and ligaments reach less."""
BLEND_MM = 2.5
"""Width over which two parts of a bone flow into each other."""


@dataclass(frozen=True)
class Capsule:
    """A segment with an elliptic radius, in local coordinates.

    Args:
        start, end: Ends of the segment (u, v, w), mm.
        radius: Half axes (u, v, w) of the ellipsoid swept along it, mm.
    """

    start: Place
    end: Place
    radius: Place

    def depth(self, local: tuple[Array, Array, Array]) -> Array:
        """Return the depth below the surface in mm; negative outside.

        Args:
            local: Coordinates (u, v, w), each of one shape.
        Returns: Depth of that shape, to first order in the distance from the surface.
        """
        radius = np.array(self.radius, np.float32)
        axis = (np.array(self.end, np.float32) - np.array(self.start, np.float32)) / radius
        q = [(local[i] - np.float32(self.start[i])) / radius[i] for i in range(3)]
        along = (q[0] * axis[0] + q[1] * axis[1] + q[2] * axis[2]) / np.float32(axis @ axis + 1e-6)
        np.clip(along, 0, 1, out=along)
        for i in range(3):
            q[i] -= along * axis[i]
        relative = np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]) + np.float32(1e-6)
        slope = np.sqrt(sum((q[i] / radius[i]) ** 2 for i in range(3))) / relative
        return np.asarray((1 - relative) / np.maximum(slope, 1 / radius.max()), dtype=np.float32)

    def bounds(self) -> tuple[tuple[float, float], ...]:
        """Return the lowest and highest coordinate along each local axis, mm."""
        return tuple(
            (min(a, b) - r, max(a, b) + r) for a, b, r in zip(self.start, self.end, self.radius)
        )


@dataclass(frozen=True, eq=False)
class Frame:
    """Place and direction of a bone.

    Args:
        centre_mm: Origin of the local coordinates (x, y, z) in the patient frame.
        axes: Rotation, rows are the local axes u, v, w in the patient frame.
    """

    centre_mm: Place
    axes: Array

    def local(self, plane: Plane) -> tuple[Array, Array, Array]:
        """Turn the coordinates of an axial plane into local ones, (u, v, w) in mm."""
        dx = plane.x - np.float32(self.centre_mm[0])
        dy = plane.y - np.float32(self.centre_mm[1])
        dz = np.float32(plane.z_mm - self.centre_mm[2])
        rows = [axis[0] * dx + axis[1] * dy + axis[2] * dz for axis in self.axes]
        return rows[0], rows[1], rows[2]

    def window(self, bounds: tuple[tuple[float, float], ...], plane: Plane) -> Window | None:
        """Return the part of a plane that a box in local coordinates can reach, if any."""
        low, high = self.limits(np.array(bounds))
        if not low[2] < plane.z_mm < high[2]:
            return None
        return plane.window((low[0], high[0]), (low[1], high[1]))

    def limits(self, bounds: Size) -> tuple[Size, Size]:
        """Return the lowest and highest (x, y, z) in the patient frame of boxes.

        Args:
            bounds: Lowest and highest coordinate along each local axis, shape (..., 3, 2).
        Returns: Two arrays of shape (..., 3).
        """
        middle = bounds.mean(axis=-1) @ self.axes + np.array(self.centre_mm)
        # A turned box reaches as far as the sum of its half sides along each axis.
        reach = (bounds[..., 1] - bounds[..., 0]) / 2 @ np.abs(self.axes)
        return middle - reach, middle + reach


def union_depth(parts: tuple[Capsule, ...], frame: Frame, plane: Plane) -> Array | None:
    """Return the depth below the surface of a bone made of capsules.

    Args:
        parts: Capsules in local coordinates; where two meet the surface is rounded.
        frame: Where the bone is.
        plane: Where to look.
    Returns: Depth in mm, shape (rows, columns), at least down to ``-NEAR_MM`` and ``OUTSIDE_MM``
        far away; ``None`` if no part is near the plane.
    """
    depth = None
    boxes = np.array([part.bounds() for part in parts], np.float64).reshape(-1, 3, 2)
    boxes += np.array([-NEAR_MM, NEAR_MM])
    for part, low, high in zip(parts, *frame.limits(boxes)):
        if not low[2] < plane.z_mm < high[2]:
            continue
        window = plane.window((low[0], high[0]), (low[1], high[1]))
        if window is None:
            continue
        if depth is None:
            depth = np.full(plane.x.shape, OUTSIDE_MM, np.float32)
        depth[window] = smooth_maximum(depth[window], part.depth(frame.local(plane.part(window))))
    return depth


def smooth_maximum(one: Array, other: Array) -> Array:
    """Return the larger of two depths, with a fillet of ``BLEND_MM`` where they are equal."""
    share = np.clip(np.float32(0.5) + (other - one) / np.float32(2 * BLEND_MM), 0, 1)
    return np.asarray(
        one + share * (other - one) + np.float32(BLEND_MM) * share * (1 - share), np.float32
    )
