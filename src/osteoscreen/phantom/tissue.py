"""Attenuation of soft tissues, in Hounsfield units, with the spread between patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np

from osteoscreen.phantom.bone import CONTRAST_SHIFT_HU

AIR_HU = -1000.0
"""Hounsfield's scale: air is -1000, water 0."""


class Phase(StrEnum):
    """When the image was taken after an intravenous contrast agent."""

    NONE = "none"
    ARTERIAL = "arterial"
    PORTAL_VENOUS = "portal venous"
    DELAYED = "delayed"


TISSUE_HU = {
    "skin": (20.0, 8.0),
    "fat": (-103.0, 6.0),
    "muscle": (54.0, 5.0),
    "liver": (56.0, 9.0),
    "spleen": (50.0, 5.0),
    "kidney": (33.0, 4.0),
    "medulla": (30.0, 0.0),
    "urine": (4.0, 4.0),
    "pancreas": (40.0, 6.0),
    "blood": (42.0, 5.0),
    "aorta": (0.0, 0.0),
    "portal": (0.0, 0.0),
    "disc": (85.0, 12.0),
    "thecal_sac": (28.0, 6.0),
    "bowel_wall": (36.0, 5.0),
    "bowel": (18.0, 8.0),
    "bile": (8.0, 4.0),
    "lung": (-830.0, 40.0),
    "cartilage": (105.0, 12.0),
    "plaque": (600.0, 150.0),
}
"""Mean and spread at 120 kVp without contrast: textbook ranges, checked by eye against public CT
(TotalSegmentator and VerSe examples). Aorta and portal vein hold the blood, the medulla is as
dense as the kidney."""

RAISED_HU = {
    Phase.NONE: {},
    Phase.ARTERIAL: {
        "aorta": (250.0, 55.0), "blood": (30.0, 15.0), "portal": (60.0, 25.0),
        "kidney": (120.0, 25.0), "medulla": (35.0, 15.0), "liver": (15.0, 6.0),
        "spleen": (70.0, 20.0), "pancreas": (60.0, 15.0), "bowel_wall": (40.0, 12.0),
        "muscle": (4.0, 2.0),
    },
    Phase.PORTAL_VENOUS: {
        "aorta": (110.0, 20.0), "blood": (90.0, 20.0), "portal": (125.0, 20.0),
        "kidney": (145.0, 25.0), "medulla": (125.0, 25.0), "liver": (52.0, 10.0),
        "spleen": (65.0, 12.0), "pancreas": (50.0, 12.0), "bowel_wall": (52.0, 12.0),
        "muscle": (8.0, 3.0),
    },
    Phase.DELAYED: {
        "aorta": (70.0, 15.0), "blood": (67.0, 15.0), "portal": (68.0, 15.0),
        "kidney": (120.0, 20.0), "medulla": (122.0, 20.0), "urine": (450.0, 150.0),
        "liver": (38.0, 8.0), "spleen": (45.0, 10.0), "pancreas": (32.0, 8.0),
        "bowel_wall": (35.0, 8.0), "muscle": (9.0, 3.0),
    },
}  # fmt: skip
"""Mean and spread of what the agent adds to each tissue: chosen settings after the usual course
(early arterial 25 to 35 s, portal venous 60 to 80 s, delayed after minutes with excretion)."""

AGENT_SHIFT = {
    Phase.NONE: "none",
    Phase.ARTERIAL: "arterial",
    Phase.PORTAL_VENOUS: "portal_venous",
    Phase.DELAYED: "portal_venous",
}
"""Which entry of the bone's ``CONTRAST_SHIFT_HU`` holds in a phase."""
MARROW_SPREAD_HU = 6.0
"""Spread of what the agent adds to trabecular bone around the means of ``CONTRAST_SHIFT_HU``."""

IODINE_GAIN_OF_KVP = {80: 1.6, 100: 1.25, 120: 1.0, 140: 0.84}
"""Enhancement by iodine against 120 kVp, as its attenuation falls above the K edge of 33 keV: a
chosen setting near the usual 40, 31, 25 and 21 HU for each mg/ml."""

LEAST_AGENT_HU = 8.0
"""The least that an agent adds to a tissue it reaches at all: phases stay recognisable."""


ORAL_CONTRAST_HU = (120.0, 500.0)
"""Lowest and highest attenuation of an oral agent in the bowel at 120 kVp: positive agents are
diluted to this range (a chosen setting)."""


@dataclass(frozen=True)
class Tissues:
    """Attenuation of each tissue of one patient in HU, and the phase that they were imaged in.

    Args:
        phase: After an intravenous contrast agent, or none.
        marrow_shift_hu: What the agent adds to trabecular bone.
        agent_hu: What the agent has added to each tissue that it reaches, at 120 kVp.
        skin, fat, muscle, liver, spleen, pancreas, blood, aorta, disc, thecal_sac, bowel_wall,
            lung, plaque, cartilage: As named; ``blood`` is that of the veins.
        kidney, medulla, urine: Cortex, pyramids and what the kidney makes.
        portal: Portal vein and the veins that feed it.
        bowel: Fluid inside the bowel.
        bile: Fluid inside the gallbladder.
        oral_contrast: What a patient holds in the bowel who drank an agent.
    """

    phase: Phase
    marrow_shift_hu: float
    agent_hu: Mapping[str, float]
    skin: float
    fat: float
    muscle: float
    liver: float
    spleen: float
    kidney: float
    medulla: float
    urine: float
    pancreas: float
    blood: float
    aorta: float
    portal: float
    disc: float
    thecal_sac: float
    bowel_wall: float
    bowel: float
    bile: float
    lung: float
    cartilage: float
    plaque: float
    oral_contrast: float


def draw_tissues(rng: np.random.Generator, *, has_contrast: bool) -> Tissues:
    """Draw the tissues of one patient.

    Args:
        rng: Source of every draw.
        has_contrast: Whether an intravenous agent was given; the phase is then drawn.
    Returns: The tissues; without an agent the aorta is as dense as the other blood.
    """
    phase = Phase.NONE
    if has_contrast:
        agents = (Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED)
        phase = agents[int(rng.choice(3, p=[0.25, 0.55, 0.2]))]
    drawn = {
        name: mean + spread * float(rng.standard_normal())
        for name, (mean, spread) in TISSUE_HU.items()
    }
    drawn["aorta"] = drawn["portal"] = drawn["blood"]
    drawn["medulla"] = drawn["kidney"]
    agent = {
        name: max(mean + spread * float(rng.standard_normal()), min(LEAST_AGENT_HU, mean))
        for name, (mean, spread) in RAISED_HU[phase].items()
    }
    for name, raised in agent.items():
        drawn[name] += raised
    shift = rng.standard_normal() * MARROW_SPREAD_HU + CONTRAST_SHIFT_HU[AGENT_SHIFT[phase]]
    values = {one.name: drawn[one.name] for one in fields(Tissues) if one.name in drawn}
    return Tissues(
        phase=phase,
        marrow_shift_hu=max(float(shift), 0.0) if has_contrast else 0.0,
        agent_hu=agent,
        oral_contrast=float(rng.uniform(*ORAL_CONTRAST_HU)),
        **values,
    )


def iodine_gain(kvp: float) -> float:
    """Return the enhancement by iodine at a tube voltage against that at 120 kVp.

    Args:
        kvp: Tube voltage, 80 to 140; linear between the voltages of ``IODINE_GAIN_OF_KVP``.
    """
    known = sorted(IODINE_GAIN_OF_KVP)
    return float(np.interp(kvp, known, [IODINE_GAIN_OF_KVP[one] for one in known]))
