"""Where a synthetic patient is cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.bundle import PLACES
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.phantom import Patient, Scan

TARGET_LEVELS = ("L1", "L2", "L3", "L4")
"""The levels that DXA measures and the paper's slices show."""

BODY_MIDDLE = 0.2
"""Slices at a level lie within this share of the body's height from its middle."""

USUAL_COUNT = 5
"""Lumbar vertebrae of most people."""

PELVIS_MM = 45.0
"""How far below the middle of S1 the scattered slices begin: pelvis without a vertebra to mark."""


LUMBOSACRAL_SHARE = 0.2
"""Scattered slices that are drawn between S1 and L4, beside those that fall there by chance: steep
endplates, and a sacrum that is not to be marked, are hard to tell."""


CHEST_SHARE = 0.75
"""Slices of the preset ``elsewhere`` that show the chest; the others show the pelvis."""
CHEST_MM, PELVIS_BELOW_MM = (-60.0, 12.0), (-115.0, -25.0)
"""Where they lie, from the middle of T10 and of S1."""


@dataclass(frozen=True)
class Place:
    """Where one slice lies.

    Args:
        z_mm: Height of its centre in the patient frame.
        level: The vertebra that is meant or nearest, or ``"above"`` or ``"below"`` all that have a
            name; ``None`` where lumbar vertebrae are more or less than five.
    """

    z_mm: float
    level: str | None = None


def slice_places(
    patient: Patient, scan: Scan, plan: CohortPlan, rng: np.random.Generator
) -> list[Place]:
    """Choose where to cut.

    Args:
        patient: Who.
        scan: How; a series is cut at its thickness.
        plan: Which slices are wanted.
        rng: Source of the heights.
    Returns: The places, from the head down, no two at one height.
    """
    if plan.is_series:
        low = patient.spine.vertebra("S1").centre_mm[2]
        high = patient.spine.vertebra("T12").centre_mm[2]
        return [Place(float(z)) for z in np.arange(high, low, -scan.thickness_mm)]
    if plan.preset is Preset.RANDOMISED:
        low = patient.spine.vertebra("S1").centre_mm[2] - PELVIS_MM
        high = patient.spine.vertebra("T10").centre_mm[2]
        steep = patient.spine.vertebra("L4").centre_mm[2]
        heights = rng.uniform(low, high, plan.slices_each)
        again = rng.random(plan.slices_each) < LUMBOSACRAL_SHARE
        heights[again] = rng.uniform(low + PELVIS_MM, steep, plan.slices_each)[again]
        return [Place(float(z), nearest_level(patient, z)) for z in np.sort(heights)[::-1]]
    if plan.preset is Preset.ELSEWHERE:
        return _elsewhere(patient, plan.slices_each, rng)
    places: list[Place] = []
    for index, level in enumerate(TARGET_LEVELS):
        count = len(range(index, plan.slices_each, len(TARGET_LEVELS)))
        places += _through(patient, level, count, rng)
    return sorted(places, key=lambda place: -place.z_mm)


def nearest_level(patient: Patient, z_mm: float) -> str | None:
    """Name the vertebra whose middle is nearest to a height, as LevelNet shall."""
    if patient.spine.shape.lumbar_count != USUAL_COUNT:
        return None
    level = min(patient.spine.bodies, key=lambda one: abs(one.centre_mm[2] - z_mm)).level
    return level if level in PLACES else "below"


def _elsewhere(patient: Patient, count: int, rng: np.random.Generator) -> list[Place]:
    """Cut the chest and the pelvis, the chest first."""
    top, bottom = (patient.spine.vertebra(level).centre_mm[2] for level in ("T10", "S1"))
    chest = round(CHEST_SHARE * count)
    heights = [
        *(top + rng.uniform(*CHEST_MM, chest)),
        *(bottom + rng.uniform(*PELVIS_BELOW_MM, count - chest)),
    ]
    names = ["above"] * chest + ["below"] * (count - chest)
    places = [Place(float(z), name) for z, name in zip(heights, names)]
    return sorted(places, key=lambda place: -place.z_mm)


def _through(patient: Patient, level: str, count: int, rng: np.random.Generator) -> list[Place]:
    """Cut the middle of a body at equal distances, beginning anywhere."""
    vertebra = patient.spine.vertebra(level)
    begin = rng.random() if count else 0.0
    shares = BODY_MIDDLE * (2 * (np.arange(count) + begin) / max(count, 1) - 1)
    return [
        Place(float(vertebra.centre_mm[2] + share * vertebra.height_mm), level) for share in shares
    ]
