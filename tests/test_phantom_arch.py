"""The arch of a vertebra: what it encloses, and how it changes from level to level."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import ArrayLike

from osteoscreen.phantom.arch import PEDICLE_WIDTH_MM, ArchPlan, draw_arch
from osteoscreen.phantom.capsule import Capsule
from osteoscreen.phantom.field import Array

POSITIONS = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
"""T10 to L5."""
DEPTH_MM, HEIGHT_MM = 32.0, 27.0
SPINOUS = 2
"""The first parts of an arch are the spinous process; both sides follow."""


def _arch(seed: int, position: float = 0.5, scale: float = 1.0) -> tuple[Capsule, ...]:
    plan = ArchPlan(position, DEPTH_MM * scale, HEIGHT_MM * scale, scale, wear=0.3)
    return draw_arch(np.random.default_rng(seed), plan)


def _deepest(parts: tuple[Capsule, ...], u: ArrayLike, v: ArrayLike, w: ArrayLike) -> Array:
    axes = np.broadcast_arrays(np.asarray(u), np.asarray(v), np.asarray(w))
    first, second, third = (np.array(axis, np.float32) for axis in axes)
    return np.asarray(np.max([part.depth((first, second, third)) for part in parts], axis=0))


@pytest.mark.parametrize("position", POSITIONS)
def test_the_canal_is_free_of_bone_at_every_height_of_the_pedicles(position: float) -> None:
    u, v, w = np.meshgrid(np.arange(-6, 7, 2), np.arange(3, 11), np.arange(-4, 10, 2))
    for seed in range(20):
        found = _deepest(_arch(seed, position), u, v + DEPTH_MM / 2, w)
        assert (found < 0).all()


@pytest.mark.parametrize("position", POSITIONS)
def test_the_arch_closes_behind_the_canal(position: float) -> None:
    v = np.arange(10, 26, 0.5)
    for seed in range(20):
        found = _deepest(
            _arch(seed, position), np.zeros(1), DEPTH_MM / 2 + v, np.array([-0.22 * HEIGHT_MM])
        )
        assert found.max() > 0


@pytest.mark.parametrize("position", POSITIONS)
def test_the_pedicles_begin_inside_the_body(position: float) -> None:
    for seed in range(5):
        for part in _arch(seed, position):
            if part.start[1] < DEPTH_MM / 2:
                assert_allclose(part.start[1], DEPTH_MM / 2 - 5)
                assert 8 < abs(part.start[0]) < 22
        assert sum(part.start[1] < DEPTH_MM / 2 for part in _arch(seed, position)) == 2


@pytest.mark.parametrize("position", POSITIONS)
def test_the_arch_reaches_both_sides_the_back_and_the_neighbours(position: float) -> None:
    bounds = np.array([part.bounds() for part in _arch(2, position)])
    low, high = bounds[..., 0].min(axis=0), bounds[..., 1].max(axis=0)
    assert low[0] < -22
    assert high[0] > 22
    assert high[1] > DEPTH_MM / 2 + 24
    # Articular processes pass the endplates, to meet those of the next vertebra.
    assert low[2] < -HEIGHT_MM / 2
    assert high[2] > HEIGHT_MM / 2


def test_both_sides_are_drawn_from_the_same_measures() -> None:
    sides = _arch(0)[SPINOUS:]
    half = len(sides) // 2
    for one, other in zip(sides[:half], sides[half:]):
        assert one.end[0] <= 0 <= other.end[0]
        # The joints differ by some tenths of a millimetre from side to side.
        assert_allclose(-one.start[0], other.start[0], atol=4)
        assert_allclose(one.start[1:], other.start[1:], atol=1e-6)


def test_pedicles_have_the_widths_of_the_table() -> None:
    places = (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
    widths = [
        np.mean([2 * _arch(seed, place)[SPINOUS].radius[0] for seed in range(60)])
        for place in places
    ]
    # The mean of sixty draws with a spread of 8 %.
    assert_allclose(widths, PEDICLE_WIDTH_MM, rtol=0.035)


def test_a_larger_person_has_a_larger_arch() -> None:
    small, large = _arch(3), _arch(3, scale=1.2)
    # Pedicle and lamina scale in full; some fixed millimetres remain elsewhere.
    assert_allclose(large[SPINOUS].radius[0], 1.2 * small[SPINOUS].radius[0])
    reach = [max(part.bounds()[1][1] for part in arch) for arch in (small, large)]
    assert 1.1 < reach[1] / reach[0] < 1.25


def test_thoracic_spines_hang_lower_than_lumbar_ones() -> None:
    for seed in range(10):
        thoracic, lumbar = _arch(seed, -0.5)[0], _arch(seed, 0.25)[0]
        assert thoracic.end[2] - thoracic.start[2] < lumbar.end[2] - lumbar.start[2] - 5


def test_wear_thickens_the_joints() -> None:
    sizes = []
    for wear in (0.0, 1.0):
        plan = ArchPlan(0.5, DEPTH_MM, HEIGHT_MM, 1.0, wear)
        arches = [draw_arch(np.random.default_rng(seed), plan) for seed in range(40)]
        sizes.append(np.mean([arch[SPINOUS + 3].radius[0] for arch in arches]))
    # A mean of 0.35 / 2 more.
    assert_allclose(sizes[1] / sizes[0], 1.175, atol=0.06)


def test_the_same_numbers_give_the_same_arch() -> None:
    assert _arch(7) == _arch(7)
    assert _arch(7) != _arch(8)


def test_thoracic_joints_lie_in_the_coronal_plane_and_lumbar_ones_do_not() -> None:
    """The joints are the fourth and fifth part of a side, behind pedicle, pars and lamina."""
    for position, is_coronal in ((-0.75, True), (-0.5, True), (-0.25, False), (0.0, False)):
        for part in _arch(1, position)[SPINOUS + 3 : SPINOUS + 5]:
            run = np.abs(np.array(part.end) - np.array(part.start))
            assert (run[0] > 4 * run[1]) == is_coronal


def test_the_transverse_process_is_long_at_t10_and_a_stub_at_t12() -> None:
    reach = [
        np.mean([np.ptp([part.start[0], part.end[0]]) for seed in range(20)
                 for part in [_arch(seed, position)[-1]]])
        for position in (-0.75, -0.5, -0.25)
    ]  # fmt: skip
    # 12 mm on average, of which 0.4 is left at T12.
    assert_allclose(reach, [12, 8.4, 4.8], rtol=0.12)
