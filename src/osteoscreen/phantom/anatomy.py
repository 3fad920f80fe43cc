"""A synthetic patient: one drawn description that every slice is a query of.

Every part has a random stream of its own, spawned in a fixed order from (generator version,
cohort seed, case number), so a change in one part leaves the others as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from osteoscreen.phantom.bone import Bone, draw_bone, draw_person
from osteoscreen.phantom.field import SmoothField, draw_field
from osteoscreen.phantom.spine import SpineShape, draw_spine
from osteoscreen.phantom.tissue import Tissues, draw_tissues
from osteoscreen.phantom.trunk import Blob, Trunk
from osteoscreen.phantom.vertebra import BoneSurface, Vertebra

GENERATOR_VERSION = 1
"""Part of every seed: patients of two versions are different people."""

STREAMS = (
    "person", "bone", "spine", "tissue", "trunk", "organ", "field", "scan", "noise", "slices",
)  # fmt: skip
"""Names of the random streams, in the order in which they are spawned: append only."""

FIELD_BOX_MM = (190.0, 210.0, 260.0)
FIELD_PITCH_MM = (55.0, 55.0, 16.0, 16.0, 2.2, 14.0)
"""Half size (z, y, x) and detail of the fields of a patient: four warps, then two grains."""
ROUGHNESS_BOX_MM = (170.0, 90.0, 80.0)
ROUGHNESS_PITCH_MM = 7.0
"""The same for the field that varies the cortex."""

Streams = dict[str, np.random.Generator]


class Mode(StrEnum):
    """What the patients are for."""

    COHORT = "cohort"
    """Calibrated: the bone signal is what the label says."""
    RANDOMISED = "randomised"
    """Wide anatomy, attenuation, field of view and kernel, to train the segmenter."""


@dataclass(frozen=True, eq=False)
class Patient:
    """One synthetic patient.

    Args:
        cohort_seed, case: What the patient is drawn from.
        mode: Calibrated or randomised.
        sex: ``"F"`` or ``"M"``.
        age: Years.
        bone: Density and texture.
        vertebrae: T10 to S1; the origin of the patient frame is the centre of L3.
        trunk: Everything else.
        tissues: Attenuation of the soft tissues.
        surface: Cortex of all bones.
        has_contrast: Whether an intravenous contrast agent was given.
        warps: Displacement fields, coarse and fine, for x and for y.
        grains: Unit fields, fine and coarse, for soft tissue.
    """

    cohort_seed: int
    case: int
    mode: Mode
    sex: str
    age: int
    bone: Bone
    vertebrae: tuple[Vertebra, ...]
    trunk: Trunk
    tissues: Tissues
    surface: BoneSurface
    has_contrast: bool
    warps: tuple[SmoothField, SmoothField, SmoothField, SmoothField]
    grains: tuple[SmoothField, SmoothField]

    def vertebra(self, level: str) -> Vertebra:
        """Return one vertebra by name, such as ``"L3"``.

        Raises: KeyError if the patient has no vertebra of that name.
        """
        return {vertebra.level: vertebra for vertebra in self.vertebrae}[level]


def streams(cohort_seed: int, case: int) -> Streams:
    """Return the named random streams of one patient, each at its beginning.

    Args:
        cohort_seed: Seed of the cohort; not negative.
        case: Number of the patient in it, from 0.
    Returns: A generator for each name in ``STREAMS``.
    """
    children = np.random.SeedSequence([GENERATOR_VERSION, cohort_seed, case]).spawn(len(STREAMS))
    return {name: np.random.default_rng(child) for name, child in zip(STREAMS, children)}


def draw_patient(
    cohort_seed: int, case: int, mode: Mode = Mode.COHORT, condition_index: int | None = None
) -> Patient:
    """Draw a patient; the same arguments give the same patient.

    Args:
        cohort_seed: Seed of the cohort.
        case: Number of the patient in it, from 0.
        mode: Calibrated or randomised.
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis; by default the classes take
            turns, so that a cohort is balanced.
    Returns: The patient; in the randomised mode the class says nothing about the attenuation.
    """
    rngs = streams(cohort_seed, case)
    wanted = case % 3 if condition_index is None else condition_index
    person = rngs["person"]
    sex, age = draw_person(person, wanted)
    scale = float(person.normal(0.975 if sex == "F" else 1.045, 0.035))
    bone = draw_bone(rngs["bone"], wanted, age)
    is_randomised = mode is Mode.RANDOMISED
    has_contrast = bool(is_randomised and rngs["tissue"].random() < 0.5)
    if is_randomised:
        bone = _randomise(rngs["bone"], bone)
    shape = _draw_shape(rngs["spine"], scale, age, is_randomised)
    vertebrae = draw_spine(rngs["spine"], bone, shape)
    fields = [draw_field(rngs["field"], pitch, FIELD_BOX_MM) for pitch in FIELD_PITCH_MM]
    return Patient(
        cohort_seed=cohort_seed,
        case=case,
        mode=mode,
        sex=sex,
        age=age,
        bone=bone,
        vertebrae=vertebrae,
        trunk=_draw_trunk(rngs, scale, vertebrae, age, is_randomised),
        tissues=draw_tissues(rngs["tissue"], contrast=has_contrast),
        surface=BoneSurface(
            cortex_mm=bone.cortex_mm,
            cortex_hu=bone.cortex_hu,
            cancellous_hu=bone.trabecular_hu + 40,
            roughness=draw_field(rngs["field"], ROUGHNESS_PITCH_MM, ROUGHNESS_BOX_MM),
            body_wall=float(rngs["bone"].uniform(0.1, 1.0)) if is_randomised else 1.0,
        ),
        has_contrast=has_contrast,
        warps=(fields[0], fields[1], fields[2], fields[3]),
        grains=(fields[4], fields[5]),
    )


def _draw_shape(
    rng: np.random.Generator, scale: float, age: float, is_randomised: bool
) -> SpineShape:
    wear = float(np.clip((age - 35) / 60 + rng.normal(0, 0.2), 0, 1))
    return SpineShape(
        scale=scale,
        lordosis=float(rng.normal(1.0, 0.2)),
        scoliosis_deg=float(abs(rng.normal(0, 5 if is_randomised else 3))),
        roll_deg=float(rng.normal(0, 7 if is_randomised else 2.5)),
        wear=wear,
    )


def _randomise(rng: np.random.Generator, bone: Bone) -> Bone:
    """Widen the bone beyond the calibrated range: the class of such a patient means nothing."""
    return Bone(
        condition_index=bone.condition_index,
        t_score=bone.t_score,
        vbmd_mg_cm3=bone.vbmd_mg_cm3,
        marrow_fat=bone.marrow_fat,
        trabecular_hu=bone.trabecular_hu - float(rng.uniform(0, 90) * (rng.random() < 0.35)),
        cortex_mm=float(np.clip(bone.cortex_mm * rng.uniform(0.6, 1.5), 0.3, 2.6)),
        cortex_hu=float(np.clip(bone.cortex_hu * rng.uniform(0.7, 1.3), 350, 1400)),
        coarseness=bone.coarseness,
        trabecular_sd_hu=float(rng.uniform(30, 170) if rng.random() < 0.4 else rng.uniform(6, 40)),
    )


def _draw_trunk(
    rngs: Streams, scale: float, spine: tuple[Vertebra, ...], age: float, is_randomised: bool
) -> Trunk:
    rng = rngs["trunk"]
    plump = float(np.clip(rng.normal(0.4, 0.28), 0, 1.2))
    fat_back = 6 + 30 * plump * rng.uniform(0.5, 1.2)
    centres = {vertebra.level: vertebra.centre_mm for vertebra in spine}
    muscles = _draw_muscles(rng, scale)
    return Trunk(
        half_width_mm=float((132 + 48 * plump) * scale * rng.normal(1, 0.04)),
        half_depth_mm=float((92 + 42 * plump) * scale * rng.normal(1, 0.05)),
        exponent=float(rng.uniform(2.1, 2.8)),
        hip=float(rng.uniform(0.0, 0.16)),
        back_mm=float(66 * scale + fat_back),
        fat_mm=(
            float(6 + 24 * plump),
            float(5 + 28 * plump * rng.uniform(0.5, 1.3)),
            float(fat_back),
        ),
        wall_mm=float(rng.uniform(11, 20)),
        muscles=muscles,
        organs=_draw_organs(rngs["organ"], scale, plump, is_randomised),
        infiltration=float(np.clip(0.02 + 0.25 * (age - 40) / 50 + rng.normal(0, 0.08), 0, 0.5)),
        lung_floor_mm=float(centres["T12"][2] + rng.normal(-8, 14)),
        pelvis_top_mm=float(centres["L4"][2] + rng.normal(0, 8)),
        table_mm=float(rng.uniform(2, 12)) if rng.random() < 0.9 else None,
    )


def _draw_muscles(rng: np.random.Generator, scale: float) -> tuple[Blob, ...]:
    muscles = []
    size = scale * rng.normal(1, 0.08)
    for side in (-1, 1):
        for name, centre, radius, turn in (
            ("erector", (37, 47, 20), (31, 21, 260), 0.15),
            ("multifidus", (14, 52, -10), (13, 15, 150), 0.0),
            ("quadratus", (66, 18, -15), (12, 22, 75), 0.7),
            ("psoas", (38, -2, -75), (21, 27, 125), 0.3),
        ):
            jitter = rng.normal(0, 2, 2)
            muscles.append(
                Blob(
                    name,
                    (side * (centre[0] + jitter[0]), centre[1] + jitter[1], float(centre[2])),
                    (radius[0] * size, radius[1] * size, float(radius[2])),
                    turn_rad=side * turn,
                    coat=1.14,
                )
            )
    return tuple(muscles)


def _draw_organs(
    rng: np.random.Generator, scale: float, plump: float, is_randomised: bool
) -> tuple[Blob, ...]:
    """Organs with their place against L3, then bowel, then the great vessels."""
    wide = 0.85 + 0.25 * plump
    organs = [
        Blob("liver", (-72 * wide, -55, 95 + rng.normal(0, 12)), (78, 78, 88), 0.3, 1.05),
        Blob("liver", (-10 * wide, -95, 118), (62, 34, 52), 0.1, 1.05),
        Blob("spleen", (104 * wide, -22, 118 + rng.normal(0, 10)), (27, 47, 52), 0.5, 1.1),
        Blob("fluid", (58 * wide, -82, 108), (44, 36, 60), 0.4, 1.1),
    ]
    for side, drop in ((-1, -8), (1, 4)):
        centre = (side * 66 * wide, 2 + rng.normal(0, 4), 35 + drop + rng.normal(0, 8))
        organs.append(Blob("kidney", centre, (27, 31, 56), side * 0.5, 1.35))
        organs.append(
            Blob("fat", (centre[0] - side * 13, centre[1] - 6, centre[2]), (13, 11, 24), side * 0.5)
        )
    sixth = "oral_contrast" if is_randomised else "fluid"
    fillings = ("fluid", "gas", "stool", "fluid", "fluid", sixth)
    for _ in range(int(rng.integers(35, 80))):
        x = rng.uniform(-100, 100) * wide
        y, z = rng.uniform(-150, -40) - 25 * plump, rng.uniform(-190, 90)
        size = rng.uniform(9, 26)
        stretch = rng.uniform(0.8, 1.9, 3)
        radius = (size * stretch[0], size * stretch[1], size * stretch[2])
        organs.append(
            Blob(str(rng.choice(fillings)), (x, y, z), radius, float(rng.uniform(0, np.pi)), 1.12)
        )
    for side in (-1, 1):
        for z in (-120, -70, -20, 30):
            filling = str(rng.choice(("stool", "gas", "fluid")))
            place = (side * (98 + rng.normal(0, 6)) * wide, -30 + rng.normal(0, 12), float(z))
            organs.append(Blob(filling, place, (22, 22, 34), 0.0, 1.1))
    organs += _draw_vessels(rng, scale)
    return tuple(organs)


def _draw_vessels(rng: np.random.Generator, scale: float) -> list[Blob]:
    wide = float(rng.uniform(8, 12.5))
    vessels = [
        Blob("aorta", (9.0, -32.0 * scale, 95.0), (wide, wide, 152.0), 0.0, 1.25),
        Blob("blood", (-17.0, -30.0 * scale, 65.0), (wide * 1.15, wide * 0.95, 140.0), 0.0, 1.2),
    ]
    for side in (-1, 1):
        vessels.append(
            Blob("aorta", (side * 20.0, -26.0 * scale, -85.0), (6.5, 6.5, 60.0), 0.0, 1.2)
        )
        vessels.append(
            Blob("blood", (side * 27.0, -18.0 * scale, -95.0), (8.0, 7.0, 60.0), 0.0, 1.2)
        )
    for _ in range(int(rng.poisson(3))):
        angle = rng.uniform(0, 2 * np.pi)
        place = (9 + wide * 0.95 * np.cos(angle), -32 * scale + wide * 0.95 * np.sin(angle))
        spot = (float(place[0]), float(place[1]), float(rng.uniform(-50, 90)))
        vessels.append(Blob("plaque", spot, (2.2, 2.2, float(rng.uniform(3, 9)))))
    return vessels
