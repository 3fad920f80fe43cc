"""Smooth fields: one value at one place, whatever grid asks for it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.phantom.field import SPLINE_SD, Array, SmoothField, draw_field

ROUNDING = 1e-5
"""Sums of some hundred float32 products of size 1."""


def _field(pitch_mm: float = 4.0, seed: int = 0) -> SmoothField:
    return draw_field(np.random.default_rng(seed), pitch_mm, (20.0, 24.0, 28.0))


def _axis(low: float, high: float, step: float) -> Array:
    return np.arange(low, high, step, dtype=np.float32)


def _spline(distance: float) -> float:
    """Cubic B-spline of unit pitch, from its textbook definition."""
    t = abs(distance)
    if t < 1:
        return 2 / 3 - t**2 + t**3 / 2
    return (2 - t) ** 3 / 6 if t < 2 else 0.0


def _direct_sum(field: SmoothField, z: float, y: float, x: float) -> float:
    """Sum over every lattice point, one by one."""
    total = 0.0
    for index, value in np.ndenumerate(field.lattice):
        steps = [
            (at - origin) / field.pitch_mm - place
            for at, origin, place in zip((z, y, x), field.origin_mm, index)
        ]
        total += float(value) * _spline(steps[0]) * _spline(steps[1]) * _spline(steps[2])
    return total / SPLINE_SD


@settings(max_examples=15, deadline=None)
@given(
    z=st.floats(-10, 10),
    y=st.floats(-12, 12),
    x=st.floats(-14, 14),
    pitch_mm=st.sampled_from([5.0, 8.0, 11.0]),
)
def test_a_field_is_the_sum_of_its_splines(z: float, y: float, x: float, pitch_mm: float) -> None:
    field = draw_field(np.random.default_rng(3), pitch_mm, (10.0, 12.0, 14.0))
    at = np.float32(y), np.float32(x)
    value = field.plane(z, np.array(at[:1]), np.array(at[1:]))
    # Coordinates pass through float32 before they are divided by the pitch.
    direct = _direct_sum(field, float(np.float32(z)), float(at[0]), float(at[1]))
    assert_allclose(value[0, 0], direct, atol=1e-4)


def test_two_grids_agree_where_they_meet() -> None:
    field = _field()
    y, x = _axis(-12, 12, 0.5), _axis(-16, 16, 0.5)
    fine = field.plane(3.3, y, x)
    coarse = field.plane(3.3, y[::4], x[8:40:8])
    assert_allclose(fine[::4, 8:40:8], coarse, atol=ROUNDING)


def test_the_axes_of_a_plane_are_rows_y_and_columns_x() -> None:
    field = _field()
    y, x = _axis(-8, 8, 2.0), _axis(-6, 6, 2.0)
    plane = field.plane(0.0, y, x)
    assert plane.shape == (len(y), len(x))
    assert plane.dtype == np.float32
    assert_allclose(plane[5, 2], field.plane(0.0, y[5:6], x[2:3])[0, 0], atol=ROUNDING)


def test_a_field_has_zero_mean_and_unit_variance() -> None:
    rng = np.random.default_rng(1)
    field = draw_field(rng, 1.0, (6.0, 150.0, 150.0))
    values = np.stack(
        [
            field.plane(z, *rng.uniform(-148, 148, (2, 300)).astype(np.float32))
            for z in (-4.3, -0.1, 4.2)
        ]
    )
    # About 300 x 300 / 3 x 3 independent patches in each of three planes: 1 % of the variance.
    assert_allclose(values.mean(), 0, atol=0.03)
    assert_allclose(values.std(), 1, atol=0.03)


def test_a_field_scales_with_its_pitch() -> None:
    small = draw_field(np.random.default_rng(5), 3.0, (15.0, 15.0, 15.0))
    large = draw_field(np.random.default_rng(5), 6.0, (30.0, 30.0, 30.0))
    y, x = _axis(-12, 12, 1.0), _axis(-12, 12, 1.0)
    assert_allclose(small.plane(2.0, y, x), large.plane(4.0, 2 * y, 2 * x), atol=ROUNDING)


def test_detail_is_no_finer_than_the_pitch() -> None:
    field = _field(pitch_mm=10.0)
    line = field.plane(0.0, _axis(-20, 20, 0.1), np.zeros(1, np.float32))[:, 0]
    # The steepest spline has slope 2/3 a pitch; a lattice of |4| everywhere would give 8/3 / SD.
    assert np.abs(np.diff(line)).max() < 0.1 / 10 * 8 / 3 / SPLINE_SD


def test_outside_the_lattice_the_edge_goes_on() -> None:
    field = _field()
    far = field.plane(500.0, np.array([-900, 900], np.float32), np.array([0, 800], np.float32))
    edge = field.plane(28.0, np.array([-40, 40], np.float32), np.array([0, 40], np.float32))
    assert_allclose(far, edge, atol=2e-3)


def test_the_same_seed_gives_the_same_field() -> None:
    assert_array_equal(_field(seed=7).lattice, _field(seed=7).lattice)
    assert not np.array_equal(_field(seed=7).lattice, _field(seed=8).lattice)
