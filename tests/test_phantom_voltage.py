"""Tube voltage: the mineral's part of the attenuation and nothing else."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.phantom.anatomy import Mode, Patient, draw_patient
from osteoscreen.phantom.bone import HU_OFFSET
from osteoscreen.phantom.tissue import Phase
from osteoscreen.phantom.voltage import at_voltage


@functools.cache
def _patient() -> Patient:
    return draw_patient(5, 1)


def _mineral(patient: Patient) -> list[float]:
    """Every attenuation of mineral of a patient, without what bone without mineral has."""
    surface = patient.surface
    values = [surface.cortex_hu - HU_OFFSET, surface.cancellous_hu - HU_OFFSET]
    for one in patient.spine.bodies:
        values += [
            one.trabecular_hu - HU_OFFSET,
            one.upper.sclerosis_hu,
            one.lower.sclerosis_hu,
            *(float(lattice[1, 1, 1]) for lattice in one.texture),
        ]
    return values


def test_a_gain_of_one_is_the_same_patient() -> None:
    assert at_voltage(_patient(), 1.0) is _patient()


@pytest.mark.parametrize("gain", [0.95, 1.08, 1.24])
def test_mineral_is_brighter_by_the_gain(gain: float) -> None:
    found = _mineral(at_voltage(_patient(), gain))
    assert_allclose(found, gain * np.array(_mineral(_patient())), rtol=1e-5)


def test_two_gains_compose_to_their_product() -> None:
    twice = at_voltage(at_voltage(_patient(), 1.08), 1.1)
    assert_allclose(_mineral(twice), _mineral(at_voltage(_patient(), 1.08 * 1.1)), rtol=1e-5)


def test_a_gain_and_its_inverse_give_the_patient_back() -> None:
    back = at_voltage(at_voltage(_patient(), 1.24), 1 / 1.24)
    assert_allclose(_mineral(back), _mineral(_patient()), rtol=1e-5)


def test_an_agent_is_brighter_by_its_own_gain_and_the_tissue_below_it_stays() -> None:
    patient = next(
        one
        for one in (draw_patient(5, case, Mode.RANDOMISED) for case in range(60))
        if one.tissues.phase is Phase.ARTERIAL
    )
    other = at_voltage(patient, 1.24, 1.6)
    assert_allclose(other.tissues.agent_hu["aorta"], 1.6 * patient.tissues.agent_hu["aorta"])
    for name, agent in patient.tissues.agent_hu.items():
        plain = getattr(patient.tissues, name) - agent
        assert_allclose(getattr(other.tissues, name), plain + 1.6 * agent)
    assert_allclose(other.tissues.oral_contrast, 1.6 * patient.tissues.oral_contrast)
    assert other.tissues.fat == patient.tissues.fat


def test_the_agent_in_the_marrow_is_brighter_by_the_gain_of_the_agent() -> None:
    patient = draw_patient(5, 1, Mode.RANDOMISED)
    body = dataclasses.replace(
        patient.spine.vertebrae[0], trabecular_hu=120.0 * (1 + 0.6 * 0.25), height_loss=0.25
    )
    enhanced = dataclasses.replace(
        patient,
        tissues=dataclasses.replace(patient.tissues, marrow_shift_hu=20.0),
        surface=dataclasses.replace(patient.surface, cancellous_hu=140.0),
        spine=dataclasses.replace(patient.spine, vertebrae=(body,)),
    )
    other = at_voltage(enhanced, 1.24, 1.6)
    # 20 HU of agent and 16 without mineral; the crushed body has 1.15 times as much agent.
    assert_allclose(other.surface.cancellous_hu, 16 + 1.24 * (140 - 20 - 16) + 1.6 * 20)
    expected = 16 + 1.24 * (138 - 23 - 16) + 1.6 * 23
    assert_allclose(other.spine.vertebrae[0].trabecular_hu, expected)


def test_soft_tissue_shape_and_bone_without_mineral_stay() -> None:
    patient, other = _patient(), at_voltage(_patient(), 1.24)
    assert other.tissues == patient.tissues
    assert other.trunk is patient.trunk
    assert other.bone == patient.bone
    assert other.surface.cortex_mm == patient.surface.cortex_mm
    for one, before in zip(other.spine.bodies, patient.spine.bodies):
        assert one.frame is before.frame
        assert one.outline == before.outline
        assert one.arch == before.arch
        assert one.upper.concavity_mm == before.upper.concavity_mm


def test_the_patient_itself_is_left_as_it_was() -> None:
    patient = draw_patient(5, 2)
    before = patient.spine.vertebrae[0].texture[0].copy()
    at_voltage(patient, 1.24)
    assert_array_equal(patient.spine.vertebrae[0].texture[0], before)
