"""Beam hardening, metal and starved rays."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.phantom.artefact import (
    GRID_PIXELS,
    METAL_HU,
    ORDINARY,
    Artefacts,
    attenuation_per_mm,
    beam_error_hu,
    has_metal,
)
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.projection import SCAN_FIELD_MM, WATER_PER_MM

IDEAL = Artefacts(hardening=0.0, leakage=0.0, photons=1e15)
HARD = dataclasses.replace(IDEAL, hardening=1.0)

STEPS = (np.arange(GRID_PIXELS) - (GRID_PIXELS - 1) / 2) * SCAN_FIELD_MM / GRID_PIXELS


def _distance(x_mm: float = 0.0, y_mm: float = 0.0) -> Array:
    return np.hypot(STEPS[None, :] - x_mm, STEPS[:, None] - y_mm).astype(np.float32)


def _body(radius_mm: float, hu: float = 0.0) -> Array:
    return np.where(_distance() < radius_mm, hu, -1000).astype(np.float32)


def _with_rods(body: Array, hu: float, radius_mm: float, apart_mm: float) -> Array:
    rods = np.minimum(_distance(apart_mm / 2), _distance(-apart_mm / 2)) < radius_mm
    return np.where(rods, hu, body).astype(np.float32)


def _error(artefacts: Artefacts, hu: Array, seed: int = 0) -> Array:
    return beam_error_hu(artefacts, np.random.default_rng(seed), hu)


def _cup(radius_mm: float) -> float:
    error, distance = _error(HARD, _body(radius_mm)), _distance()
    rim = (distance > radius_mm - 15) & (distance < radius_mm - 6)
    return float(error[rim].mean() - error[distance < 20].mean())


def test_an_ideal_beam_makes_no_error() -> None:
    assert_allclose(_error(IDEAL, _with_rods(_body(160, 40), 1200, 15, 120)), 0, atol=1e-3)


def test_water_and_air_attenuate_as_defined() -> None:
    hu = np.array([-1024, -1000, 0, 1000], np.float32)
    assert_allclose(attenuation_per_mm(hu), np.array([0, 0, 1, 2]) * WATER_PER_MM)


def test_a_big_water_disc_is_cupped_and_a_bigger_one_more() -> None:
    assert 12 < _cup(175) < 25
    assert _cup(100) < _cup(175) < _cup(230)


def test_a_uniform_disc_keeps_its_mean() -> None:
    for radius_mm in (100, 175):
        error = _error(HARD, _body(radius_mm))
        assert_allclose(error[_distance() < radius_mm - 5].mean(), 0, atol=1)


def test_two_dense_bones_have_a_dark_band_between_them() -> None:
    with_bones = _error(HARD, _with_rods(_body(160, 40), 1000, 15, 120))
    change = with_bones - _error(HARD, _body(160, 40))
    between = change[np.abs(STEPS) < 8][:, np.abs(STEPS) < 30].mean()
    beside = change[np.abs(STEPS - 70) < 8][:, np.abs(STEPS) < 30].mean()
    assert between < -5
    assert between < beside - 5


def test_hardening_is_in_proportion_to_its_strength() -> None:
    hu = _with_rods(_body(160, 40), 1000, 15, 120)
    half = _error(dataclasses.replace(HARD, hardening=0.5), hu)
    assert_allclose(2 * half, _error(HARD, hu), atol=0.05)


def test_metal_streaks_far_more_than_bone() -> None:
    body = _body(160, 40)
    metal, bone = (_error(ORDINARY, _with_rods(body, hu, 5, 60)) for hu in (8000, 1000))
    between = np.ix_(np.abs(STEPS) < 5, np.abs(STEPS) < 20)
    assert metal[between].mean() < -40
    assert metal[between].mean() < 5 * abs(bone[between].mean())


def test_only_what_is_denser_than_bone_is_metal() -> None:
    assert has_metal(np.array([[METAL_HU + 1]], np.float32))
    assert not has_metal(np.array([[1700.0]], np.float32))  # cortex at 80 kVp


def test_photons_starve_in_large_patients_only() -> None:
    starved = dataclasses.replace(IDEAL, photons=3e4)
    middle = _distance() < 60
    assert not _error(starved, _body(120)).any()
    assert _error(starved, _body(220))[middle].std() > 20
    assert abs(_error(starved, _body(220))[middle].mean()) < 10


def test_leaking_beams_darken_the_depth_of_a_large_patient() -> None:
    leaky = dataclasses.replace(IDEAL, leakage=3e-5)
    assert_allclose(_error(leaky, _body(120))[_distance() < 60], 0, atol=2)
    assert _error(leaky, _body(230))[_distance() < 20].mean() < -15


def test_the_error_depends_on_the_seed_alone() -> None:
    hu = _body(220)
    starved = dataclasses.replace(IDEAL, photons=3e4)
    assert_array_equal(_error(starved, hu, 1), _error(starved, hu, 1))
    assert not np.array_equal(_error(starved, hu, 1), _error(starved, hu, 2))
