"""Discs: where gas and lime lie, and that a plain disc has none."""

from __future__ import annotations

import dataclasses
import functools
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.phantom.bone import draw_bone
from osteoscreen.phantom.capsule import Frame
from osteoscreen.phantom.disc import ANNULUS_HU, PLAIN, Disc, Gas, Lime, paint_disc
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.spine import SpineShape, draw_spine
from osteoscreen.phantom.vertebra import Vertebra

DISC_HU, UNTOUCHED_HU = 85.0, -5000.0
GAS = Gas(reach=0.5, waves=(), thick_mm=2.0, hu=-600.0)
LIME = Lime(angle=0.0, breadth=0.4, radius=0.8, thickness=0.2, tall_mm=4.0, hu=500.0)


@functools.cache
def _bodies() -> tuple[Vertebra, Vertebra]:
    """L2 and L3 of a straight young spine."""
    bone = dataclasses.replace(draw_bone(np.random.default_rng(1), 0, 50), t_score=3.0)
    shape = SpineShape(1.0, 1.0, 0.0, wear=0.0)
    spine = draw_spine(np.random.default_rng(0), bone, shape)
    return spine.vertebra("L2"), spine.vertebra("L3")


def _middle_mm() -> tuple[float, float, float]:
    """The point half way between the two endplates."""
    above, below = _bodies()
    ends = [
        np.array([0, 0, side * one.height_mm / 2]) @ one.frame.axes + np.array(one.centre_mm)
        for side, one in ((-1, above), (1, below))
    ]
    x, y, z = (ends[0] + ends[1]) / 2
    return float(x), float(y), float(z)


def _paint(disc: Disc, lift_mm: float = 0.0) -> tuple[Array, Array, Array]:
    """HU of a plane through the disc, and the distance of each pixel from its middle (x, y)."""
    x_mm, y_mm, z_mm = _middle_mm()
    axis = np.arange(-40, 40, 0.5, dtype=np.float32) + np.float32(0.25)
    x, y = np.meshgrid(axis + np.float32(x_mm), axis + np.float32(y_mm))
    plane = Plane(x, y, z_mm + lift_mm, np.zeros_like(x), 0.5)
    hu: Array = np.full(x.shape, UNTOUCHED_HU, np.float32)
    paint_disc(disc, _bodies(), plane, hu, DISC_HU)
    return hu, x - np.float32(x_mm), y - np.float32(y_mm)


def test_a_plain_disc_is_denser_at_its_ring() -> None:
    hu, x, y = _paint(PLAIN)
    inner, outer = hu[np.hypot(x, y) < 3].mean(), hu[(np.abs(y) < 1) & (np.abs(np.abs(x) - 18) < 1)]
    # Three millimetres are up to a fifth of the way to the rim.
    assert_allclose(inner, DISC_HU - 0.6 * ANNULUS_HU, atol=0.2 * ANNULUS_HU)
    assert outer.mean() > inner + 0.5 * ANNULUS_HU
    assert (hu == UNTOUCHED_HU).any()


def test_gas_lies_in_the_middle_between_the_endplates_and_nowhere_else() -> None:
    plain, x, y = _paint(PLAIN)
    hu, _, _ = _paint(Disc(gas=(GAS,)))
    away = np.hypot(x, y)
    assert_allclose(hu[away < 5], GAS.hu, atol=1)
    assert_array_equal(hu[away > 16], plain[away > 16])
    # Five millimetres higher the plane lies beyond the cleft.
    assert_array_equal(_paint(Disc(gas=(GAS,)), 4.0)[0][away < 5], _paint(PLAIN, 4.0)[0][away < 5])


def test_the_share_of_gas_ends_at_its_reach() -> None:
    core = np.array([0.0, 0.41, 0.49, 0.51, 1.0], np.float32)
    share = GAS.share(core, np.zeros(5, np.float32), np.zeros(5, np.float32))
    assert_allclose(share, [1, 1, 0.125, 0, 0], atol=1e-5)
    across = np.array([0.0, 0.99, -0.99, 1.01, -3], np.float32)
    inside = GAS.share(np.zeros(5, np.float32), np.zeros(5, np.float32), across)
    assert_array_equal(inside, [1, 1, 1, 0, 0])


def test_waves_move_the_edge_of_the_gas() -> None:
    wavy = dataclasses.replace(GAS, waves=((0.4, 0.0),))
    core = np.full(2, 0.6, np.float32)
    share = wavy.share(core, np.array([0.0, np.pi], np.float32), np.zeros(2, np.float32))
    # The reach is 0.7 to the left and 0.3 to the right.
    assert_allclose(share, [1, 0], atol=1e-5)


def test_lime_lies_at_its_place_in_the_ring() -> None:
    hu, x, y = _paint(Disc(lime=(LIME,)))
    plain, _, _ = _paint(PLAIN)
    changed = hu > plain + 100
    assert changed.any()
    assert (x[changed] > 10).all()
    assert np.abs(y[changed]).max() < 16
    assert hu.max() < LIME.hu + 1
    assert hu.max() > LIME.hu - 30


@pytest.mark.parametrize(("angle", "share"), [(0.0, 1.0), (0.4, np.exp(-1)), (2 * np.pi, 1.0)])
def test_lime_fades_to_its_sides(angle: float, share: float) -> None:
    found = LIME.share(
        np.array([0.8], np.float32), np.array([angle], np.float32), np.zeros(1, np.float32)
    )
    assert_allclose(found, share, rtol=1e-3)


def test_a_plane_beside_the_disc_is_left_alone() -> None:
    hu, _, _ = _paint(Disc(gas=(GAS,), lime=(LIME,)), lift_mm=60.0)
    assert (hu == UNTOUCHED_HU).all()


def test_the_disc_fills_what_a_fracture_leaves() -> None:
    """A biconcave body lost 10 mm in its middle: once the tissue behind shone through there."""
    above, below = _bodies()
    dip = dataclasses.replace(above.lower, concavity_mm=11.0)
    bodies = (dataclasses.replace(above, lower=dip), below)
    x_mm, y_mm, z_mm = _middle_mm()
    axis = np.arange(-2, 2, 0.5, dtype=np.float32)
    x, y = np.meshgrid(axis + np.float32(x_mm), axis + np.float32(y_mm))
    for lift in (0.0, 4.0, above.disc_mm / 2 + 9.0):
        plane = Plane(x, y, z_mm + lift, np.zeros_like(x), 0.5)
        hu: Array = np.full(x.shape, UNTOUCHED_HU, np.float32)
        paint_disc(PLAIN, bodies, plane, hu, DISC_HU)
        assert (hu > 0).all()


@pytest.mark.parametrize("beyond_mm", [2.0, 5.0, 10.0])
def test_no_disc_lies_beside_an_intact_body(beyond_mm: float) -> None:
    """Once it ran around the walls of the body above, as wide as the ring bulges."""
    above, below = _bodies()
    flat = dataclasses.replace(above.lower, concavity_mm=0.0, front_mm=0.0, side_mm=0.0)
    bodies = (dataclasses.replace(above, lower=flat), below)
    x_mm, y_mm, z_mm = above.centre_mm
    axis = np.arange(-30, 30, 0.5, dtype=np.float32)
    x, y = np.meshgrid(axis + np.float32(x_mm), axis + np.float32(y_mm))
    straight = dataclasses.replace(
        bodies[0], frame=Frame(above.centre_mm, np.eye(3, dtype=np.float32))
    )
    plane = Plane(x, y, z_mm - above.height_mm / 2 + beyond_mm, np.zeros_like(x), 0.5)
    hu: Array = np.full(x.shape, UNTOUCHED_HU, np.float32)
    paint_disc(PLAIN, (straight, below), plane, hu, DISC_HU)
    assert (hu == UNTOUCHED_HU).all()


def test_every_pair_of_neighbours_has_a_disc() -> None:
    bone = draw_bone(np.random.default_rng(1), 0, 50)
    spine = draw_spine(np.random.default_rng(0), bone, SpineShape(1.0, 1.0, 0.0, wear=0.0))
    assert spine.discs == ()
    assert len(list(pairwise(spine.bodies))) == len(spine.bodies) - 1
