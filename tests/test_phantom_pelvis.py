"""Iliac wings with their muscles, and the bladder."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.anatomy import Mode, Patient, draw_patient
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.ilium import paint_ilia
from osteoscreen.phantom.organ import place
from osteoscreen.phantom.pelvis import draw_pelvic_organs, inside_wings, paint_gluteals, wings
from osteoscreen.phantom.person import Person
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.sacrum import ILIUM_MM
from osteoscreen.phantom.section import layers


@functools.cache
def _patient() -> Patient:
    return draw_patient(21, 1, Mode.COHORT)


def _plane(z_mm: float) -> Plane:
    """A grid that is symmetric about the middle of the pelvis."""
    middle = np.float32(_patient().trunk.pelvis.sacrum.bodies[0].centre_mm[0])
    x, y = np.meshgrid(np.arange(-219, 221, 2.0), np.arange(-220, 150, 2.0))
    x = x.astype(np.float32)
    return Plane(x - x.mean() + middle, y.astype(np.float32), z_mm, np.zeros_like(x), 2.0)


def _s1_mm() -> float:
    return _patient().trunk.pelvis.sacrum.bodies[0].centre_mm[2]


def _bone(z_mm: float) -> Array:
    plane = _plane(z_mm)
    hu = np.zeros_like(plane.x)
    paint_ilia(_patient().trunk.pelvis.sacrum, _patient().surface, plane, hu)
    return hu


@pytest.mark.parametrize("below_mm", [-30.0, 0.0, 40.0])
def test_the_right_wing_mirrors_the_left_one(below_mm: float) -> None:
    plane = _plane(_s1_mm() - below_mm)
    right, left = wings(_patient().trunk.pelvis, plane)
    assert_allclose(right.across[:, ::-1], left.across, atol=1e-3)
    # Half way between two segments, rounding decides which is nearer.
    assert (np.abs(right.along[:, ::-1] - left.along) > 1e-2).mean() < 1e-3
    # So do the bones themselves, before the sacrum, which may lean, keeps them apart.
    bones = [_patient().trunk.pelvis.sacrum.ilium_depth(plane, side) for side in (-1, 1)]
    assert bones[0] is not None
    assert bones[1] is not None
    inside = bones[1] > 0
    assert inside.any()
    assert_allclose(bones[0][:, ::-1][inside], bones[1][inside], atol=1e-3)


def test_the_bone_lies_on_the_middle_line_of_its_wing() -> None:
    plane = _plane(_s1_mm())
    hu = _bone(_s1_mm())
    for wing in wings(_patient().trunk.pelvis, plane):
        bone = hu[wing.window] > 100
        assert bone.sum() * 4 > 200
        assert np.abs(wing.across[bone]).max() < 14


def test_there_is_no_pelvis_above_its_crest() -> None:
    crest = _patient().trunk.pelvis.crest_mm
    assert_allclose(crest - _s1_mm(), ILIUM_MM[0][0] * _patient().trunk.pelvis.sacrum.scale)
    assert wings(_patient().trunk.pelvis, _plane(crest + 1)) == ()
    assert len(wings(_patient().trunk.pelvis, _plane(crest - 1))) == 2


def test_the_cavity_of_the_pelvis_lies_between_the_wings() -> None:
    plane = _plane(_s1_mm())
    found = wings(_patient().trunk.pelvis, plane)
    room = inside_wings(found, np.full_like(plane.x, 50.0))
    for wing in found:
        beside = (wing.across > 0) & (wing.along > 0) & (wing.along < wing.length_mm)
        assert (room[wing.window][beside] < 0).all()


def test_gluteal_muscle_lies_outside_the_wing_and_under_the_fat() -> None:
    patient, plane = _patient(), _plane(_s1_mm())
    none = np.zeros_like(plane.x)
    near = layers(patient.trunk.outline.section(plane.z_mm), plane, (none, none))
    found = wings(patient.trunk.pelvis, plane)
    hu = np.full_like(plane.x, -1000.0)
    paint_gluteals(patient.trunk.pelvis, found, patient.tissues, near, hu)
    for wing in found:
        flesh = (hu[wing.window] > -500) & (wing.across > 0)
        assert flesh.sum() * 4 > 1500
        assert (near.fascia[wing.window][flesh] > 0).all()


def test_a_woman_has_a_uterus_behind_her_bladder() -> None:
    outline = _patient().trunk.outline
    for sex, names in (("F", ["bladder", "uterus"]), ("M", ["bladder"])):
        organs = draw_pelvic_organs(np.random.default_rng(0), outline, Person(sex, 40, 1.7, 24))
        assert [organ.name for organ in organs] == names
    assert place(outline, 0.0, 0.0, -150.0)[1] < place(outline, 0.0, 1.0, -150.0)[1]
