"""Planes: windows hold their boxes and parts keep their places."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane


def _plane(turn_deg: float = 0.0) -> Plane:
    x: Array
    y: Array
    x, y = np.meshgrid(
        np.arange(-60, 60, 1.5, dtype=np.float32), np.arange(-50, 50, 1.5, dtype=np.float32)
    )
    cos, sin = np.float32(np.cos(np.radians(turn_deg))), np.float32(np.sin(np.radians(turn_deg)))
    noise = np.arange(x.size, dtype=np.float32).reshape(x.shape)
    return Plane(cos * x + sin * y, cos * y - sin * x, 12.0, noise, 1.5)


spans = st.tuples(st.floats(-90, 90), st.floats(1, 60)).map(lambda t: (t[0], t[0] + t[1]))


@given(x_range=spans, y_range=spans, turn_deg=st.floats(-20, 20))
def test_a_window_holds_its_box(
    x_range: tuple[float, float], y_range: tuple[float, float], turn_deg: float
) -> None:
    plane = _plane(turn_deg)
    window = plane.window(x_range, y_range)
    box = (plane.x > x_range[0]) & (plane.x < x_range[1])
    box &= (plane.y > y_range[0]) & (plane.y < y_range[1])
    inside = np.zeros(plane.x.shape, bool)
    if window is not None:
        inside[window] = True
    assert inside[box].all()


def test_a_window_of_a_straight_plane_is_no_larger_than_its_box() -> None:
    plane = _plane()
    window = plane.window((-10.0, 12.0), (3.0, 20.0))
    assert window is not None
    part = plane.part(window)
    assert part.x.min() > -10
    assert part.x.max() < 12
    assert part.y.min() > 3
    assert part.y.max() < 20


def test_there_is_no_window_beside_the_plane_or_in_an_empty_one() -> None:
    plane = _plane()
    assert plane.window((200.0, 220.0), (0.0, 10.0)) is None
    assert plane.window((0.0, 10.0), (-220.0, -200.0)) is None
    empty = plane.part((slice(0, 0), slice(0, 0)))
    assert empty.window((-10.0, 10.0), (-10.0, 10.0)) is None


def test_a_part_keeps_places_and_noise() -> None:
    plane, window = _plane(10.0), (slice(3, 9), slice(20, 31))
    part = plane.part(window)
    assert_array_equal(part.x, plane.x[window])
    assert_array_equal(part.y, plane.y[window])
    assert_array_equal(part.shell_noise, plane.shell_noise[window])
    assert (part.z_mm, part.pixel_mm) == (plane.z_mm, plane.pixel_mm)


def test_another_height_changes_nothing_else() -> None:
    plane = _plane()
    other = plane.at(40.0)
    assert other.z_mm == 40.0
    assert_array_equal(other.x, plane.x)
    assert_array_equal(other.shell_noise, plane.shell_noise)
