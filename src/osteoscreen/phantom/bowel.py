"""Stomach, duodenum, small bowel and colon: tubes with a wall, a filling and an air-fluid level.

The patient lies on the back, so gas rises to the front and levels stand across y.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane, Window
from osteoscreen.phantom.solid import OUTSIDE_MM, Tube
from osteoscreen.phantom.tissue import Tissues

GAS_HU = -950.0
STOOL_HU = 25.0
STOOL_GAS_HU = -700.0
FOOD_HU = 45.0
"""Contents that do not differ between patients: chosen settings."""


class Filling(IntEnum):
    """What a part of the bowel holds below its air-fluid level."""

    COLLAPSED = 0
    FLUID = 1
    STOOL = 2
    FOOD = 3
    CONTRAST = 4


@dataclass(frozen=True)
class Gut:
    """One tube of the gut.

    Args:
        tube: Its outer surface.
        filling: What each ball of the tube holds.
        level_mm: For each ball, the y in front of which there is gas; -1e3 for no gas.
        wall_mm: Thickness of the wall.
    """

    tube: Tube
    filling: tuple[int, ...]
    level_mm: tuple[float, ...]
    wall_mm: float

    def cut(self, plane: Plane) -> tuple[Window, Array, NDArray[np.int32]] | None:
        """Cut the tube; the last array names the ball that each point lies deepest in."""
        cut = self.tube.cut(plane)
        if cut is None:
            return None
        window, depth = cut
        return window, depth, self._nearest(plane.part(window), depth)

    def _nearest(self, part: Plane, depth: Array) -> NDArray[np.int32]:
        points = np.array(self.tube.points_mm, np.float32)
        reach = points[:, 3] ** 2 - (points[:, 2] - part.z_mm) ** 2
        nearest = np.zeros(depth.shape, np.int32)
        deepest = np.full(depth.shape, OUTSIDE_MM, np.float32)
        # Every other ball is enough to say what is inside.
        for index in np.flatnonzero(reach > 0)[::2]:
            x, y, _, radius = points[index]
            wide = float(np.sqrt(reach[index])) + 1
            spot = part.window((x - wide, x + wide), (y - wide, y + wide))
            if spot is None:
                continue
            dx, dy = part.x[spot] - x, part.y[spot] - y
            own = radius * radius - dx * dx - dy * dy
            wins = own > deepest[spot]
            deepest[spot][wins] = own[wins]
            nearest[spot][wins] = index
        return nearest


def gut_hu(
    gut: Gut,
    tissues: Tissues,
    part: Plane,
    inside: tuple[Array, NDArray[np.int32]],
    grains: tuple[Array, Array],
) -> Array:
    """Return the attenuation inside a tube of the gut.

    Args:
        gut: Which.
        tissues: Attenuation of the tissues.
        part: The window of the cut.
        inside: Depth below the outer surface in mm, and the ball that each point belongs to.
        grains: Unit fields, fine and coarse, of the same shape.
    Returns: HU of that shape.
    """
    depth, nearest = inside
    fine, coarse = grains
    filling = np.array(gut.filling, np.int8)[nearest]
    level = np.array(gut.level_mm, np.float32)[nearest]
    radius = np.array(gut.tube.points_mm, np.float32)[:, 3][nearest]
    hu = tissues.bowel + 7 * fine + 5 * coarse
    hu = np.where(filling == Filling.STOOL, _stool(fine, coarse), hu)
    hu = np.where(filling == Filling.FOOD, FOOD_HU + 22 * fine + 16 * coarse, hu)
    hu = np.where(filling == Filling.CONTRAST, np.float32(tissues.oral_contrast), hu)
    mucosa = tissues.bowel_wall + 4 * coarse
    limp = mucosa - 14 * np.clip(depth / np.maximum(radius, 1) - 0.35, 0, 1)
    hu = np.where(filling == Filling.COLLAPSED, limp, hu)
    gas = (part.rigid_y < level) & (filling != Filling.COLLAPSED)
    hu = np.where(gas, np.float32(GAS_HU), hu)
    wall = gut.wall_mm * (1 + 0.25 * coarse) + 0.5 * np.maximum(fine - 1, 0)
    return np.asarray(np.where(depth < wall, mucosa, hu), np.float32)


def _stool(fine: Array, coarse: Array) -> Array:
    """Mottled, with small pockets of gas."""
    mix = fine + 0.6 * coarse
    pocket = np.clip((mix - 0.75) / 0.5, 0, 1)
    solid = STOOL_HU + 28 * fine - 14 * coarse
    return np.asarray(solid + pocket * (STOOL_GAS_HU - solid), np.float32)


def fill(
    rng: np.random.Generator,
    tube: Tube,
    shares: dict[Filling, float],
    *,
    gas: tuple[float, float],
    length_mm: float,
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Draw what a tube holds, stretch by stretch.

    Args:
        rng: Source of every draw.
        tube: Which.
        shares: How often each filling comes.
        gas: How often a stretch holds gas, and the largest share of its depth that it takes.
        length_mm: Mean length of a stretch.
    Returns: Filling and level of each ball.
    """
    points = np.array(tube.points_mm)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1))])
    kinds, weights = list(shares), np.array(list(shares.values()))
    filling = np.zeros(len(points), int)
    level = np.full(len(points), -1e3)
    start = 0.0
    while start <= along[-1]:
        stop = start + length_mm * float(rng.uniform(0.5, 1.6))
        here = (along >= start) & (along < stop)
        filling[here] = int(kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))])
        has_gas, part = rng.random() < gas[0], rng.uniform(0.1, 1.0) * gas[1]
        if here.any() and has_gas:
            front = (points[here, 1] - points[here, 3]).min()
            back = (points[here, 1] + points[here, 3]).max()
            level[here] = front + part * (back - front)
            filling[here] = np.where(
                filling[here] == Filling.COLLAPSED, Filling.FLUID, filling[here]
            )
        start = stop
    return tuple(int(one) for one in filling), tuple(float(one) for one in level)
