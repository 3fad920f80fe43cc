"""Volumes: their checks, and reorientation that loses nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.errors import GeometryError, InputError, RefusalCode
from osteoscreen.volume import Affine, Volume, check_hounsfield, stand

PERMUTATIONS = list(itertools.permutations(range(3)))


def _rotation(angles_deg: tuple[float, float, float]) -> Affine:
    """Turn about x, then y, then z."""
    x, y, z = np.radians(angles_deg)
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.asarray(np.array(about_z) @ about_y @ about_x, dtype=np.float64)


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    """Volumes whose axes lie in any order and direction, up to 15 degrees oblique."""
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    order = draw(st.sampled_from(PERMUTATIONS))
    signs = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    spacing = draw(st.tuples(*[st.floats(0.3, 5)] * 3))
    angles = draw(st.tuples(*[st.floats(-15, 15)] * 3))
    origin = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    affine = np.eye(4)
    axes = np.eye(3)[:, order] * signs * spacing
    affine[:3, :3] = _rotation(angles) @ axes
    affine[:3, 3] = origin
    hu = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return Volume(hu, affine)


@given(volumes())
def test_undoing_a_reorientation_gives_the_input_back(volume: Volume) -> None:
    standing, reorientation = stand(volume)
    assert_array_equal(reorientation.undo(standing.hu), volume.hu)
    assert_array_equal(reorientation.apply(reorientation.undo(standing.hu)), standing.hu)


def _lean(volume: Volume, drift: tuple[float, float]) -> Volume:
    """Let each slice lie further on than the one below, by rows and columns."""
    affine = volume.affine.copy()
    affine[:3, 0] += drift[0] * affine[:3, 1] + drift[1] * affine[:3, 2]
    return Volume(volume.hu, affine)


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4)),
    drift=st.tuples(*[st.floats(-1.2, 1.2)] * 2),
)
def test_a_leaning_stack_stands_straight_to_half_a_pixel(
    shape: tuple[int, int, int], drift: tuple[float, float]
) -> None:
    hu = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    volume = _lean(Volume(hu, _axial()), drift)
    standing, reorientation = stand(volume)
    assert_array_equal(reorientation.undo(standing.hu), hu)
    places = {float(hu[index]): volume.affine @ (*index, 1) for index in _indices(volume)}
    lean = np.hypot(0.7 * drift[0], 0.8 * drift[1]) / 2.5
    assert reorientation.shear_deg == pytest.approx(np.degrees(np.arctan(lean)), abs=1e-5)
    is_straightened = reorientation.shear_deg > 1
    assert bool(reorientation.moves) == is_straightened
    found = 0
    for index in _indices(standing):
        if standing.hu[index] == -1024:
            continue
        found += 1
        apart = np.abs(standing.affine @ (*index, 1) - places[float(standing.hu[index])])
        # half a pixel of 0.8 and 0.7 mm where slices moved, nothing elsewhere
        limits = (0.4, 0.35, 0) if is_straightened else (0, 0, 0)
        assert (apart[:3] <= np.array(limits) + 1e-9).all()
    assert found == hu.size


def test_a_stack_that_leans_too_far_is_refused() -> None:
    volume = _lean(Volume(np.zeros((3, 2, 2), np.float32), _axial()), (2.2, 0))
    with pytest.raises(GeometryError, match=r"lean by 30 degrees .* got 31\.6") as caught:
        stand(volume)
    assert caught.value.code is RefusalCode.GANTRY_TILT


@pytest.mark.parametrize("distance_mm", [2e5, 1e30])
def test_a_leaning_stack_that_would_spread_too_far_is_refused(distance_mm: float) -> None:
    affine = _axial()
    affine[:3, 0] = distance_mm * np.array([0, np.sin(0.4), np.cos(0.4)])
    with pytest.raises(InputError, match=r"1073741824 voxels, got 3 x \d+ x 4000$") as caught:
        stand(Volume(np.zeros((3, 2, 4000), np.float32), affine))
    assert caught.value.code is RefusalCode.TOO_LARGE


def test_skewed_pixels_are_refused() -> None:
    affine = _axial()
    affine[0, 1] = 0.1
    with pytest.raises(GeometryError, match=r"rows and columns .* got 8\.1 off") as caught:
        stand(Volume(np.zeros((2, 2, 2), np.float32), affine))
    assert caught.value.code is RefusalCode.GANTRY_TILT


@given(volumes())
def test_every_voxel_stands_where_it_was(volume: Volume) -> None:
    standing, _ = stand(volume)
    places = {float(volume.hu[index]): volume.affine @ (*index, 1) for index in _indices(volume)}
    for index in _indices(standing):
        # a sum of a few products below 1e3 in float64
        assert_allclose(
            standing.affine @ (*index, 1), places[float(standing.hu[index])], rtol=0, atol=1e-9
        )


@given(volumes())
def test_a_standing_volume_runs_to_the_head_the_back_and_the_left(volume: Volume) -> None:
    standing, _ = stand(volume)
    slice_axis, row_axis, column_axis = standing.affine[:3, :3].T
    assert slice_axis[2] > 0
    assert row_axis[1] > 0
    assert column_axis[0] > 0


@given(volumes())
def test_standing_twice_changes_nothing(volume: Volume) -> None:
    standing, _ = stand(volume)
    again, reorientation = stand(standing)
    assert reorientation.axes == (0, 1, 2)
    assert reorientation.flips == (False, False, False)
    assert_array_equal(again.affine, standing.affine)


def _indices(volume: Volume) -> list[tuple[int, ...]]:
    return list(np.ndindex(volume.hu.shape))


def _axial(tilt_deg: float = 0) -> Affine:
    affine = np.eye(4)
    affine[:3, :3] = _rotation((tilt_deg, 0, 0)) @ np.array([[0, 0, 0.8], [0, 0.7, 0], [2.5, 0, 0]])
    affine[:3, 3] = (10, 20, 30)
    return affine


def test_spacing_is_the_length_of_the_axes() -> None:
    volume = Volume(np.zeros((2, 3, 4), np.float32), _axial(20))
    assert volume.spacing_mm == pytest.approx((2.5, 0.7, 0.8))


def test_slice_positions_are_those_of_the_slice_centres() -> None:
    volume = Volume(np.zeros((3, 5, 7), np.float32), _axial(20))
    expected = [(volume.affine @ (index, 2, 3, 1))[2] for index in range(3)]
    assert_allclose(volume.slice_positions_mm, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("tilt", [0.0, 12.0, 29.0])
def test_tilt_is_the_angle_to_the_long_axis(tilt: float) -> None:
    volume = Volume(np.zeros((2, 2, 2), np.float32), _axial(tilt))
    assert volume.tilt_deg == pytest.approx(tilt, abs=1e-5)  # arccos near 1


def test_slices_far_from_axial_are_refused() -> None:
    with pytest.raises(GeometryError, match="within 30 degrees of axial, got 35") as caught:
        stand(Volume(np.zeros((2, 2, 2), np.float32), _axial(35)))
    assert caught.value.code is RefusalCode.NEED_AXIAL


def test_axes_far_from_the_body_axes_are_refused() -> None:
    affine = _axial()
    affine[:3, 1] = (0.1, 0.3, 1.0)
    with pytest.raises(GeometryError, match="oblique") as caught:
        stand(Volume(np.zeros((2, 2, 2), np.float32), affine))
    assert caught.value.code is RefusalCode.NEED_AXIAL


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 2, 2), (0, 2, 2)])
def test_a_volume_has_three_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="three non-empty axes"):
        Volume(np.zeros(shape, np.float32), np.eye(4))


@pytest.mark.parametrize(
    ("affine", "match"),
    [(np.eye(3), "4x4"), (np.full((4, 4), np.nan), "finite"), (np.zeros((4, 4)), "invertible")],
)
def test_a_volume_needs_an_invertible_affine(affine: Affine, match: str) -> None:
    with pytest.raises(GeometryError, match=match):
        Volume(np.zeros((2, 2, 2), np.float32), affine)


def test_a_volume_is_frozen_and_its_own() -> None:
    hu = np.zeros((2, 2, 2), np.float32)
    volume = Volume(hu, _axial())
    hu[0] = 5
    assert volume.hu.max() < 1
    with pytest.raises(ValueError, match="read-only"):
        volume.hu[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        volume.affine[0] = 1


@pytest.mark.parametrize(
    ("low", "high"),
    [(-1024, 3071), (-3024, 1500), (-1000, 31000), (-200, -200), (-201, 40000), (-127, 604)],
)
def test_hounsfield_units_are_accepted(low: float, high: float) -> None:
    check_hounsfield(np.array([low, high], dtype=np.float32))


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 255), (0, 50), (0, 1), (0, 4095), (-29, 3000), (-1024, -201), (-1000, 40001)],
)
def test_other_values_are_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match=f"got {low} to {high}") as caught:
        check_hounsfield(np.array([low, high], dtype=np.float32))
    assert caught.value.code is RefusalCode.NOT_HU


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(InputError, match="infinity or NaN"):
        check_hounsfield(np.array([-1000, 0, value], dtype=np.float32))
