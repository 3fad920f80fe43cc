"""The body of a vertebra: closed forms of its area and height, and what lies where in it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import ArrayLike

from osteoscreen.phantom.capsule import Frame
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.vertebra import (
    SUBCHONDRAL_MM,
    TEXTURE_PITCH_MM,
    TEXTURE_STRETCH,
    VEIN_HU,
    VEIN_SHARE,
    BodyOutline,
    Endplate,
    Lesion,
    Local,
    Node,
    Osteophyte,
    Vertebra,
)

STEP_MM = 0.25
FLAT = Endplate(concavity_mm=0.0, front_mm=0.0, side_mm=0.0, thickness_mm=0.8, sclerosis_hu=0.0)
OUTLINE = BodyOutline(width_mm=44.0, depth_mm=32.0, exponent=2.4, notch=0.0, waist=0.0)


def _texture(spreads: tuple[float, ...] = (0.0, 0.0, 0.0)) -> tuple[Array, ...]:
    rng = np.random.default_rng(0)
    lattices = []
    for pitch, spread in zip(TEXTURE_PITCH_MM, spreads):
        pitches = (pitch * TEXTURE_STRETCH, pitch, pitch)
        shape = [int(extent / one) + 3 for extent, one in zip((38, 46, 66), pitches)]
        lattices.append(np.float32(spread) * rng.standard_normal(shape, dtype=np.float32))
    return tuple(lattices)


PLAIN = Vertebra(
    level="L3",
    frame=Frame((0.0, 0.0, 0.0), np.eye(3, dtype=np.float32)),
    outline=OUTLINE,
    height_mm=27.0,
    upper=FLAT,
    lower=FLAT,
    disc_mm=9.0,
    trabecular_hu=130.0,
    height_loss=0.0,
    arch=(),
    osteophytes=(),
    texture=_texture(),
)
"""A body with straight walls and flat endplates, which are one object."""


def _at(u: ArrayLike, v: ArrayLike, w: ArrayLike) -> Local:
    axes = np.broadcast_arrays(np.asarray(u), np.asarray(v), np.asarray(w))
    first, second, third = (np.array(axis, np.float32) for axis in axes)
    return first, second, third


def _outlined(**changes: float | tuple[tuple[float, float], ...]) -> Vertebra:
    return dataclasses.replace(PLAIN, outline=dataclasses.replace(OUTLINE, **changes))  # type: ignore[arg-type]  # one kind a field


def _inside(vertebra: Vertebra, w: float) -> Array:
    """Which points of a local plane of 70 mm side lie inside the body."""
    steps = np.arange(-35, 35, STEP_MM) + STEP_MM / 2
    u, v = np.meshgrid(steps, steps)
    return np.asarray(np.minimum.reduce(vertebra.depths(_at(u, v, w))[1:]) > 0, np.float32)


def _area_mm2(vertebra: Vertebra, w: float = 0.0) -> float:
    return float(_inside(vertebra, w).sum() * STEP_MM**2)


def _superellipse_mm2(outline: BodyOutline) -> float:
    """Area of a superellipse of the body's width and depth."""
    n = outline.exponent
    gammas = math.gamma(1 + 1 / n) ** 2 / math.gamma(1 + 2 / n)
    return outline.width_mm * outline.depth_mm * gammas


def _height_mm(vertebra: Vertebra, u: float, v: float) -> float:
    """Distance of the endplates at one place."""
    _, _, upper, lower = vertebra.depths(_at(u, v, 0.0))
    return float(upper + lower)


@pytest.mark.parametrize("exponent", [2.0, 2.15, 2.55, 4.0])
def test_the_area_is_that_of_the_superellipse(exponent: float) -> None:
    vertebra = _outlined(exponent=exponent)
    # A pixel edge of 0.25 mm on a circumference of 120 mm averages out below 0.2 %.
    assert_allclose(_area_mm2(vertebra), _superellipse_mm2(vertebra.outline), rtol=2e-3)


def test_an_ellipse_of_exponent_two_has_the_area_pi_a_b() -> None:
    assert_allclose(_area_mm2(_outlined(exponent=2.0)), math.pi * 22 * 16, rtol=2e-3)


def test_waves_change_the_area_to_second_order_only() -> None:
    """A wave of share a adds a^2 / 2 of the area of a circle."""
    wavy = _outlined(exponent=2.0, width_mm=40.0, depth_mm=40.0, waves=((0.05, 1.0), (0.0, 0.0)))
    assert_allclose(_area_mm2(wavy), math.pi * 400 * (1 + 0.05**2 / 2), rtol=2e-3)
    assert (_inside(wavy, 0) != _inside(_outlined(width_mm=40.0, depth_mm=40.0), 0)).any()


def test_the_waist_narrows_the_middle_and_spares_the_rims() -> None:
    vertebra = _outlined(waist=0.1)
    assert_allclose(_area_mm2(vertebra), 0.81 * _superellipse_mm2(OUTLINE), rtol=3e-3)
    assert_allclose(_area_mm2(vertebra, 13.4), _superellipse_mm2(OUTLINE), rtol=0.01)


def test_the_notch_dents_the_back_wall_only() -> None:
    dented, whole = _inside(_outlined(notch=0.15), 0.0), _inside(PLAIN, 0.0)
    middle = dented.shape[0] // 2
    assert_array_equal(dented[:middle], whole[:middle])
    assert (dented <= whole).all()
    assert_allclose((whole - dented)[:, middle].sum() * STEP_MM, 0.15 * 16, atol=2 * STEP_MM)


def test_depth_below_the_wall_is_a_distance_along_the_radius() -> None:
    u = np.array([0.2, 10.0, 21.0, 22.0, 23.0])
    relative, depth = PLAIN.wall(_at(u, 0.0, 0.0))
    assert_allclose(relative, u / 22, atol=1e-5)
    assert_allclose(depth, 22 - u, atol=1e-2)


def test_the_axis_of_a_body_lies_inside_it() -> None:
    _, depth = PLAIN.wall(_at(np.array([0.0, 0.001, 0.01]), 0.0, 0.0))
    assert (depth > 10).all()


@pytest.mark.parametrize("w", [0.0, 6.0, -13.0])
def test_flat_endplates_are_as_far_away_as_they_are(w: float) -> None:
    """Also where one endplate object serves both ends."""
    _, _, upper, lower = PLAIN.depths(_at(5.0, -3.0, w))
    assert_allclose([upper, lower], [13.5 - w, 13.5 + w], atol=1e-5)


def test_a_slice_beyond_the_endplates_is_empty() -> None:
    assert _area_mm2(PLAIN, 13.4) > 0
    assert _area_mm2(PLAIN, 13.6) == 0
    assert _area_mm2(PLAIN, -13.6) == 0


def test_a_wedge_loses_height_at_the_front_only() -> None:
    wedge = dataclasses.replace(PLAIN, upper=dataclasses.replace(FLAT, front_mm=6.0))
    heights = [_height_mm(wedge, 0.0, v) for v in (-16.0, -8.0, 0.0, 8.0, 16.0)]
    assert_allclose(heights, [21, 22.5, 24, 25.5, 27], atol=1e-4)
    assert_allclose(_height_mm(wedge, 20.0, 16.0), 27, atol=1e-4)


def test_a_biconcave_body_loses_height_in_the_middle_only() -> None:
    plate = dataclasses.replace(FLAT, concavity_mm=4.0)
    fish = dataclasses.replace(PLAIN, upper=plate, lower=plate)
    # The dip is 4 (1 - r^2): all of it on the axis, three quarters half way to the wall.
    heights = [_height_mm(fish, u, 0.0) for u in (0.0, 11.0, 22.0, 24.0)]
    assert_allclose(heights, [19, 21, 27, 27], atol=1e-3)


def test_a_tilted_endplate_loses_left_what_it_gains_right() -> None:
    tilted = dataclasses.replace(PLAIN, lower=dataclasses.replace(FLAT, side_mm=2.0))
    assert_allclose([_height_mm(tilted, u, 0.0) for u in (-22.0, 0.0, 22.0)], [28, 27, 26])


def test_concave_endplates_take_their_share_of_the_volume() -> None:
    """The dip is c (1 - r^2) on both sides, and r^2 is 1/2 on average over the outline."""
    plate = dataclasses.replace(FLAT, concavity_mm=2.0)
    vertebra = dataclasses.replace(PLAIN, upper=plate, lower=plate)
    volume = sum(_area_mm2(vertebra, w) for w in np.arange(-13.75, 14, 0.5)) * 0.5
    assert_allclose(volume, _superellipse_mm2(OUTLINE) * (27.0 - 2.0), rtol=5e-3)


def test_a_spur_grows_at_its_rim_and_on_its_side() -> None:
    spur = Osteophyte(angle=-math.pi / 2, size_mm=5.0, is_upper=True)
    vertebra = dataclasses.replace(PLAIN, osteophytes=(spur,))
    grown = _inside(vertebra, 13.0) - _inside(PLAIN, 13.0)
    rows, columns = np.nonzero(grown)
    middle = (grown.shape[0] - 1) / 2
    # On its axis the wall moves from 16 mm to the radius d with d / 16 = 1 + s / d, s the spur's
    # 5 mm half a millimetre away from the rim.
    size = 5.0 * math.exp(-((0.5 / 3) ** 2))
    reach = 8 + math.sqrt(64 + 16 * size)
    assert_allclose(grown[:, grown.shape[1] // 2].sum() * STEP_MM, reach - 16, atol=STEP_MM)
    assert (rows < middle).all()
    assert_allclose(columns.mean(), middle, atol=1)
    assert_allclose(_area_mm2(vertebra, -13.0), _area_mm2(PLAIN, -13.0), rtol=1e-3)


def test_a_lip_raises_the_rim_of_its_endplate_alone() -> None:
    """Full height where the spur is, none in the middle, at the back or below."""
    spur = Osteophyte(-math.pi / 2, 5.0, is_upper=True, lip_mm=4.0)
    vertebra = dataclasses.replace(PLAIN, osteophytes=(spur,))
    v = np.array([-19.0, 0.0, 15.5])
    _, _, upper, lower = vertebra.depths(_at(0.0, v, 13.5))
    assert_allclose(upper, [4.0, 0.0, 0.0], atol=1e-3)
    assert_allclose(lower, 27.0, atol=1e-4)
    beside, above = vertebra.margins_mm
    assert (beside, above) == (5.0, 4.0)
    assert PLAIN.margins_mm == (0.0, 0.0)


def test_a_dense_spur_is_dense_at_its_rim_and_not_in_the_middle() -> None:
    spur = Osteophyte(-math.pi / 2, 5.0, is_upper=True, dense_hu=400.0)
    vertebra = dataclasses.replace(PLAIN, osteophytes=(spur,))
    far = np.full(4, 20.0, np.float32)
    hu = vertebra.inside_hu(
        _at(0.0, np.array([-18.0, -8.0, 15.0, -18.0]), [13.5] * 3 + [0.0]), (far, far)
    )
    # At w = 0 the spur has faded by exp(-(13.5 / 3)^2), and its density by the root of that.
    assert_allclose(hu[:3], [530, 130, 130], atol=0.5)
    assert hu[3] < 130 + 1


def test_sclerosis_decays_away_from_its_endplate() -> None:
    vertebra = dataclasses.replace(PLAIN, upper=dataclasses.replace(FLAT, sclerosis_hu=80.0))
    depth = np.array([0.0, 2.5, 5.0, -1.0])
    hu = vertebra.inside_hu(
        _at(10.0, -12.0, 13.5 - depth), (depth.astype(np.float32), np.full(4, 20.0, np.float32))
    )
    expected = 130 + 80 * np.exp(-np.maximum(depth, 0) / SUBCHONDRAL_MM)
    assert_allclose(hu, expected, atol=0.1)


def test_leaning_sclerosis_is_all_on_one_side() -> None:
    plate = dataclasses.replace(FLAT, sclerosis_hu=80.0, sclerosis_mm=5.0, lean=(1.0, 0.0))
    vertebra = dataclasses.replace(PLAIN, upper=plate)
    depth, far = np.full(3, 5.0, np.float32), np.full(3, 50.0, np.float32)
    hu = vertebra.inside_hu(_at(np.array([-22.0, 0.0, 22.0]), -12.0, 8.5), (depth, far))
    assert_allclose(hu, 130 + np.array([0, 80, 160]) * np.exp(-1), atol=0.2)


def test_a_leaning_plate_never_thins_the_bone() -> None:
    plate = dataclasses.replace(FLAT, sclerosis_hu=80.0, lean=(-2.0, 1.0))
    vertebra = dataclasses.replace(PLAIN, upper=plate)
    u, v = np.meshgrid(np.linspace(-20, 20, 21), np.linspace(-14, 14, 15))
    near, far = np.ones(u.shape, np.float32), np.full(u.shape, 50.0, np.float32)
    assert vertebra.inside_hu(_at(u, v, 12.5), (near, far)).min() > 130 - 0.1


def test_a_node_dips_into_its_endplate_at_its_place() -> None:
    node = Node(u_mm=6.0, v_mm=-4.0, radius_mm=4.0, depth_mm=5.0)
    vertebra = dataclasses.replace(PLAIN, lower=dataclasses.replace(FLAT, nodes=(node,)))
    heights = [_height_mm(vertebra, 6.0, -4.0), _height_mm(vertebra, 10.0, -4.0)]
    assert_allclose(heights, [22.0, 27 - 5 * math.exp(-1)], atol=1e-4)
    assert_allclose(_height_mm(vertebra, -12.0, 8.0), 27, atol=1e-3)


def test_a_lesion_changes_the_bone_in_its_ball_and_nowhere_else() -> None:
    lesion = Lesion(centre_mm=(10.0, 0.0, 3.0), radius_mm=5.0, change_hu=400.0)
    vertebra = dataclasses.replace(PLAIN, lesions=(lesion,))
    far = np.full(5, 20.0, np.float32)
    u = np.array([10.0, 14.4, 15.0, 15.6, 4.0])
    hu = vertebra.inside_hu(_at(u, 0.0, 3.0), (far, far)) - PLAIN.inside_hu(
        _at(u, 0.0, 3.0), (far, far)
    )
    assert_allclose(hu, [400, 400, 200, 0, 0], atol=10)


def test_the_vein_is_nothing_at_the_front_wall_and_strongest_at_the_back() -> None:
    along = PLAIN.vein(_at(0.0, np.array([-16.0, -10.0, 15.9]), 0.0))
    assert along[0] < 1e-6
    assert along[1] < 1e-3
    assert_allclose(along[2], 1, atol=1e-3)
    front = PLAIN.vein(_at(np.linspace(-22, 22, 45), -14.0, 0.0))
    assert front.max() < 0.01
    steps = np.linspace(-1, 1, 41)
    u, v = np.meshgrid(22 * steps, 16 * steps)
    whole = PLAIN.vein(_at(u, v, 0.0))
    assert whole[v > 8].max() >= whole.max() - 1e-6


def test_the_vein_is_symmetric_and_gone_near_the_endplates() -> None:
    u, v = np.meshgrid(np.linspace(0, 22, 23), np.linspace(-16, 16, 33))
    assert_allclose(PLAIN.vein(_at(u, v, 1.0)), PLAIN.vein(_at(-u, v, 1.0)))
    assert_allclose(PLAIN.vein(_at(u, v, 1.0)), PLAIN.vein(_at(u, v, -1.0)))
    assert PLAIN.vein(_at(u, v, 10.0)).max() < 1e-4


def test_marrow_in_the_vein_is_mixed_with_blood() -> None:
    far = np.full(1, 13.5, np.float32)
    hu = PLAIN.inside_hu(_at(np.zeros(1), 15.9, 0.0), (far, far))
    assert_allclose(hu, 130 + VEIN_SHARE * (VEIN_HU - 130), atol=0.3)


def test_grain_belongs_to_the_bone() -> None:
    vertebra = dataclasses.replace(PLAIN, texture=_texture((10, 20, 30)))
    u, v, w = _at(np.array([0.0, 3.1, -9.2]), np.array([0.0, 2.2, 5.7]), 4.0)
    once, twice = vertebra.grain((u, v, w)), vertebra.grain((u[::-1], v[::-1], w[::-1]))
    assert_array_equal(once, twice[::-1])


def test_grain_is_the_lattice_at_its_points_and_its_mean_half_way() -> None:
    texture = (
        np.zeros((3, 3, 3), np.float32),
        np.zeros((3, 3, 3), np.float32),
        _texture((0, 0, 1))[2],
    )
    vertebra = dataclasses.replace(PLAIN, texture=texture)
    middle = [(size - 1) / 2 for size in texture[2].shape]
    pitch = TEXTURE_PITCH_MM[2]
    index = (5, 7, 9)
    w, v, u = (
        (i - m) * p for i, m, p in zip(index, middle, (pitch * TEXTURE_STRETCH, pitch, pitch))
    )
    found = vertebra.grain(_at(np.array([u, u + pitch / 2]), v, w))
    here, next_ = texture[2][index], texture[2][5, 7, 10]
    assert_allclose(found, [here, (here + next_) / 2], atol=1e-4)


@given(
    place=st.tuples(st.floats(-22, 22), st.floats(-16, 16), st.floats(-13, 13)),
    step=st.tuples(*[st.floats(-0.01, 0.01)] * 3),
)
def test_grain_has_no_steps(
    place: tuple[float, float, float], step: tuple[float, float, float]
) -> None:
    vertebra = dataclasses.replace(PLAIN, texture=_texture((10, 20, 30)))
    u, v, w = (np.array([a, a + b]) for a, b in zip(place, step))
    here, there = vertebra.grain(_at(u, v, w))
    # Neighbours on the finest lattice differ by 250 HU at most, 1.2 mm apart, along three axes.
    assert abs(here - there) < 3 * 0.0101 * (250 / 1.2 + 160 / 2.6 + 80 / 9)


@pytest.mark.parametrize("which", [1, 2])
def test_grain_is_longer_along_the_load(which: int) -> None:
    spreads = tuple(30.0 if index == which else 0.0 for index in range(3))
    vertebra = dataclasses.replace(PLAIN, texture=_texture(spreads))
    rng = np.random.default_rng(1)
    u, v, w = rng.uniform(-1, 1, (3, 6000)) * np.array([[16], [11], [10]])
    step = TEXTURE_PITCH_MM[which]
    here = vertebra.grain(_at(u, v, w))
    along = np.corrcoef(here, vertebra.grain(_at(u, v, w + step)))[0, 1]
    across = np.corrcoef(here, vertebra.grain(_at(u + step, v, w)))[0, 1]
    stretched = np.corrcoef(here, vertebra.grain(_at(u, v, w + TEXTURE_STRETCH * step)))[0, 1]
    assert along > across + 0.15
    # Stretched by its factor, the grain is the same along both: few cells, so a loose tolerance.
    assert_allclose(stretched, across, atol=0.12)
