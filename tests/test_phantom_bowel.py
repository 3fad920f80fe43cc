"""The gut: wall, filling and air-fluid levels."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.testing import assert_allclose

from osteoscreen.phantom.bowel import (
    GAS_HU,
    Filling,
    Gut,
    fill,
    gut_hu,
)
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.solid import Tube, smooth_tube
from osteoscreen.phantom.tissue import draw_tissues

TISSUES = draw_tissues(np.random.default_rng(0), has_contrast=False)
STEP_MM = 0.5


def _plane(turn: float = 0.0) -> Plane:
    axis = np.arange(-40, 40, STEP_MM, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    cos, sin = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    return Plane(
        cos * x + sin * y, cos * y - sin * x, 0.0, np.zeros_like(x), STEP_MM, (x[:1], y[:, :1])
    )


def _tube() -> Tube:
    return smooth_tube([(0.0, 0.0, -60.0, 20.0), (0.0, 0.0, 60.0, 20.0)], pitch=0.2)


def _paint(filling: Filling, level_mm: float, plane: Plane) -> tuple[Array, Array]:
    """HU and depth, of the shape of the plane, of a straight tube of 20 mm radius."""
    tube = _tube()
    count = len(tube.points_mm)
    gut = Gut(tube, (int(filling),) * count, (level_mm,) * count, 2.0)
    cut = gut.cut(plane)
    assert cut is not None
    window, depth, nearest = cut
    none = np.zeros_like(depth)
    hu, full = np.full(plane.x.shape, np.nan, np.float32), np.full(plane.x.shape, -99, np.float32)
    hu[window] = gut_hu(gut, TISSUES, plane.part(window), (depth, nearest), (none, none))
    full[window] = depth
    return hu, full


def test_a_level_is_horizontal_though_the_patient_lies_turned() -> None:
    for turn in (0.0, 0.3):
        plane = _plane(turn)
        hu, depth = _paint(Filling.FLUID, -4.0, plane)
        y = np.broadcast_to(plane.rigid_y, hu.shape)
        inside = depth > 2.5
        assert (hu[inside & (y < -4)] == GAS_HU).all()
        assert_allclose(hu[inside & (y > -3)], TISSUES.bowel)


def test_the_wall_has_its_thickness() -> None:
    hu, depth = _paint(Filling.CONTRAST, -1e3, _plane())
    assert_allclose(hu[(depth > 0) & (depth < 1.9)], TISSUES.bowel_wall)
    assert_allclose(hu[depth > 2.1], TISSUES.oral_contrast)


def test_collapsed_bowel_holds_no_gas() -> None:
    hu, depth = _paint(Filling.COLLAPSED, 10.0, _plane())
    assert (hu[depth > 0] > 0).all()


def test_a_tube_is_filled_in_stretches() -> None:
    tube = _tube()
    shares = {Filling.STOOL: 0.5, Filling.FLUID: 0.5}
    filling, level = fill(np.random.default_rng(3), tube, shares, gas=(1.0, 0.5), length_mm=30.0)
    assert len(filling) == len(level) == len(tube.points_mm)
    assert 1 < sum(one != other for one, other in pairwise(level)) < 10
    # The level lies in the front half, inside the tube.
    assert all(-20 <= one <= 0 for one in level)


def test_without_gas_there_is_no_level() -> None:
    _, level = fill(
        np.random.default_rng(3), _tube(), {Filling.FLUID: 1.0}, gas=(0.0, 0.5), length_mm=30.0
    )
    assert max(level) < -500
