"""The outline of the trunk and its layers."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.anatomy import Mode, Patient, draw_patient
from osteoscreen.phantom.column import Column
from osteoscreen.phantom.outline import FOLLOW, SPINOUS_MM, Outline, draw_outline
from osteoscreen.phantom.pelvis import bone_back
from osteoscreen.phantom.person import Person
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.section import SIN, layers

HEIGHTS = (-150.0, -75.0, 0.0, 75.0, 150.0)
STRAIGHT = Column((-200.0, 200.0), (0.0, 0.0), (0.0, 0.0))


@functools.cache
def _patient(case: int) -> Patient:
    return draw_patient(21, case, Mode.COHORT)


def _outline(bmi: float = 26.0, column: Column = STRAIGHT) -> Outline:
    person = Person("M", 60, 1.68, bmi)
    return draw_outline(np.random.default_rng(3), person, column, (-50.0, 40.0))


@pytest.mark.parametrize("case", range(4))
def test_spinous_processes_stay_under_the_skin(case: int) -> None:
    patient = _patient(case)
    for vertebra in patient.spine.vertebrae:
        _, y, z = vertebra.centre_mm
        skin = patient.trunk.outline.section(z).place(np.pi / 2, 0.0)[1]
        # The furrow takes a few millimetres of the cover, and thin people have little of it.
        assert skin - (y + 0.9 * SPINOUS_MM * patient.person.scale) > 3


@pytest.mark.parametrize("case", range(8))
def test_the_sacrum_stays_under_the_skin(case: int) -> None:
    patient = draw_patient(14, case, Mode.COHORT)
    for z, bone in bone_back(patient.spine.sacrum):
        if z > -185:
            assert patient.trunk.outline.section(z).place(np.pi / 2, 0.0)[1] > bone + 4


def test_a_thin_person_has_tissue_over_the_spinous_processes() -> None:
    outline = _outline(bmi=17.0)
    assert outline.section(0.0).place(np.pi / 2, 0.0)[1] - SPINOUS_MM > 3


def test_the_skin_of_the_back_follows_the_column_by_a_share() -> None:
    bent = Column((-200.0, 200.0), (0.0, 0.0), (20.0, 20.0))
    moved = _outline(column=bent).section(0.0).skin_box()
    still = _outline().section(0.0).skin_box()
    assert_allclose(moved[3] - still[3], 20 * FOLLOW, atol=0.5)
    # The front stays where it is.
    assert_allclose(moved[2], still[2], atol=1.5)


def test_weight_makes_a_person_wider_and_the_fat_thicker() -> None:
    thin, fat = _outline(bmi=19.0).section(0.0), _outline(bmi=34.0).section(0.0)
    assert fat.skin_box()[1] > thin.skin_box()[1] + 20
    assert (fat.fat > thin.fat).mean() > 0.95


def test_layers_lie_inside_each_other() -> None:
    outline = _outline()
    axis = np.arange(-230, 230, 2, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    none = np.zeros_like(x)
    for z in HEIGHTS:
        near = layers(outline.section(z), Plane(x, y, z, none, 2.0), (none, none))
        assert (near.skin >= near.fascia).all()
        assert (near.fascia >= near.cavity).all()
        assert (near.cavity > 0).any()


def test_the_depth_below_the_skin_is_measured_along_its_normal() -> None:
    section = _outline().section(0.0)
    for angle in (-2.5, -1.0, 0.1, 1.2, 2.8):
        x, y = section.place(angle, 12.0)
        point = Plane(
            np.full((1, 1), x, np.float32),
            np.full((1, 1), y, np.float32),
            0.0,
            np.zeros((1, 1), np.float32),
            1.0,
        )
        near = layers(section, point, (point.x, point.x))
        assert_allclose(near.skin[0, 0], 12.0, atol=0.5)


def test_the_navel_sinks_the_skin_and_not_the_wall() -> None:
    outline = _outline()
    at, above = outline.section(outline.navel_mm), outline.section(outline.navel_mm + 40)
    front = int(np.argmin(SIN))
    assert above.skin[front] - at.skin[front] > 5
    inner = [(one.skin - one.fat / one.slant)[front] for one in (at, above)]
    assert_allclose(inner[0], inner[1], atol=6)


def test_neighbouring_sections_agree() -> None:
    outline = _outline()
    for z in HEIGHTS:
        assert np.abs(outline.section(z).skin - outline.section(z + 0.01).skin).max() < 0.05
