"""Patients: reproducible, in their class, and drawn in streams of their own."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.errors import SettingsError
from osteoscreen.findings import CONDITIONS, condition_of_t_score
from osteoscreen.phantom.anatomy import (
    ARCH_ABOVE_HU,
    BODY_WALL,
    LORDOSIS_LIMITS,
    STREAMS,
    Mode,
    Patient,
    draw_patient,
    streams,
)
from osteoscreen.phantom.bone import draw_bone
from osteoscreen.phantom.spine import LUMBAR_COUNTS, SpineShape, draw_spine

SEED = 31


@functools.cache
def _patient(case: int = 0, mode: Mode = Mode.COHORT) -> Patient:
    return draw_patient(SEED, case, mode)


@pytest.mark.parametrize("mode", list(Mode))
def test_the_same_numbers_give_the_same_patient(mode: Mode) -> None:
    one, other = draw_patient(SEED, 3, mode), draw_patient(SEED, 3, mode)
    assert one.person == other.person
    assert one.bone == other.bone
    assert one.tissues == other.tissues
    assert one.roll_deg == other.roll_deg
    assert [v.centre_mm for v in one.spine.bodies] == [v.centre_mm for v in other.spine.bodies]
    assert_array_equal(one.warps[0].lattice, other.warps[0].lattice)


def test_another_case_or_another_cohort_is_another_patient() -> None:
    one = draw_patient(SEED, 3)
    for other in (draw_patient(SEED, 6), draw_patient(SEED + 1, 3)):
        assert one.bone.t_score != other.bone.t_score
        assert one.person != other.person
        assert not np.array_equal(one.warps[0].lattice, other.warps[0].lattice)


def test_each_part_of_a_patient_has_a_stream_of_its_own() -> None:
    first = {name: rng.random() for name, rng in streams(SEED, 0).items()}
    assert tuple(first) == STREAMS
    assert len(set(first.values())) == len(STREAMS)
    assert first == {name: rng.random() for name, rng in streams(SEED, 0).items()}
    assert first["bone"] != streams(SEED, 1)["bone"].random()


def test_classes_take_turns_unless_one_is_asked_for() -> None:
    patients = [_patient(case) for case in range(3)]
    patients += [draw_patient(SEED, 0, condition_index=index) for index in range(3)]
    assert [patient.bone.condition_index for patient in patients] == [0, 1, 2, 0, 1, 2]
    for patient in patients:
        implied = condition_of_t_score(patient.bone.t_score)
        assert CONDITIONS.index(implied) == patient.bone.condition_index


@pytest.mark.parametrize("mode", list(Mode))
def test_a_patient_is_a_person_with_a_spine(mode: Mode) -> None:
    for case in range(4):
        patient = _patient(case, mode)
        assert patient.person.sex in {"F", "M"}
        assert patient.mode is mode
        assert patient.spine.shape.scale == patient.person.scale
        assert patient.spine.shape.lumbar_count in LUMBAR_COUNTS
        assert patient.spine.vertebra("L3").centre_mm == (0.0, 0.0, 0.0)


def test_calibrated_patients_have_neither_contrast_nor_implants() -> None:
    for case in range(6):
        patient = _patient(case)
        assert not patient.has_contrast
        assert not patient.spine.implants
        assert patient.surface.body_wall == BODY_WALL


def test_contrast_raises_the_aorta_of_some_randomised_patients() -> None:
    randomised = [_patient(case, Mode.RANDOMISED) for case in range(8)]
    assert {patient.has_contrast for patient in randomised} == {True, False}
    for patient in randomised:
        raised = patient.tissues.aorta - patient.tissues.blood
        assert (raised != 0) == patient.has_contrast


@pytest.mark.parametrize("lordosis", LORDOSIS_LIMITS)
def test_a_spine_at_the_limits_of_lordosis_can_be_drawn(lordosis: float) -> None:
    """Beyond, S3 may come to lie above S2, which is no column."""
    bone = draw_bone(np.random.default_rng(1), 1, 60)
    for count in LUMBAR_COUNTS:
        for seed in range(40):
            shape = SpineShape(1.0, lordosis, 10.0, 1.0, count)
            heights = draw_spine(np.random.default_rng(seed), bone, shape).column.z_mm
            assert (np.diff(heights) > 1).all()


def test_randomised_bone_spreads_wider_than_calibrated_bone() -> None:
    spreads = [
        np.std([_patient(case, mode).bone.trabecular_sd_hu for case in range(12)])
        for mode in (Mode.COHORT, Mode.RANDOMISED)
    ]
    assert spreads[1] > spreads[0]


def test_a_wanted_age_changes_the_age_and_no_other_draw_of_the_person() -> None:
    drawn, young = draw_patient(5, 1), draw_patient(5, 1, age=25)
    assert young.person == dataclasses.replace(drawn.person, age=25)
    assert young.bone.t_score == drawn.bone.t_score
    # Ageing at an unchanged T-score lowers the density.
    assert young.bone.vbmd_mg_cm3 > drawn.bone.vbmd_mg_cm3


def test_arches_show_the_attenuation_of_the_bodies_only_roughly() -> None:
    mean, spread = ARCH_ABOVE_HU
    patients = [_patient(case) for case in range(12)]
    above = [one.surface.cancellous_hu - one.bone.trabecular_hu for one in patients]
    # Three standard errors of the mean and of the spread of twelve normal draws.
    assert_allclose(np.mean(above), mean, atol=3 * spread / np.sqrt(12))
    assert_allclose(np.std(above, ddof=1), spread, atol=3 * spread / np.sqrt(2 * 11))


def test_an_impossible_age_is_refused() -> None:
    with pytest.raises(SettingsError, match="age must be 22 to 92 years, got -3"):
        draw_patient(5, 1, age=-3)
