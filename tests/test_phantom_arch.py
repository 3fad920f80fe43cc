"""The arch of a vertebra: capsules, and what they enclose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from osteoscreen.phantom.arch import PEDICLE_WIDTH_MM, Capsule, draw_arch
from osteoscreen.phantom.field import Array

LEVELS = sorted(PEDICLE_WIDTH_MM)
places = st.tuples(*[st.floats(-20, 20)] * 3)
radii = st.tuples(*[st.floats(2, 8)] * 3)


def _point(place: tuple[float, float, float]) -> tuple[Array, Array, Array]:
    u, v, w = (np.array([value], np.float32) for value in place)
    return u, v, w


def _deepest(parts: tuple[Capsule, ...], place: tuple[float, float, float]) -> float:
    return max(float(part.depth(_point(place))[0]) for part in parts)


@settings(deadline=None)
@given(start=places, end=places, radius=st.floats(2, 8), place=places)
def test_a_round_capsule_measures_the_distance_to_its_segment(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: float,
    place: tuple[float, float, float],
) -> None:
    along = np.linspace(0, 1, 2001)[:, None]
    points = (1 - along) * np.array(start) + along * np.array(end)
    distance = np.linalg.norm(points - np.array(place), axis=1).min()
    depth = Capsule(start, end, (radius, radius, radius)).depth(_point(place))
    # The segment is sampled every 0.03 mm at most; a segment of no length is regularised.
    assert_allclose(depth[0], radius - distance, atol=0.02)


@settings(deadline=None)
@given(start=places, end=places, radius=radii, share=st.floats(0, 1))
def test_a_capsule_is_deepest_on_its_segment(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: tuple[float, float, float],
    share: float,
) -> None:
    on = tuple((1 - share) * a + share * b for a, b in zip(start, end))
    depth = Capsule(start, end, radius).depth(_point((on[0], on[1], on[2])))
    assert_allclose(depth[0], min(radius), atol=0.02)


@settings(deadline=None)
@given(start=places, end=places, radius=radii, place=places)
def test_bounds_hold_the_whole_capsule(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: tuple[float, float, float],
    place: tuple[float, float, float],
) -> None:
    capsule = Capsule(start, end, radius)
    if capsule.depth(_point(place))[0] > 0:
        for value, (low, high) in zip(place, capsule.bounds()):
            assert low - 1e-3 <= value <= high + 1e-3


@pytest.mark.parametrize("level", LEVELS)
def test_the_arch_leaves_the_canal_free_and_closes_behind_it(level: str) -> None:
    for seed in range(10):
        parts = draw_arch(np.random.default_rng(seed), level, 32.0, 27.0)
        assert _deepest(parts, (0.0, 16 + 8.0, 0.0)) < 0
        behind = [_deepest(parts, (0.0, 16.0 + v, -0.15 * 27)) for v in np.arange(10, 26, 0.5)]
        assert max(behind) > 0


@pytest.mark.parametrize("level", LEVELS)
def test_the_arch_reaches_both_sides_the_back_and_the_neighbours(level: str) -> None:
    parts = draw_arch(np.random.default_rng(2), level, 32.0, 27.0)
    low = np.array([[axis[0] for axis in part.bounds()] for part in parts]).min(axis=0)
    high = np.array([[axis[1] for axis in part.bounds()] for part in parts]).max(axis=0)
    assert low[0] < -22
    assert high[0] > 22
    assert high[1] > 16 + 24
    # Articular processes pass the endplates, to meet those of the next vertebra.
    assert low[2] < -27 / 2
    assert high[2] > 27 / 2


def test_both_sides_are_drawn_from_the_same_measures() -> None:
    _, *sides = draw_arch(np.random.default_rng(0), "L3", 33.0, 27.0)
    right, left = sides[:5], sides[5:]
    for one, other in zip(right, left):
        assert one.start[0] < 0 < other.start[0]
        assert_allclose(one.start[0], -other.start[0])


def test_pedicles_widen_from_l1_to_l5() -> None:
    widths = []
    for level in ("L1", "L2", "L3", "L4", "L5"):
        drawn = [draw_arch(np.random.default_rng(seed), level, 32.0, 27.0) for seed in range(40)]
        widths.append(np.mean([2 * parts[1].radius[0] for parts in drawn]))
    # The mean of forty draws with a spread of 8 %.
    assert_allclose(widths, [6.5, 7.5, 9.0, 11.0, 14.0], rtol=0.04)


def test_the_wings_of_the_sacrum_use_no_random_numbers() -> None:
    rng = np.random.default_rng(0)
    parts = draw_arch(rng, "S1", 32.0, 28.0)
    assert rng.random() == np.random.default_rng(0).random()
    assert _deepest(parts, (-40.0, 12.0, -5.0)) > 0
    assert _deepest(parts, (40.0, 12.0, -5.0)) > 0
