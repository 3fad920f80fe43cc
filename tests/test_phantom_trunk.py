"""Everything around the spine, put together."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from osteoscreen.phantom.anatomy import Mode, Patient, draw_patient
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.tissue import AIR_HU, Tissues
from osteoscreen.phantom.trunk import paint_trunk

STEP_MM = 2.0
CASES = range(3)


@functools.cache
def _patient(case: int = 0, mode: Mode = Mode.COHORT) -> Patient:
    return draw_patient(21, case, mode)


def _plane(z_mm: float) -> Plane:
    y = np.arange(-320, 160, STEP_MM, dtype=np.float32)
    x = np.arange(-260, 260, STEP_MM, dtype=np.float32)
    left, back = np.meshgrid(x, y)
    return Plane(left, back, z_mm, np.zeros_like(left), STEP_MM)


def _paint(patient: Patient, z_mm: float, **changes: float) -> Array:
    """Soft tissue with the patient's own grain, in a plane without warp or surroundings."""
    plane = _plane(z_mm)
    grains = [grain.plane(z_mm, plane.y[:, 0], plane.x[0]) for grain in patient.grains]
    bare = dataclasses.replace(
        patient.trunk.surroundings, table=None, cloth_mm=(), arms=(), cables=(), pads=()
    )
    trunk = dataclasses.replace(patient.trunk, surroundings=bare)
    tissues = dataclasses.replace(patient.tissues, **changes)  # type: ignore[arg-type]  # names checked at run time
    return paint_trunk(trunk, tissues, patient.surface, plane, (grains[0], grains[1]))


def _height(patient: Patient, level: str) -> float:
    return patient.spine.vertebra(level).centre_mm[2]


def _shows(patient: Patient, level: str, tissue: str) -> tuple[Array, Array]:
    """Where a tissue shows: left and back coordinate of the pixels that follow it."""
    z = _height(patient, level)
    before, after = _paint(patient, z), _paint(patient, z, **{tissue: 1500.0})
    changed = after - before > 700
    plane = _plane(z)
    return plane.x[changed], plane.y[changed]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("z_mm", [-150.0, -60.0, 0.0, 60.0, 150.0])
def test_the_area_is_that_of_the_outline(case: int, z_mm: float) -> None:
    patient = _patient(case)
    section = patient.trunk.outline.section(z_mm)
    expected = 0.5 * float((section.skin**2).sum()) * 2 * np.pi / len(section.skin)
    # Half way from air to skin; lung and gas in the bowel are holes.
    within = ndimage.binary_fill_holes(_paint(patient, z_mm) > AIR_HU / 2)
    # Pixels of 2 mm on an edge of 900 mm: 0.3 % of 50,000 mm2 where they err by chance.
    assert_allclose(within.sum() * STEP_MM**2, expected, rtol=0.01)


@pytest.mark.parametrize("case", CASES)
def test_liver_right_and_spleen_left(case: int) -> None:
    patient = _patient(case)
    assert _shows(patient, "T12", "liver")[0].mean() < -20
    assert _shows(patient, "T11", "spleen")[0].mean() > 40


@pytest.mark.parametrize("case", CASES)
def test_kidneys_show_on_both_sides_of_l2(case: int) -> None:
    x, y = _shows(_patient(case), "L2", "kidney")
    assert (x < -20).sum() * STEP_MM**2 > 200
    assert (x > 20).sum() * STEP_MM**2 > 200
    column = _patient(case).spine.column.at(_height(_patient(case), "L2"))
    assert_allclose(y.mean(), column[1], atol=25)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
def test_the_aorta_shows_in_front_of_the_spine(case: int, level: str) -> None:
    patient = _patient(case)
    x, y = _shows(patient, level, "aorta")
    assert len(x) * STEP_MM**2 > 60
    assert np.median(y) < patient.spine.vertebra(level).centre_mm[1] - 12


def test_every_contrast_tissue_shows_somewhere() -> None:
    patient = _patient(1)
    for tissue, levels in {
        "portal": ("L1", "L2", "T12"), "blood": ("L3",), "pancreas": ("L1", "L2", "T12"),
        "bowel_wall": ("L4",), "medulla": ("L1", "L2"), "cartilage": ("T11", "T12", "L1"),
    }.items():  # fmt: skip
        assert any(len(_shows(patient, level, tissue)[0]) for level in levels), tissue


def test_lungs_show_at_the_top_and_not_at_l3() -> None:
    for case in CASES:
        patient = _patient(case)
        top = _height(patient, "T10")
        assert (np.abs(_paint(patient, top) - patient.tissues.lung) < 60).sum() > 100
        assert not len(_shows(patient, "L3", "lung")[0])


def test_neighbouring_planes_agree() -> None:
    patient = _patient(1)
    for z in (-120.0, -40.0, 20.0, 90.0, 140.0):
        one, other = _paint(patient, z), _paint(patient, z + 0.01)
        # Only pixels on an edge may change.
        assert (np.abs(one - other) > 20).mean() < 2e-3


def test_a_plane_is_a_pure_query() -> None:
    patient = _patient(0, Mode.RANDOMISED)
    assert_array_equal(_paint(patient, 10.0), _paint(patient, 10.0))
    again = draw_patient(21, 0, Mode.RANDOMISED)
    assert again.trunk == dataclasses.replace(patient.trunk, pelvis=again.trunk.pelvis)
    assert_array_equal(_paint(again, 10.0), _paint(patient, 10.0))


def test_a_small_plane_shows_the_same_as_a_large_one() -> None:
    patient = _patient(0)
    plane = _plane(0.0)
    grains = [grain.plane(0.0, plane.y[:, 0], plane.x[0]) for grain in patient.grains]
    window = (slice(90, 190), slice(60, 200))
    whole = paint_trunk(
        patient.trunk, patient.tissues, patient.surface, plane, (grains[0], grains[1])
    )
    part = paint_trunk(
        patient.trunk,
        patient.tissues,
        patient.surface,
        plane.part(window),
        (grains[0][window], grains[1][window]),
    )
    assert_allclose(part, whole[window], atol=0.01)


def test_a_plane_beside_the_patient_is_air() -> None:
    patient = _patient(0)
    plane = _plane(0.0)
    far = dataclasses.replace(plane, x=plane.x + 2000, y=plane.y - 2000)
    none = np.zeros_like(plane.x)
    hu = paint_trunk(patient.trunk, patient.tissues, patient.surface, far, (none, none))
    assert (hu == AIR_HU).all()


def test_tissues_are_those_of_the_patient() -> None:
    patient = _patient(1)
    hu = _paint(patient, 0.0)
    tissues: Tissues = patient.tissues
    for value in (tissues.fat, tissues.muscle, tissues.skin):
        assert (np.abs(hu - value) < 8).mean() > 2e-3
