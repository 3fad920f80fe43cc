"""Capsules: distances, what bounds them, and how they join."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from osteoscreen.phantom.capsule import (
    BLEND_MM,
    OUTSIDE_MM,
    Capsule,
    Frame,
    Place,
    smooth_maximum,
    union_depth,
)
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane

STRAIGHT = Frame((0.0, 0.0, 0.0), np.eye(3, dtype=np.float32))
places = st.tuples(*[st.floats(-20, 20)] * 3)
radii = st.tuples(*[st.floats(2, 8)] * 3)


def _points(places_mm: ArrayLike) -> tuple[Array, Array, Array]:
    u, v, w = np.asarray(places_mm, np.float32).reshape(-1, 3).T
    return u, v, w


def _turned(angles_deg: Place) -> Array:
    return np.asarray(Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix(), np.float32)


def _plane(z_mm: float, half: float = 40.0, step: float = 0.5) -> Plane:
    steps = np.arange(-half, half, step, dtype=np.float32)
    x, y = np.meshgrid(steps, steps)
    return Plane(x, y, z_mm, np.zeros_like(x), step)


def _swept_surface(capsule: Capsule, rng: np.random.Generator, count: int) -> Array:
    """Points on the surface of an ellipsoid: a capsule whose segment is a point."""
    directions = rng.standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.asarray(directions * capsule.radius + capsule.start)


@settings(deadline=None)
@given(start=places, end=places, radius=st.floats(2, 8), place=places)
def test_a_round_capsule_measures_the_distance_to_its_segment(
    start: Place, end: Place, radius: float, place: Place
) -> None:
    along = np.linspace(0, 1, 2001)[:, None]
    points = (1 - along) * np.array(start) + along * np.array(end)
    distance = np.linalg.norm(points - np.array(place), axis=1).min()
    depth = Capsule(start, end, (radius, radius, radius)).depth(_points(np.array(place)))
    # The segment is sampled every 0.03 mm at most; a segment of no length is regularised.
    assert_allclose(depth[0], radius - distance, atol=0.03)


@pytest.mark.parametrize("radius", [(4.0, 4.0, 4.0), (3.0, 5.0, 8.0), (2.4, 3.5, 9.0)])
def test_depth_near_the_surface_of_an_ellipsoid_is_the_distance_to_it(radius: Place) -> None:
    rng = np.random.default_rng(0)
    capsule = Capsule((1.0, -2.0, 3.0), (1.0, -2.0, 3.0), radius)
    surface = _swept_surface(capsule, rng, 60_000)
    normals = (surface - capsule.start) / np.square(radius)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    for step in (-0.5, 0.0, 0.5):
        at = surface[:200] - step * normals[:200]
        brute = np.array([np.linalg.norm(surface - place, axis=1).min() for place in at])
        depth = capsule.depth(_points(at))
        # Samples of the surface lie some 0.07 mm apart; curvature is of second order.
        assert_allclose(np.abs(depth), brute, atol=0.13)
        assert_allclose(depth, step, atol=0.12)


@settings(deadline=None)
@given(start=places, end=places, radius=radii, place=places)
def test_bounds_hold_the_whole_capsule(
    start: Place, end: Place, radius: Place, place: Place
) -> None:
    capsule = Capsule(start, end, radius)
    if capsule.depth(_points(np.array(place)))[0] > 0:
        for value, (low, high) in zip(place, capsule.bounds()):
            assert low - 1e-3 <= value <= high + 1e-3


@settings(deadline=None)
@given(
    angles=st.tuples(*[st.floats(-60, 60)] * 3),
    centre=st.tuples(*[st.floats(-100, 100)] * 3),
    at=st.tuples(*[st.floats(-100, 100)] * 3),
)
def test_local_coordinates_keep_distances(angles: Place, centre: Place, at: Place) -> None:
    x, y = np.array([[at[0]]], np.float32), np.array([[at[1]]], np.float32)
    local = Frame(centre, _turned(angles)).local(Plane(x, y, at[2], np.zeros_like(x), 1.0))
    distance = np.linalg.norm(np.array(at) - np.array(centre))
    assert_allclose(np.linalg.norm(np.ravel(local)), distance, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (40.0, -20.0, 10.0)])
def test_limits_are_those_of_the_corners_of_the_turned_box(angles: Place) -> None:
    frame = Frame((5.0, -3.0, 20.0), _turned(angles))
    bounds = np.array([[-4.0, 9.0], [2.0, 3.0], [-8.0, -1.0]])
    corners = np.array([[u, v, w] for u in bounds[0] for v in bounds[1] for w in bounds[2]])
    patient = corners @ frame.axes + np.array(frame.centre_mm)
    low, high = frame.limits(bounds)
    assert_allclose(low, patient.min(axis=0), atol=1e-5)
    assert_allclose(high, patient.max(axis=0), atol=1e-5)


def test_a_moved_bone_has_the_same_depth_at_the_moved_place() -> None:
    parts = (Capsule((-8, 0, 2), (9, 4, -3), (4, 3, 5)), Capsule((0, 0, 0), (0, 12, 6), (3, 3, 3)))
    moved = Frame((7.0, -3.0, 40.0), np.eye(3, dtype=np.float32))
    plane = _plane(1.0)
    there = Plane(
        plane.x + np.float32(7), plane.y - np.float32(3), 41.0, plane.shell_noise, plane.pixel_mm
    )
    here, other = union_depth(parts, STRAIGHT, plane), union_depth(parts, moved, there)
    assert here is not None
    assert other is not None
    assert_allclose(here, other, atol=1e-4)


def test_a_bone_turned_about_the_long_axis_is_the_turned_image() -> None:
    parts = (Capsule((-8, 0, 2), (9, 4, -3), (4, 3, 5)),)
    plane = _plane(1.0)
    quarter = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], np.float32)
    here = union_depth(parts, STRAIGHT, plane)
    turned = Plane(-plane.y, plane.x, plane.z_mm, plane.shell_noise, plane.pixel_mm)
    other = union_depth(parts, Frame((0.0, 0.0, 0.0), quarter), turned)
    assert here is not None
    assert other is not None
    near = here > -3  # farther out only the windows differ
    assert_allclose(here[near], other[near], atol=1e-4)


@given(one=st.floats(-20, 20), other=st.floats(-20, 20))
def test_a_smooth_maximum_is_symmetric_and_at_least_the_maximum(one: float, other: float) -> None:
    a, b = np.array([one], np.float32), np.array([other], np.float32)
    found = smooth_maximum(a, b)[0]
    assert_allclose(found, smooth_maximum(b, a)[0], atol=1e-5)
    assert max(one, other) - 1e-5 <= found <= max(one, other) + BLEND_MM / 4 + 1e-5
    if abs(one - other) > BLEND_MM:
        assert_allclose(found, max(one, other), atol=1e-5)


def test_equal_depths_are_joined_by_a_quarter_of_the_blend() -> None:
    same = np.array([1.0], np.float32)
    assert_allclose(smooth_maximum(same, same), 1 + BLEND_MM / 4)


def test_a_union_holds_its_parts_in_any_order() -> None:
    one = Capsule((-8, 0, 0), (9, 4, 0), (4, 3, 5))
    other = Capsule((0, 0, 0), (0, 12, 6), (3, 3, 3))
    plane = _plane(1.0)
    local = STRAIGHT.local(plane)
    whole = union_depth((one, other), STRAIGHT, plane)
    swapped = union_depth((other, one), STRAIGHT, plane)
    assert whole is not None
    assert swapped is not None
    assert_allclose(whole, swapped, atol=1e-4)
    most = np.maximum(one.depth(local), other.depth(local))
    assert (whole[most > -3] >= most[most > -3] - 1e-4).all()
    assert whole.min() == OUTSIDE_MM


def test_a_union_far_from_the_plane_is_none() -> None:
    parts = (Capsule((0, 0, 0), (5, 0, 0), (3, 3, 3)),)
    assert union_depth(parts, STRAIGHT, _plane(30.0)) is None
    assert union_depth(parts, Frame((300.0, 0.0, 0.0), STRAIGHT.axes), _plane(0.0)) is None
    assert union_depth((), STRAIGHT, _plane(0.0)) is None


@pytest.mark.parametrize("z_mm", [3.2, 4.0, 5.5])
def test_a_joint_sees_a_bone_just_above_or_below_the_plane(z_mm: float) -> None:
    """A joint of 1.6 mm needs depths from outside; the margin once was 1 mm along z."""
    found = union_depth((Capsule((0, 0, 0), (0, 0, 0), (3, 3, 3)),), STRAIGHT, _plane(z_mm))
    assert found is not None
    # A pixel lies within half a step of the axis.
    assert_allclose(found.max(), 3 - z_mm, atol=0.1)
