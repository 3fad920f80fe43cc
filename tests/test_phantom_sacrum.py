"""Sacrum and iliac bones: symmetric, apart, and where they belong."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.bone import draw_bone
from osteoscreen.phantom.capsule import OUTSIDE_MM, Frame
from osteoscreen.phantom.field import Array, Mask, draw_field
from osteoscreen.phantom.ilium import SACROILIAC_GAP_MM, paint_ilia
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.sacrum import ILIUM_MM, Sacrum
from osteoscreen.phantom.spine import SpineShape, draw_spine
from osteoscreen.phantom.surface import BoneSurface

STEP_MM = 0.5
SURFACE = BoneSurface(
    1.0, 800.0, 170.0, draw_field(np.random.default_rng(0), 9.0, (20.0, 20.0, 20.0)), 0.5
)


@functools.cache
def _sacrum(seed: int = 0) -> Sacrum:
    """A sacrum that stands upright in the middle, left and right alike."""
    bone = draw_bone(np.random.default_rng(1), 1, 60)
    shape = SpineShape(scale=1.0, lordosis=1.0, scoliosis_deg=0.0, wear=0.2)
    sacrum = draw_spine(np.random.default_rng(seed), bone, shape).sacrum
    bodies = []
    for body in sacrum.bodies:
        axis = body.frame.axes[2]
        lean = np.arctan2(-axis[1], axis[2])
        cos, sin = np.cos(lean), np.sin(lean)
        axes = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]], np.float32)
        frame = Frame((0.0, body.centre_mm[1], body.centre_mm[2]), axes)
        bodies.append(dataclasses.replace(body, frame=frame))
    return dataclasses.replace(sacrum, bodies=tuple(bodies))


def _plane(z_mm: float) -> Plane:
    x = np.arange(-139.75, 140, STEP_MM, dtype=np.float32)
    y = np.arange(-60, 130, STEP_MM, dtype=np.float32)
    grid = np.meshgrid(x, y)
    return Plane(grid[0], grid[1], z_mm, np.zeros_like(grid[0]), STEP_MM)


def _heights(sacrum: Sacrum) -> Array:
    return np.asarray(sacrum.bodies[0].centre_mm[2] + np.array([-60, -40, -20, 0, 10, 30]))


def test_the_left_iliac_bone_mirrors_the_right_one() -> None:
    sacrum = _sacrum()
    for z in _heights(sacrum):
        right, left = (sacrum.ilium_depth(_plane(z), side) for side in (-1, 1))
        assert right is not None
        assert left is not None
        near = left > -2
        assert near.any()
        assert_allclose(right[:, ::-1][near], left[near], atol=1e-3)


def test_right_is_at_negative_x() -> None:
    plane = _plane(_sacrum().bodies[0].centre_mm[2])
    for side in (-1, 1):
        depth = _sacrum().ilium_depth(plane, side)
        assert depth is not None
        assert (np.sign(plane.x[depth > 0]) == side).all()


def test_the_sacrum_is_symmetric_and_has_holes() -> None:
    sacrum = _sacrum()
    holes = 0
    for z in _heights(sacrum)[1:5]:
        depth = sacrum.depth(_plane(z))
        assert depth is not None
        near = np.maximum(depth, depth[:, ::-1]) > -2
        # Where three parts meet the fillet depends a little on their order.
        assert_allclose(depth[:, ::-1][near], depth[near], atol=0.15)
        whole = dataclasses.replace(sacrum, holes=((), (), ())).depth(_plane(z))
        assert whole is not None
        assert (whole >= depth - 1e-5).all()
        holes += int(((whole > 0) & (depth <= 0)).sum())
    # Canal and foramina in four planes: hundreds of square millimetres.
    assert holes * STEP_MM**2 > 300


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_joint_keeps_the_painted_ilium_from_the_sacrum(seed: int) -> None:
    sacrum = _sacrum(seed)
    for z in _heights(sacrum)[1:5]:
        plane = _plane(z)
        hu = np.zeros(plane.x.shape, np.float32)
        paint_ilia(sacrum, SURFACE, plane, hu)
        painted = hu > 0
        held = sacrum.depth(plane)
        assert painted.any()
        assert held is not None
        ilium = np.maximum(*(_depth(sacrum, plane, side) for side in (-1, 1)))
        sacral = np.minimum(held, (held - ilium - SACROILIAC_GAP_MM) / 2) > 0
        iliac = np.minimum(ilium, (ilium - held - SACROILIAC_GAP_MM) / 2) > 0
        # Painted are the pixels that the ilium covers in part, too.
        assert (iliac <= painted).all()
        assert _apart_mm(sacral, iliac) > SACROILIAC_GAP_MM - 1.5 * STEP_MM


def _depth(sacrum: Sacrum, plane: Plane, side: int) -> Array:
    depth = sacrum.ilium_depth(plane, side)
    assert depth is not None
    return depth


def _apart_mm(one: Mask, other: Mask) -> float:
    """Least distance between two sets of pixels, by brute force over the nearer ones."""
    first, second = np.argwhere(one)[::2], np.argwhere(other)[::2]
    if not len(first) or not len(second):
        return float("inf")
    least = min(np.square(second - place).sum(axis=1).min() for place in first)
    return float(np.sqrt(least) * STEP_MM)


def test_painted_ilia_are_compact_outside_and_cancellous_inside() -> None:
    sacrum = _sacrum()
    plane = _plane(sacrum.bodies[0].centre_mm[2] + 10)
    hu = np.full(plane.x.shape, -100, np.float32)
    paint_ilia(sacrum, SURFACE, plane, hu)
    assert_allclose(hu.max(), 800)
    assert (np.abs(hu - 170) < 1).sum() * STEP_MM**2 > 100
    assert (hu == -100).mean() > 0.8


def test_there_is_no_ilium_above_the_crest_or_below_the_table() -> None:
    sacrum = _sacrum()
    middle, scale = sacrum.bodies[0].centre_mm[2], sacrum.scale
    for height in (ILIUM_MM[0][0] + 1, ILIUM_MM[-1][0] - 1):
        plane = _plane(middle + height * scale)
        assert sacrum.ilium_depth(plane, 1) is None
        hu = np.full(plane.x.shape, -100, np.float32)
        paint_ilia(sacrum, SURFACE, plane, hu)
        assert (hu == -100).all()


def test_between_two_bands_the_ilium_is_the_mean_of_both() -> None:
    """At a knot of the band the depth is half its thickness, worked from the table."""
    sacrum = _sacrum()
    (upper, above), (lower, below) = ILIUM_MM[2], ILIUM_MM[3]
    x, y, half = (np.array(above[2]) + np.array(below[2])) / 2 * sacrum.scale
    centre = sacrum.bodies[0].centre_mm
    z = centre[2] + (upper + lower) / 2 * sacrum.scale
    at = np.full((1, 1), x, np.float32), np.full((1, 1), y + centre[1], np.float32)
    depth = sacrum.ilium_depth(Plane(at[0], at[1], z, np.zeros((1, 1), np.float32), 1.0), 1)
    assert depth is not None
    assert_allclose(depth[0, 0], half, atol=0.3)


def test_within_its_box_but_beside_it_no_ilium_is_painted() -> None:
    sacrum = _sacrum()
    plane = _plane(sacrum.bodies[0].centre_mm[2])
    front = sacrum.bodies[0].centre_mm[1] - 55 * sacrum.scale
    window = plane.window((50.0, 70.0), (front, front + 20))
    assert window is not None
    part = plane.part(window)
    assert sacrum.ilium_depth(part, 1) is not None
    hu = np.full(part.x.shape, -100, np.float32)
    paint_ilia(sacrum, SURFACE, part, hu)
    assert (hu == -100).all()


def test_far_from_the_pelvis_there_is_nothing() -> None:
    sacrum = _sacrum()
    far = _plane(sacrum.bodies[0].centre_mm[2] + 150)
    assert sacrum.depth(far) is None
    z = sacrum.bodies[0].centre_mm[2]
    corner = np.full((2, 2), 400, np.float32)
    beside = Plane(corner, corner, z, np.zeros((2, 2), np.float32), 1.0)
    assert sacrum.ilium_depth(beside, 1) is None
    assert sacrum.depth(beside) is None
    assert _depth(sacrum, _plane(z), 1).min() == OUTSIDE_MM
