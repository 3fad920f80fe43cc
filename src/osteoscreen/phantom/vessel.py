"""Vessels, and calcified plaque in the wall of the aorta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.solid import Loft, Solid
from osteoscreen.phantom.tissue import Tissues


@dataclass(frozen=True)
class Vessel:
    """One vessel.

    Args:
        blood: Field of ``Tissues`` that it holds: ``aorta``, ``blood`` or ``portal``.
        solid: Its outer surface.
        is_great: Whether it pushes other organs aside; small ones run in the fat between.
    """

    blood: str
    solid: Solid
    is_great: bool = True


@dataclass(frozen=True)
class Plaque:
    """A calcified patch in the wall of the aorta.

    Args:
        z_mm, half_height_mm: Where along the aorta.
        angle, half_angle: Where around it, radians.
        thickness_mm: How deep.
        density_share: Attenuation against that of ``Tissues.plaque``, 1 the same.
    """

    z_mm: float
    half_height_mm: float
    angle: float
    half_angle: float
    thickness_mm: float
    density_share: float


@dataclass(frozen=True)
class Vessels:
    """All vessels of one trunk.

    Args:
        aorta: The aorta down to its fork.
        plaques: Calcified patches in it.
        others: Everything else, the great ones first.
        hepatic: Vessels inside the liver.
    """

    aorta: Loft
    plaques: tuple[Plaque, ...]
    others: tuple[Vessel, ...]
    hepatic: tuple[Vessel, ...]


def plaque_hu(vessels: Vessels, tissues: Tissues, part: Plane, depth: Array, hu: Array) -> Array:
    """Return the attenuation inside the aorta with its calcified wall.

    Args:
        vessels: The vessels.
        tissues: Attenuation of the tissues.
        part: Window of the aorta.
        depth: Depth below its surface in mm.
        hu: Attenuation of the blood there.
    Returns: HU of the shape of the window.
    """
    knot = vessels.aorta.at(part.z_mm)
    if knot is None:
        return hu
    wall = (depth < 1.3) & (depth > 0)
    hu = np.where(wall, np.float32(0.5) * (hu + np.float32(tissues.muscle)), hu)
    near = [one for one in vessels.plaques if abs(part.z_mm - one.z_mm) < one.half_height_mm]
    if not near:
        return hu
    angle = np.arctan2(part.y - np.float32(knot.y_mm), part.x - np.float32(knot.x_mm))
    for one in near:
        lift = np.sqrt(1 - ((part.z_mm - one.z_mm) / one.half_height_mm) ** 2)
        away = np.abs((angle - np.float32(one.angle) + np.pi) % (2 * np.pi) - np.pi)
        thick = one.thickness_mm * lift * np.clip(1.3 - away / (one.half_angle * lift + 0.01), 0, 1)
        hu = np.where(
            (depth > 0.2) & (depth < 0.2 + thick),
            np.float32(tissues.plaque * one.density_share),
            hu,
        )
    return np.asarray(hu, np.float32)


PLAQUES_A_YEAR, PLAQUES_FROM_YEARS = 0.8, 42
"""Mean number of patches for each year beyond that age."""
PLAQUES_SHAPE = 0.7
"""Shape of the gamma law between patients: many have few, and some a shell of lime around an aorta
that the agent makes as bright as cancellous bone (a chosen setting)."""


def draw_plaques(rng: np.random.Generator, age: float, lime: float = 1.0) -> tuple[Plaque, ...]:
    """Draw the calcified patches of an aorta.

    Args:
        rng: Source of every draw.
        age: Years: before 42 there are none.
        lime: Factor on their number; above 1 they reach farther around, too.
    Returns: The patches, most of them low.
    """
    burden = rng.gamma(PLAQUES_SHAPE, 1 / PLAQUES_SHAPE)
    count = int(rng.poisson(max(age - PLAQUES_FROM_YEARS, 0) * PLAQUES_A_YEAR * burden * lime))
    return tuple(
        Plaque(
            z_mm=float(rng.beta(1.0, 1.4) * 240 - 42),
            half_height_mm=float(rng.uniform(2, 14)),
            angle=float(rng.uniform(-np.pi, np.pi)),
            half_angle=float(rng.uniform(0.15, 1.1 if lime <= 1 else 1.9)),
            thickness_mm=float(rng.uniform(0.9, 3.2)),
            density_share=float(rng.uniform(0.45, 1.5)),
        )
        for _ in range(count)
    )
