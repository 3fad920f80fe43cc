"""A synthetic patient: one drawn description that every slice is a query of.

Every part has a random stream of its own, spawned in a fixed order from (generator version,
cohort seed, case number), so a change in one part leaves the others as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from osteoscreen.phantom.bone import Bone, draw_bone, draw_sex_and_age
from osteoscreen.phantom.disease import with_disease
from osteoscreen.phantom.field import SmoothField, draw_field
from osteoscreen.phantom.implant import draw_implants
from osteoscreen.phantom.person import Person, draw_person
from osteoscreen.phantom.spine import (
    LUMBAR_COUNTS,
    LUMBAR_SHARES,
    SACRAL_TILT_DEG,
    Spine,
    SpineShape,
    draw_spine,
)
from osteoscreen.phantom.surface import BoneSurface
from osteoscreen.phantom.tissue import Tissues, draw_tissues
from osteoscreen.phantom.trunk import Trunk, draw_trunk

GENERATOR_VERSION = 3
"""Part of every seed: patients of two versions are different people."""

STREAMS = (
    "person", "bone", "spine", "tissue", "trunk", "organ", "field", "scan", "noise", "slices",
    "disease",
)  # fmt: skip
"""Names of the random streams, in the order in which they are spawned: append only."""

FIELD_BOX_MM = (190.0, 210.0, 260.0)
FIELD_PITCH_MM = (55.0, 55.0, 16.0, 16.0, 2.2, 14.0)
"""Half size (z, y, x) and detail of the fields of a patient: four warps, then two grains."""
ROUGHNESS_BOX_MM = (170.0, 90.0, 80.0)
ROUGHNESS_PITCH_MM = 7.0
"""The same for the field that varies the cortex."""

LORDOSIS_LIMITS = (0.5, 1.5)
"""Beyond, the sacrum would be level and S3 no longer below S2: a chosen setting."""
WORN_SHARE, DARK_SHARE, DENSE_SHARE = 0.3, 0.45, 0.1
"""Randomised patients with heavy wear and dense endplates, with dark and with dense bone: a first
network missed dark bodies between dense endplates in real CT."""
BRIDGING_SHARE = 0.3
"""Randomised patients whose spurs bridge the discs: a network took such discs for bodies, and a
limy aorta before them."""
CROOKED_SHARE, CROOKED_DEG = 0.35, 9.0
"""Randomised patients whose bodies tilt unevenly, and the largest spread of their tilts: in a worn
real spine an axial slice cut two bodies and the gas between them."""
SACRAL_SPREAD_DEG, STEEPEST_DEG = 9.0, 88.0
"""Randomised: spread of the tilt of the sacrum around the usual, and the steepest that S3 may
stand: before a steep real sacrum a network did not mark L5, which lay in front of S1 in a slice."""
CHEST_DOWN_MM = (60.0, 170.0)
"""How far the lungs are lowered where a slice is to show the chest."""
BODY_WALL = 0.5
"""Cortex of the walls of a body against that of the patient's bones: the shell of a vertebral body
is thinner than half a millimetre in life, and hardly shows in a routine CT."""

ARCH_ABOVE_HU = (40.0, 10.0)
"""Mean and spread of how much denser arches, ribs and pelvis are inside than the bodies: a chosen
setting. The spread keeps them from showing the patient's attenuation better than the bodies do."""

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
        person: Sex, age, height and weight.
        bone: Density and texture.
        spine: The vertebrae; the origin of the patient frame is the centre of L3.
        trunk: Everything else.
        tissues: Attenuation of the soft tissues.
        surface: Cortex of all bones.
        has_contrast: Whether an intravenous contrast agent was given.
        roll_deg: Turn of the patient on the table about the long axis.
        warps: Displacement fields, coarse and fine, for x and for y.
        grains: Unit fields, fine and coarse, for soft tissue.
    """

    cohort_seed: int
    case: int
    mode: Mode
    person: Person
    bone: Bone
    spine: Spine
    trunk: Trunk
    tissues: Tissues
    surface: BoneSurface
    has_contrast: bool
    roll_deg: float
    warps: tuple[SmoothField, SmoothField, SmoothField, SmoothField]
    grains: tuple[SmoothField, SmoothField]


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
    cohort_seed: int,
    case: int,
    mode: Mode = Mode.COHORT,
    condition_index: int | None = None,
    *,
    age: int | None = None,
) -> Patient:
    """Draw a patient; the same arguments give the same patient.

    Args:
        cohort_seed: Seed of the cohort.
        case: Number of the patient in it, from 0.
        mode: Calibrated or randomised.
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis; by default the classes take
            turns, so that a cohort is balanced.
        age: Years, 22 to 92; by default drawn. The other draws do not depend on it.
    Returns: The patient; in the randomised mode the class says nothing about the attenuation.
    """
    rngs = streams(cohort_seed, case)
    wanted = case % 3 if condition_index is None else condition_index
    sex, drawn_age = draw_sex_and_age(rngs["person"], wanted)
    person = draw_person(rngs["person"], sex, drawn_age if age is None else age)
    bone = draw_bone(rngs["bone"], wanted, person.age)
    is_randomised = mode is Mode.RANDOMISED
    has_contrast = bool(is_randomised and rngs["tissue"].random() < 0.5)
    if is_randomised:
        bone = _randomise(rngs["bone"], bone)
    shape = _draw_shape(rngs["spine"], person.scale, person.age, is_randomised)
    tissues = draw_tissues(rngs["tissue"], has_contrast=has_contrast)
    imaged = replace(bone, trabecular_hu=bone.trabecular_hu + tissues.marrow_shift_hu)
    spine = draw_spine(rngs["spine"], imaged, shape)
    if is_randomised:
        spine = replace(spine, implants=draw_implants(rngs["spine"], spine.vertebrae))
        spine = with_disease(rngs["disease"], spine)
    body_wall = float(rngs["bone"].uniform(0.1, 1.0)) if is_randomised else BODY_WALL
    arch_above_hu = float(rngs["bone"].normal(*ARCH_ABOVE_HU))
    fields = [draw_field(rngs["field"], pitch, FIELD_BOX_MM) for pitch in FIELD_PITCH_MM]
    return Patient(
        cohort_seed=cohort_seed,
        case=case,
        mode=mode,
        person=person,
        bone=bone,
        spine=spine,
        trunk=draw_trunk(
            (rngs["trunk"], rngs["organ"]), person, spine, is_randomised=is_randomised
        ),
        tissues=tissues,
        surface=BoneSurface(
            cortex_mm=bone.cortex_mm,
            cortex_hu=bone.cortex_hu,
            cancellous_hu=imaged.trabecular_hu + arch_above_hu,
            roughness=draw_field(rngs["field"], ROUGHNESS_PITCH_MM, ROUGHNESS_BOX_MM),
            body_wall=body_wall,
        ),
        has_contrast=has_contrast,
        roll_deg=float(np.clip(rngs["spine"].normal(0, 7 if is_randomised else 2.5), -15, 15)),
        warps=(fields[0], fields[1], fields[2], fields[3]),
        grains=(fields[4], fields[5]),
    )


def with_chest(patient: Patient, rng: np.random.Generator) -> Patient:
    """Let the lungs reach far down, so that slices through T10 and T11 look like the chest above.

    The spine begins at T10; a chest that is scanned alone is told from it by the lungs.

    Args:
        patient: Who.
        rng: Source of how far down.
    """
    thorax, down = patient.trunk.thorax, float(rng.uniform(*CHEST_DOWN_MM))
    lowered = replace(
        thorax,
        dome_mm=(thorax.dome_mm[0] - down, thorax.dome_mm[1] - down),
        recess_mm=(
            thorax.recess_mm[0] - down,
            thorax.recess_mm[1] - down,
            thorax.recess_mm[2] - down,
        ),
    )
    return replace(patient, trunk=replace(patient.trunk, thorax=lowered))


def _draw_shape(
    rng: np.random.Generator, scale: float, age: float, is_randomised: bool
) -> SpineShape:
    wear = float(np.clip((age - 35) / 60 + rng.normal(0, 0.2), 0, 1))
    sclerosis = 1.0
    if is_randomised and rng.random() < WORN_SHARE:
        wear, sclerosis = float(rng.uniform(0.5, 1.6)), float(rng.uniform(1, 5))
    shape = SpineShape(
        scale=scale,
        lordosis=float(np.clip(rng.normal(1.0, 0.3 if is_randomised else 0.2), *LORDOSIS_LIMITS)),
        scoliosis_deg=float(abs(rng.normal(0, 8 if is_randomised else 3))),
        wear=wear,
        lumbar_count=int(rng.choice(LUMBAR_COUNTS, p=LUMBAR_SHARES)),
        sclerosis=sclerosis,
    )
    if not is_randomised:
        return shape
    bridging = float(rng.uniform(0.2, 1)) if rng.random() < BRIDGING_SHARE else 0.0
    uneven_deg = float(rng.uniform(1, 4.5))
    if rng.random() < CROOKED_SHARE:
        uneven_deg = float(rng.uniform(4.5, CROOKED_DEG))
    room_deg = STEEPEST_DEG - SACRAL_TILT_DEG["S3"] * shape.lordosis
    sacral_deg = float(np.clip(rng.normal(0, SACRAL_SPREAD_DEG), -2 * SACRAL_SPREAD_DEG, room_deg))
    return replace(shape, uneven_deg=uneven_deg, bridging=bridging, sacral_deg=sacral_deg)


def _randomise(rng: np.random.Generator, bone: Bone) -> Bone:
    """Widen the bone beyond the calibrated range: the class of such a patient means nothing."""
    return Bone(
        condition_index=bone.condition_index,
        t_score=bone.t_score,
        vbmd_mg_cm3=bone.vbmd_mg_cm3,
        marrow_fat=bone.marrow_fat,
        trabecular_hu=bone.trabecular_hu + _shift(rng),
        cortex_mm=float(np.clip(bone.cortex_mm * rng.uniform(0.6, 1.5), 0.3, 2.6)),
        cortex_hu=float(np.clip(bone.cortex_hu * rng.uniform(0.7, 1.3), 350, 1400)),
        coarseness=bone.coarseness,
        trabecular_sd_hu=float(rng.uniform(30, 170) if rng.random() < 0.4 else rng.uniform(6, 40)),
    )


def _shift(rng: np.random.Generator) -> float:
    """Bone as dark as a disc or darker in many, sclerotic or of a child in some."""
    chance = rng.random()
    if chance < DARK_SHARE:
        return -float(rng.uniform(0, 120))
    return float(rng.uniform(0, 150)) if chance < DARK_SHARE + DENSE_SHARE else 0.0
