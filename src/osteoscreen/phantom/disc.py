"""A disc between two bodies: nucleus, ring, and the gas and lime that wear leaves in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.surface import covered
from osteoscreen.phantom.vertebra import Vertebra, beside

ANNULUS_HU = 25.0
"""How much denser the rim of a disc is than its middle."""
BULGE_MM = 0.7
"""The ring bulges a little beyond both rims."""
INTO_BODY_MM = 14.0
"""How far a disc can reach into the body above: into a biconcave fracture, or a Schmorl's node."""
EDGE = 0.08
"""Relative radius over which gas and lime fade out."""


@dataclass(frozen=True)
class Gas:
    """A cleft of gas half way between the endplates: the vacuum phenomenon.

    Args:
        reach: Its relative radius, 1 at the rim of the disc.
        waves: Amplitude and phase of its harmonics from the first on, shares of the radius.
        thick_mm: Its thickness.
        hu: Attenuation of the gas and what is between it.
    """

    reach: float
    waves: tuple[tuple[float, float], ...]
    thick_mm: float
    hu: float

    def share(self, core: Array, angle: Array, across_mm: Array) -> Array:
        """Return how much of each point is gas, 0 to 1.

        Args:
            core: Relative radius in the disc.
            angle: Direction from its axis, radians.
            across_mm: Distance from the middle between the endplates.
        """
        reach = np.full_like(core, self.reach)
        for order, (size, phase) in enumerate(self.waves, start=1):
            reach += np.float32(self.reach * size) * np.cos(order * angle + np.float32(phase))
        inside = np.clip((reach - core) / np.float32(EDGE), 0, 1)
        return np.asarray(inside * (np.abs(across_mm) < np.float32(self.thick_mm / 2)))


@dataclass(frozen=True)
class Lime:
    """A calcified part of the ring.

    Args:
        angle: Direction of its middle, radians from left (0) to back (pi / 2).
        breadth: Over which angle it fades to the sides, radians.
        radius: Relative radius of its middle.
        thickness: Its thickness along the radius, relative.
        tall_mm: Its height.
        hu: Attenuation.
    """

    angle: float
    breadth: float
    radius: float
    thickness: float
    tall_mm: float
    hu: float

    def share(self, core: Array, angle: Array, across_mm: Array) -> Array:
        """Return how much of each point is lime, 0 to 1; see ``Gas.share``."""
        within = self.thickness / 2 - np.abs(core - np.float32(self.radius))
        inside = np.clip(within / np.float32(EDGE) + np.float32(0.5), 0, 1)
        inside *= np.abs(across_mm) < np.float32(self.tall_mm / 2)
        return np.asarray(beside(angle, self.angle, self.breadth) * inside)


@dataclass(frozen=True)
class Disc:
    """What wear has left in a disc; by default nothing.

    Args:
        lime: Calcified parts.
        gas: Clefts of gas.
    """

    lime: tuple[Lime, ...] = ()
    gas: tuple[Gas, ...] = ()


PLAIN = Disc()


def paint_disc(
    disc: Disc, bodies: tuple[Vertebra, Vertebra], plane: Plane, hu: Array, disc_hu: float
) -> None:
    """Paint a disc over a plane, in place; bodies are painted after it.

    Args:
        disc: What is in it.
        bodies: The vertebrae above and below.
        plane: Where to paint.
        hu: Shape (rows, columns).
        disc_hu: Attenuation between nucleus and ring.
    """
    above, below = bodies
    half, reach = above.width_mm / 2 + 6, -above.height_mm / 2
    tall = (reach - above.disc_mm - 12, reach + INTO_BODY_MM)
    window = above.frame.window(((-half, half), (-half, half), tall), plane)
    if window is None:
        return
    part = plane.part(window)
    local_above, local_below = above.frame.local(part), below.frame.local(part)
    between = (
        (local_above[2] < 0) & (local_below[2] > 0) & (np.hypot(*local_above[:2]) < 1.4 * half)
    )
    if not between.any():
        return
    u, v, w = (axis[between] for axis in local_above)
    u_below, v_below, w_below = (axis[between] for axis in local_below)
    lower = u_below, v_below, w_below
    relative_above, wall_above = above.wall((u, v, w))
    relative_below, wall_below = below.wall(lower)
    to_above = -above.plate_depth(above.lower, relative_above, (u, v, -w))
    to_below = -below.plate_depth(below.upper, relative_below, lower)
    # Beside a body there is no disc, but for the pixel that the endplate shares with it.
    inside = np.minimum(
        np.minimum(wall_above, wall_below) + np.float32(BULGE_MM),
        np.minimum(to_above, to_below) + np.float32(plane.pixel_mm),
    )
    cover = covered(inside, plane.pixel_mm)
    core = np.float32(0.5) * (relative_above + relative_below)
    values = np.float32(disc_hu) + np.float32(ANNULUS_HU) * (core - np.float32(0.6))
    worn: tuple[Lime | Gas, ...] = (*disc.lime, *disc.gas)
    if worn:
        across, angle = np.float32(0.5) * (to_above - to_below), np.arctan2(v, u)
        for one in worn:
            values += one.share(core, angle, across) * (np.float32(one.hu) - values)
    view = hu[window]
    view[between] += cover * (values - view[between])
