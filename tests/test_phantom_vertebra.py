"""One vertebra: closed forms of its area and volume, and what lies where in it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.vertebra import TEXTURE_PITCH_MM, Osteophyte, Vertebra

STEP_MM = 0.25
CORTEX_HU = 900.0


def _turned(tilt_deg: float) -> Array:
    """Axes of a vertebra that leans to the back."""
    cos, sin = math.cos(math.radians(tilt_deg)), math.sin(math.radians(tilt_deg))
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]], np.float32)


def _flat_texture() -> tuple[Array, Array]:
    coarse, fine = (
        np.zeros([int(extent / pitch) + 1 for extent in (36, 46, 64)], np.float32)
        for pitch in TEXTURE_PITCH_MM
    )
    return coarse, fine


PLAIN = Vertebra(
    level="L3",
    centre_mm=(0.0, 0.0, 0.0),
    axes=_turned(0),
    width_mm=44.0,
    depth_mm=32.0,
    height_mm=27.0,
    exponent=2.4,
    notch=0.0,
    waist=0.0,
    concavity_mm=0.0,
    disc_mm=9.0,
    trabecular_hu=130.0,
    endplate_mm=1.0,
    sclerosis_hu=0.0,
    arch=(),
    osteophytes=(),
    texture=_flat_texture(),
)
"""A body with straight walls and flat endplates."""


def _plane(z_mm: float, vertebra: Vertebra, shell_mm: float = 0.0) -> Array:
    """HU of one axial plane of 70 mm side, NaN outside."""
    steps = np.arange(-35, 35, STEP_MM, dtype=np.float32) + STEP_MM / 2
    x, y = np.meshgrid(steps, steps)
    shell = np.full(x.shape, shell_mm, np.float32)
    return vertebra.body(vertebra.local(x, y, z_mm), shell, CORTEX_HU)


def _area_mm2(z_mm: float, vertebra: Vertebra) -> float:
    return float(np.isfinite(_plane(z_mm, vertebra)).sum() * STEP_MM**2)


def _superellipse_mm2(vertebra: Vertebra) -> float:
    """Area of a superellipse of the body's width and depth."""
    n = vertebra.exponent
    gammas = math.gamma(1 + 1 / n) ** 2 / math.gamma(1 + 2 / n)
    return 4 * vertebra.width_mm / 2 * vertebra.depth_mm / 2 * gammas


@pytest.mark.parametrize("exponent", [2.0, 2.15, 2.65, 4.0])
def test_the_area_at_mid_height_is_that_of_the_superellipse(exponent: float) -> None:
    vertebra = dataclasses.replace(PLAIN, exponent=exponent)
    # A pixel edge of 0.25 mm on a circumference of 120 mm averages out below 0.2 %.
    assert_allclose(_area_mm2(0.0, vertebra), _superellipse_mm2(vertebra), rtol=2e-3)


def test_an_ellipse_of_exponent_two_has_the_area_pi_a_b() -> None:
    vertebra = dataclasses.replace(PLAIN, exponent=2.0)
    assert_allclose(_area_mm2(0.0, vertebra), math.pi * 22 * 16, rtol=2e-3)


@pytest.mark.parametrize("tilt_deg", [0.0, 10.0, -20.0])
def test_an_oblique_cut_is_longer_by_the_cosine(tilt_deg: float) -> None:
    vertebra = dataclasses.replace(PLAIN, axes=_turned(tilt_deg))
    expected = _superellipse_mm2(PLAIN) / math.cos(math.radians(tilt_deg))
    assert_allclose(_area_mm2(0.0, vertebra), expected, rtol=2e-3)


@pytest.mark.parametrize("tilt_deg", [0.0, 25.0])
def test_concave_endplates_take_their_share_of_the_volume(tilt_deg: float) -> None:
    """The dip is c (1 - r^2) on both sides, and r^2 is 1/2 on average over the outline."""
    vertebra = dataclasses.replace(PLAIN, concavity_mm=2.0, axes=_turned(tilt_deg))
    heights = np.arange(-26, 26, 0.5) + 0.25
    volume = sum(_area_mm2(z, vertebra) for z in heights) * 0.5
    assert_allclose(volume, _superellipse_mm2(PLAIN) * (27.0 - 2.0), rtol=5e-3)


def test_a_slice_beyond_the_endplates_is_empty() -> None:
    assert _area_mm2(13.4, PLAIN) > 0
    assert _area_mm2(13.6, PLAIN) == 0
    assert _area_mm2(-13.6, PLAIN) == 0


def test_the_waist_narrows_the_middle_and_spares_the_rims() -> None:
    vertebra = dataclasses.replace(PLAIN, waist=0.1)
    assert_allclose(_area_mm2(0.0, vertebra), 0.81 * _superellipse_mm2(PLAIN), rtol=3e-3)
    assert_allclose(_area_mm2(13.4, vertebra), _superellipse_mm2(PLAIN), rtol=0.01)


def test_the_notch_dents_the_back_wall_only() -> None:
    dented = np.isfinite(_plane(0.0, dataclasses.replace(PLAIN, notch=0.15)))
    whole = np.isfinite(_plane(0.0, PLAIN))
    middle = dented.shape[0] // 2
    assert_array_equal(dented[:middle], whole[:middle])
    assert not (dented & ~whole).any()
    assert_allclose((whole & ~dented)[:, middle].sum() * STEP_MM, 0.15 * 16, atol=2 * STEP_MM)


def test_a_spur_grows_at_its_rim_and_on_its_side() -> None:
    spur = Osteophyte(angle=-math.pi / 2, size_mm=5.0, upper=True)
    vertebra = dataclasses.replace(PLAIN, osteophytes=(spur,))
    grown = np.isfinite(_plane(13.0, vertebra)) & ~np.isfinite(_plane(13.0, PLAIN))
    rows, columns = np.nonzero(grown)
    middle = (grown.shape[0] - 1) / 2
    # On its axis the wall moves from 16 mm to the radius d with d / 16 = 1 + s / d, s the spur's
    # 5 mm half a millimetre away from the rim.
    size = 5.0 * math.exp(-((0.5 / 3) ** 2))
    reach = 8 + math.sqrt(64 + 16 * size)
    assert_allclose(grown[:, grown.shape[1] // 2].sum() * STEP_MM, reach - 16, atol=STEP_MM)
    assert (rows < middle).all()
    assert_allclose(columns.mean(), middle, atol=1)
    assert_allclose(_area_mm2(-13.0, vertebra), _area_mm2(-13.0, PLAIN), rtol=1e-3)


def test_inside_lie_trabeculae_cortex_and_endplates() -> None:
    plane = _plane(4.0, PLAIN, shell_mm=1.5)
    middle = plane.shape[0] // 2
    row = plane[middle]
    inside = np.flatnonzero(np.isfinite(row))
    assert_allclose(row[inside[:5]], CORTEX_HU)
    assert_allclose(row[inside[8] : inside[30]], 130, atol=0.5)
    top = _plane(13.0, PLAIN)
    assert_allclose(top[np.isfinite(top)], 0.6 * CORTEX_HU, rtol=1e-6)


def test_sclerosis_decays_away_from_the_endplate() -> None:
    vertebra = dataclasses.replace(PLAIN, sclerosis_hu=80.0)
    place = (np.array([10.0], np.float32), np.array([-5.0], np.float32))
    at = [
        float(vertebra.body((*place, np.array([w])), np.zeros(1, np.float32), CORTEX_HU)[0])
        for w in (12, 9)
    ]
    # 1.5 and 4.5 mm below the endplate, decay length 2.5 mm.
    assert_allclose(at, [130 + 80 * math.exp(-0.6), 130 + 80 * math.exp(-1.8)], atol=0.5)


def test_the_basivertebral_vein_is_dark_at_the_back_only() -> None:
    plane = _plane(0.0, PLAIN)
    middle = plane.shape[0] // 2
    back, front = plane[middle + 50, middle], plane[middle - 50, middle]
    assert back < 130 - 25
    assert_allclose(front, 130, atol=0.5)


def test_the_depth_below_the_wall_is_a_distance_along_the_radius() -> None:
    u = np.array([0.0, 10.0, 21.0, 22.0, 23.0], np.float32)
    zero = np.zeros_like(u)
    relative, depth = PLAIN.outline(u, zero, zero)
    assert_allclose(relative[1:], u[1:] / 22, rtol=1e-4)
    assert_allclose(depth[1:], 22 - u[1:], atol=1e-3)


@settings(deadline=None)
@given(
    tilt_deg=st.floats(-45, 45),
    centre=st.tuples(*[st.floats(-100, 100)] * 3),
    at=st.tuples(*[st.floats(-100, 100)] * 3),
)
def test_local_coordinates_keep_distances(
    tilt_deg: float, centre: tuple[float, float, float], at: tuple[float, float, float]
) -> None:
    vertebra = dataclasses.replace(PLAIN, axes=_turned(tilt_deg), centre_mm=centre)
    local = vertebra.local(np.array([at[0]], np.float32), np.array([at[1]], np.float32), at[2])
    distance = math.dist(at, centre)
    assert_allclose(np.linalg.norm(np.ravel(local)), distance, rtol=1e-5, atol=1e-3)


def test_grain_belongs_to_the_bone_and_not_to_the_slice() -> None:
    rng = np.random.default_rng(0)
    coarse, fine = (rng.normal(0, 20, lattice.shape) for lattice in _flat_texture())
    texture = (coarse.astype(np.float32), fine.astype(np.float32))
    moved = dataclasses.replace(PLAIN, texture=texture, centre_mm=(7.0, -3.0, 40.0))
    still = dataclasses.replace(PLAIN, texture=texture)
    x, y = np.array([3.1, -9.2], np.float32), np.array([2.2, 5.7], np.float32)
    here = still.grain(*still.local(x, y, 4.0))
    there = moved.grain(*moved.local(x + np.float32(7), y - np.float32(3), 44.0))
    assert_array_equal(here, there)


def test_the_spread_of_the_grain_is_that_of_both_lattices() -> None:
    rng = np.random.default_rng(0)
    coarse, fine = (rng.standard_normal(lattice.shape) for lattice in _flat_texture())
    vertebra = dataclasses.replace(
        PLAIN, texture=((30 * coarse).astype(np.float32), (40 * fine).astype(np.float32))
    )
    u, v, w = rng.uniform(-1, 1, (3, 40_000)) * np.array([[20], [14], [12]])
    values = vertebra.grain(u, v, w)
    # About 1400 coarse cells: 2 % of the spread.
    assert_allclose(values.std(), 50, rtol=0.04)
    assert_allclose(values.mean(), 0, atol=3)
