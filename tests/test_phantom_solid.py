"""Solids of the trunk: their cuts are those of geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.contest import compete, united, without
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.solid import Blob, Knot, Loft, Solid, Tube, smooth_tube

STEP_MM = 0.5


def plane(z_mm: float = 0.0) -> Plane:
    axis = np.arange(-60, 60, STEP_MM, dtype=np.float32) + np.float32(STEP_MM / 2)
    x, y = np.meshgrid(axis, axis)
    return Plane(x, y, z_mm, np.zeros_like(x), STEP_MM)


def area_mm2(solid: Solid, z_mm: float = 0.0) -> float:
    cut = solid.cut(plane(z_mm))
    return 0.0 if cut is None else float((cut[1] > 0).sum() * STEP_MM**2)


def test_a_straight_tube_cuts_to_a_circle() -> None:
    tube = smooth_tube([(3.0, -4.0, -40.0, 9.0), (3.0, -4.0, 40.0, 9.0)], pitch=0.2)
    # Balls 1.8 mm apart dent the surface by 0.05 mm; the rest is pixels.
    assert_allclose(area_mm2(tube), math.pi * 81, rtol=0.02)


def test_a_tube_in_the_plane_cuts_to_a_stadium() -> None:
    tube = smooth_tube([(-20.0, 0.0, 0.0, 6.0), (20.0, 0.0, 0.0, 6.0)], pitch=0.2)
    assert_allclose(area_mm2(tube), 40 * 12 + math.pi * 36, rtol=0.02)


def test_a_tube_ends_with_its_last_ball() -> None:
    tube = Tube(((0.0, 0.0, 0.0, 5.0),))
    assert area_mm2(tube, 4.9) > 0
    assert area_mm2(tube, 5.1) == pytest.approx(0.0)
    assert Tube(((0.0, 0.0, 0.0, 5.0),), height=2.0).span_mm == (-10.0, 10.0)


def test_a_spline_passes_through_its_knots() -> None:
    knots = [(0.0, 0.0, 0.0, 4.0), (10.0, 5.0, 8.0, 5.0), (30.0, -5.0, 9.0, 3.0)]
    points = np.array(smooth_tube(knots, pitch=0.1).points_mm)
    for knot in knots:
        assert np.abs(points - np.array(knot)).max(axis=1).min() < 1e-6


def test_a_blob_cuts_to_an_ellipse_that_shrinks_to_its_poles() -> None:
    blob = Blob((1.0, 2.0, 3.0), (20.0, 10.0, 15.0), 0.4)
    for z, share in ((3.0, 1.0), (12.0, 1 - 0.6**2)):
        assert_allclose(area_mm2(blob, z), math.pi * 200 * share, rtol=0.02)
    assert blob.cut(plane(18.5)) is None


def test_a_loft_is_interpolated_between_its_knots() -> None:
    loft = Loft((Knot(-10, -6, 0, 8, 4), Knot(10, 6, 4, 12, 8, 0.6)))
    assert loft.at(0.0) == Knot(0.0, 0.0, 2.0, 10.0, 6.0, 0.3)
    assert_allclose(area_mm2(loft, 0.0), math.pi * 60, rtol=0.02)
    assert loft.at(11.0) is None
    assert loft.cut(plane(-11.0)) is None


def test_a_solid_beside_the_plane_is_not_cut() -> None:
    assert Blob((200.0, 0.0, 0.0), (5.0, 5.0, 5.0)).cut(plane()) is None
    assert Tube(((200.0, 0.0, 0.0, 5.0),)).cut(plane()) is None


def test_the_border_of_two_equal_solids_runs_half_way() -> None:
    grid = plane()
    left, right = (Blob((side * 10.0, 0.0, 0.0), (15.0, 15.0, 15.0)) for side in (-1, 1))
    cuts = [(number, cut) for number, one in enumerate((left, right)) if (cut := one.cut(grid))]
    standing = compete(grid.x.shape, cuts)
    assert (grid.x[standing.owner == 0] < 0).all()
    assert (grid.x[standing.owner == 1] > 0).all()
    assert (standing.owner[np.hypot(grid.x, grid.y) > 26] == -1).all()
    # On the way from one centre to the other the lead grows by two millimetres per millimetre.
    row = np.argmin(np.abs(grid.y[:, 0]))
    near = np.abs(grid.x[row]) < 4
    assert_allclose(standing.margin[row][near], 2 * np.abs(grid.x[row][near]), atol=0.1)


def test_the_runner_up_of_three_is_the_second_best() -> None:
    grid = plane()
    cuts = [
        (number, (np.s_[0:240, 0:240], np.full(grid.x.shape, depth, np.float32)))
        for number, depth in enumerate((3.0, 7.0, 5.0))
    ]
    standing = compete(grid.x.shape, cuts)
    assert (standing.owner == 1).all()
    assert_allclose(standing.margin, 2.0)


def test_union_and_hole_are_those_of_sets() -> None:
    grid = plane()
    one, other = (
        Blob((-8.0, 0.0, 0.0), (12.0, 12.0, 12.0)),
        Blob((8.0, 0.0, 0.0), (12.0, 12.0, 12.0)),
    )
    cuts = [solid.cut(grid) for solid in (one, other)]
    assert cuts[0] is not None
    assert cuts[1] is not None
    masks = []
    for found in (cuts[0], cuts[1], united(cuts[0], cuts[1]), without(cuts[0], cuts[1])):
        assert found is not None
        mask = np.zeros(grid.x.shape, bool)
        mask[found[0]] = found[1] > 0
        masks.append(mask)
    assert (masks[2] == (masks[0] | masks[1])).all()
    assert (masks[3] == (masks[0] & ~masks[1])).all()
    assert united(None, cuts[1]) is cuts[1]
    assert without(cuts[0], (np.s_[0:2, 0:2], np.ones((2, 2), np.float32))) is cuts[0]
