"""Surfaces: what a thin shell looks like whatever the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from osteoscreen.phantom.field import Array, draw_field
from osteoscreen.phantom.surface import (
    CANCELLOUS_SPREAD_HU,
    SHELL_SPREAD,
    BoneSurface,
    covered,
    paint_bone,
)

SURFACE = BoneSurface(
    cortex_mm=1.2,
    cortex_hu=800.0,
    cancellous_hu=170.0,
    roughness=draw_field(np.random.default_rng(0), 7.0, (20.0, 20.0, 20.0)),
    body_wall=0.5,
)


def _disc(pixel_mm: float, shell_mm: float, radius_mm: float = 15.0) -> Array:
    """A round bone of 15 mm with a shell in a field of 40 mm, marrow 100 HU on fat -100 HU."""
    steps = np.arange(-20 + pixel_mm / 2, 20, pixel_mm, dtype=np.float32)
    x, y = np.meshgrid(steps, steps)
    depth = np.asarray(radius_mm - np.hypot(x, y), np.float32)
    hu = np.full(x.shape, -100, np.float32)
    paint_bone(hu, depth, np.full_like(depth, shell_mm), pixel_mm, (800.0, 100.0))
    return hu


@pytest.mark.parametrize("shell_mm", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("pixel_mm", [0.5, 0.8, 1.0])
def test_a_thin_shell_has_the_same_mean_whatever_the_pixel(
    pixel_mm: float, shell_mm: float
) -> None:
    inner = 15 - shell_mm
    area = np.pi * (225 - inner**2) * 900 + np.pi * inner**2 * 200
    expected = -100 + area / 1600
    # The mean over the field, whose contrast is some hundred HU: a pixel's edge is worth some.
    assert_allclose(_disc(pixel_mm, shell_mm).mean(), expected, atol=0.8)


def test_partial_pixels_agree_with_eightfold_supersampling() -> None:
    coarse, fine = _disc(0.8, 0.5), _disc(0.1, 0.5)
    blocks = fine.reshape(50, 8, 50, 8).mean(axis=(1, 3))
    # The share of a pixel cut by an oblique edge is linear in the depth only to first order.
    assert_allclose(coarse.mean(), blocks.mean(), atol=0.3)
    assert np.sqrt(np.square(coarse - blocks).mean()) < 15
    assert np.corrcoef(coarse.ravel(), blocks.ravel())[0, 1] > 0.995


@pytest.mark.parametrize(
    ("depth", "share"), [(-0.5, 0.0), (-0.25, 0.125), (0.0, 0.5), (0.5, 1.0), (3.0, 1.0)]
)
def test_the_covered_share_of_a_pixel_is_worked_by_hand(depth: float, share: float) -> None:
    pixel = 2 * abs(depth) if abs(depth) == 0.5 else 0.25 / 0.375
    assert_allclose(covered(np.array([depth], np.float32), pixel), [share], atol=1e-6)


@given(depth=st.floats(-5, 5), pixel=st.floats(0.2, 2))
def test_what_is_covered_and_what_is_not_make_one_pixel(depth: float, pixel: float) -> None:
    at = np.array([depth], np.float32)
    assert_allclose(covered(at, pixel) + covered(-at, pixel), 1, atol=1e-5)


def test_outside_nothing_is_painted_and_deep_inside_lies_marrow() -> None:
    hu = _disc(0.5, 1.0)
    assert_allclose(hu[0], -100)
    assert_allclose(hu[40, 40], 100)
    assert_allclose(hu.max(), 800)


def test_the_shell_varies_around_its_thickness_by_its_spread() -> None:
    noise = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    logs = np.log(SURFACE.shell_mm(noise, 1.5))
    assert_allclose(logs.mean(), np.log(1.8), atol=0.01)
    assert_allclose(logs.std(), SHELL_SPREAD, rtol=0.03)


def test_cancellous_bone_varies_around_its_mean() -> None:
    noise = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    hu = SURFACE.cancellous(noise)
    assert_allclose(hu.mean(), 170, atol=1)
    assert_allclose(hu.std(), CANCELLOUS_SPREAD_HU, rtol=0.03)
