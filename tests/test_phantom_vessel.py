"""Vessels and plaque."""

from __future__ import annotations

import functools

import numpy as np
from numpy.testing import assert_allclose

from osteoscreen.phantom.anatomy import Mode, Patient, draw_patient
from osteoscreen.phantom.column import Column
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.solid import Loft
from osteoscreen.phantom.vasculature import BODY_FRONT_MM, FORK_MM, draw_vessels
from osteoscreen.phantom.vessel import Plaque, Vessels, draw_plaques, plaque_hu

STRAIGHT = Column((-200.0, 200.0), (0.0, 0.0), (0.0, 0.0))
BENT = Column((-200.0, 200.0), (4.0, 4.0), (9.0, 9.0))
HILA = ((-35.0, -10.0, 40.0), (35.0, -10.0, 50.0))


def _draw(column: Column) -> Vessels:
    return draw_vessels(
        np.random.default_rng(2), column, (1.0, 70.0), HILA, ((20.0, -60.0, -20.0),)
    )


@functools.cache
def _patient(case: int) -> Patient:
    return draw_patient(21, case, Mode.COHORT)


def test_the_aorta_follows_the_column_and_ends_at_its_fork() -> None:
    still, moved = _draw(STRAIGHT).aorta, _draw(BENT).aorta
    one, other = still.at(20.0), moved.at(20.0)
    assert one is not None
    assert other is not None
    assert_allclose([other.x_mm - one.x_mm, other.y_mm - one.y_mm], [4, 9], atol=1e-6)
    assert still.at(FORK_MM - 1) is None


def test_the_aorta_lies_in_front_of_the_bodies_and_left_of_the_cava() -> None:
    for case in range(4):
        patient = _patient(case)
        vessels = patient.trunk.abdomen.vessels
        for level in ("L1", "L2", "L3"):
            body = patient.spine.vertebra(level)
            aorta = vessels.aorta.at(body.centre_mm[2])
            cava = vessels.others[0].solid
            assert isinstance(cava, Loft)
            beside = cava.at(body.centre_mm[2])
            assert aorta is not None
            assert beside is not None
            # Left is up: their middles are at least the smaller radius of the aorta apart.
            assert aorta.x_mm > beside.x_mm + min(aorta.rx_mm, aorta.ry_mm)
            assert aorta.y_mm + 0.5 * aorta.ry_mm < body.centre_mm[1] - 0.35 * body.depth_mm


def test_the_cava_is_a_flat_oval_right_of_the_aorta() -> None:
    vessels = _draw(STRAIGHT)
    plane = _plane(20.0)
    aorta, cava = vessels.aorta.cut(plane), vessels.others[0].solid.cut(plane)
    assert aorta is not None
    assert cava is not None
    mask = cava[1] > 0
    assert plane.x[cava[0]][mask].mean() < plane.x[aorta[0]][aorta[1] > 0].mean() - 15
    assert np.ptp(plane.x[cava[0]][mask]) > np.ptp(plane.y[cava[0]][mask])


def _plane(z_mm: float) -> Plane:
    axis = np.arange(-60, 60, 0.5, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    return Plane(x, y, z_mm, np.zeros_like(x), 0.5)


def test_plaque_is_a_crescent_in_the_wall() -> None:
    vessels = _draw(STRAIGHT)
    crescent = Plaque(10.0, 5.0, 0.0, 0.5, 2.0, 1.0)
    marked = Vessels(vessels.aorta, (crescent,), (), ())
    tissues = _patient(0).tissues
    for z, is_there in ((10.0, True), (14.0, True), (16.0, False)):
        plane = _plane(z)
        cut = marked.aorta.cut(plane)
        assert cut is not None
        window, depth = cut
        part = plane.part(window)
        hu = plaque_hu(marked, tissues, part, depth, np.zeros_like(depth))
        dense = hu > 0.9 * tissues.plaque
        assert dense.any() == is_there
        if is_there:
            assert depth[dense].max() < 3.5
            knot = marked.aorta.at(z)
            assert knot is not None
            assert (part.x[dense] > knot.x_mm).all()


def test_plaque_comes_with_age() -> None:
    rng = np.random.default_rng(0)
    counts = [sum(len(draw_plaques(rng, age)) for _ in range(40)) for age in (40.0, 60.0, 85.0)]
    assert counts[0] == 0
    assert counts[0] < counts[1] < counts[2]


def test_lime_multiplies_the_patches_and_lets_them_reach_farther() -> None:
    rng = np.random.default_rng(0)
    drawn = [[one for _ in range(60) for one in draw_plaques(rng, 75.0, lime)] for lime in (1, 4)]
    # Gamma and Poisson counts of 60 patients: 16 % of standard error each.
    assert 2.5 < len(drawn[1]) / len(drawn[0]) < 6
    assert max(one.half_angle for one in drawn[0]) <= 1.1
    assert max(one.half_angle for one in drawn[1]) > 1.7


def test_a_limy_aorta_is_wide_and_touches_the_column() -> None:
    plain, limy = (
        draw_vessels(
            np.random.default_rng(3), STRAIGHT, (1.0, 60.0), HILA, (), is_limy=is_limy
        ).aorta.at(20.0)
        for is_limy in (False, True)
    )
    assert plain is not None
    assert limy is not None
    assert limy.rx_mm >= plain.rx_mm
    gap = STRAIGHT.at(20.0)[1] - BODY_FRONT_MM - (limy.y_mm + limy.ry_mm)
    assert -1.5 <= gap <= 1.5
