"""Quantum noise: strength from dose, place and direction from the rays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.kernel import Kernel
from osteoscreen.phantom.noise import (
    BOWTIE,
    BOWTIE_MM,
    GRID_PIXELS,
    MAX_DIRECTION,
    MIN_STRENGTH,
    REFERENCE_NOISE_HU,
    NoisePlan,
    expected_noise_hu,
    plan_noise,
)
from osteoscreen.phantom.projection import SCAN_FIELD_MM, WATER_PER_MM, scan_grid

SOFT = Kernel("soft", 0.5, 0.0)
AXIS = ((np.arange(100) - 49.5) * 5).astype(np.float32)
"""An image of the whole scan field in pixels of 5 mm."""


def _expected(
    kvp: float = 120, current: float = 200, thickness: float = 2.5, half_width: float = 165
) -> float:
    return expected_noise_hu(
        SOFT, kvp=kvp, tube_current_ma=current, thickness_mm=thickness, half_width_mm=half_width
    )


def _ellipse(half_width_mm: float, half_depth_mm: float) -> Array:
    steps = (np.arange(GRID_PIXELS) - (GRID_PIXELS - 1) / 2) * SCAN_FIELD_MM / GRID_PIXELS
    inside = (steps[None, :] / half_width_mm) ** 2 + (steps[:, None] / half_depth_mm) ** 2 < 1
    return inside.astype(np.float32) * np.float32(WATER_PER_MM)


def _plan(half_width_mm: float, half_depth_mm: float) -> NoisePlan:
    placed = scan_grid(AXIS, AXIS, (0.0, 0.0), GRID_PIXELS)
    return plan_noise(_ellipse(half_width_mm, half_depth_mm), placed)


def test_the_reference_scan_has_the_reference_noise() -> None:
    assert_allclose(_expected(), REFERENCE_NOISE_HU, rtol=1e-6)


def test_noise_falls_with_the_root_of_the_photons() -> None:
    assert_allclose(_expected(current=50), 2 * _expected())
    assert_allclose(_expected(thickness=10), _expected() / 2)
    assert_allclose(_expected(current=400, thickness=1.25), _expected())


def test_noise_grows_with_the_patient_and_falls_with_the_voltage() -> None:
    assert_allclose(_expected(half_width=215), np.e * _expected())
    noise = [_expected(kvp=kvp) for kvp in (80, 100, 120, 140)]
    assert (np.diff(noise) < 0).all()


def test_a_round_body_has_noise_alike_in_every_direction() -> None:
    plan = _plan(150, 150)
    assert_allclose((plan.cosine, plan.sine), 0, atol=0.05)


def test_a_wide_body_has_lateral_streaks_the_more_the_wider() -> None:
    # Weak rays run along x: their noise varies along y, where the cosine of twice the angle is -1.
    slim, wide = _plan(160, 120), _plan(220, 140)
    assert -MAX_DIRECTION <= wide.cosine < slim.cosine < -0.1
    assert_allclose((slim.sine, wide.sine), 0, atol=0.05)
    tall = _plan(120, 160)
    assert_allclose(tall.cosine, -slim.cosine, atol=0.05)


def test_noise_is_strongest_in_the_middle_and_weakest_outside() -> None:
    strength = _plan(180, 130).strength
    assert_allclose(strength.max(), 1, atol=0.03)
    middle, flank, air = strength[50, 50], strength[50, 82], strength[5, 50]
    assert middle > 0.95
    assert air < 0.7 * flank < 0.7 * 0.9 * middle
    assert strength.min() >= MIN_STRENGTH


def test_strength_agrees_with_the_rays_through_a_place() -> None:
    """Slowly, for a disc: the mean over directions of exp(path) of the chords through a point."""
    radius = 120.0
    plan = _plan(radius, radius)
    angles = np.arange(180) * np.pi / 180

    def power(x: float) -> float:
        s = x * np.cos(angles)
        chord = 2 * np.sqrt(np.maximum(radius**2 - s**2, 0))
        bowtie = 2 * BOWTIE * (BOWTIE_MM - np.sqrt(np.maximum(BOWTIE_MM**2 - s**2, 0)))
        return float(np.exp(WATER_PER_MM * (chord + bowtie)).mean())

    measured = plan.strength[50, 70] / plan.strength[50, 50]  # 102.5 and 2.5 mm off the middle
    # Grid cells of 8 mm blunt the disc.
    assert_allclose(measured, np.sqrt(power(102.5) / power(2.5)), rtol=0.05)


@pytest.mark.parametrize("half_width_mm", [60.0, 250.0])
def test_any_body_leaves_every_direction_some_noise(half_width_mm: float) -> None:
    plan = _plan(half_width_mm, 60)
    assert np.hypot(plan.cosine, plan.sine) <= MAX_DIRECTION + 1e-6
    assert np.isfinite(plan.strength).all()
