"""Attenuation of soft tissues, in Hounsfield units, with the spread between patients."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

AIR_HU = -1000.0
"""Hounsfield's scale: air is -1000, water 0."""

TISSUE_HU = {
    "skin": (30.0, 8.0),
    "fat": (-103.0, 6.0),
    "muscle": (56.0, 6.0),
    "liver": (56.0, 9.0),
    "spleen": (50.0, 5.0),
    "kidney": (33.0, 5.0),
    "blood": (42.0, 5.0),
    "disc": (85.0, 12.0),
    "thecal_sac": (28.0, 6.0),
    "bowel": (30.0, 10.0),
    "lung": (-830.0, 40.0),
    "plaque": (600.0, 150.0),
}
"""Mean and spread at 120 kVp without contrast: textbook ranges, checked by eye against public CT
(TotalSegmentator and VerSe examples)."""


@dataclass(frozen=True)
class Tissues:
    """Attenuation of each tissue of one patient, HU."""

    skin: float
    fat: float
    muscle: float
    liver: float
    spleen: float
    kidney: float
    blood: float
    aorta: float
    disc: float
    thecal_sac: float
    bowel: float
    lung: float
    plaque: float


def draw_tissues(rng: np.random.Generator, *, contrast: bool) -> Tissues:
    """Draw the tissues of one patient.

    Args:
        rng: Source of every draw.
        contrast: Whether an intravenous agent raises vessels, kidneys, liver and spleen; the
            amounts span arterial to late phase (aorta +30 to +320 HU, kidney +60 to +200).
    Returns: The tissues; without an agent the aorta is as dense as the other blood.
    """
    drawn = {
        name: mean + spread * float(rng.standard_normal())
        for name, (mean, spread) in TISSUE_HU.items()
    }
    drawn["aorta"] = drawn["blood"]
    if contrast:
        drawn["aorta"] += rng.uniform(30, 320)
        drawn["blood"] += rng.uniform(20, 140)
        drawn["kidney"] += rng.uniform(60, 200)
        drawn["liver"] += rng.uniform(10, 60)
        drawn["spleen"] += rng.uniform(20, 80)
    return Tissues(**{field.name: drawn[field.name] for field in fields(Tissues)})
