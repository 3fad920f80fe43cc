"""Trabecular attenuation: spongy bone alone, measured in millimetres."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from osteoscreen.screening.attenuation import RIM_MM, trabecular_hu


def _body(
    size_mm: float, spacing_mm: tuple[float, float], *, rim_hu: float = 600.0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A square body of 120 HU with a bright rim of 3 mm in the middle of soft tissue."""
    rows, columns = (round(60 / step) for step in spacing_mm)
    y = np.abs((np.arange(rows) + 0.5) * spacing_mm[0] - 30)[:, None]
    x = np.abs((np.arange(columns) + 0.5) * spacing_mm[1] - 30)[None]
    from_middle = np.maximum(y, x)
    body = from_middle < size_mm / 2
    hu = np.where(from_middle < size_mm / 2 - 3, 120.0, np.where(body, rim_hu, 40.0))
    return hu.astype(np.float32), body


@given(st.floats(0.3, 1.2), st.floats(0.3, 1.2))
def test_the_rim_is_left_out_at_every_pixel_size(row_mm: float, column_mm: float) -> None:
    hu, body = _body(30, (row_mm, column_mm))
    assert trabecular_hu(hu, body, (row_mm, column_mm)) == pytest.approx(120.0)


def test_what_lies_outside_the_body_does_not_count() -> None:
    hu, body = _body(30, (0.5, 0.5))
    bright = np.where(body, hu, 3000).astype(np.float32)
    assert trabecular_hu(bright, body, (0.5, 0.5)) == trabecular_hu(hu, body, (0.5, 0.5))


def test_a_body_at_the_edge_of_the_image_has_a_rim_there() -> None:
    hu = np.full((30, 30), 100, np.float32)
    hu[:3] = 900
    assert trabecular_hu(hu, np.ones((30, 30), bool), (1, 1)) == pytest.approx(100.0)


@pytest.mark.parametrize("size_mm", [0, 2 * RIM_MM + 6])
def test_too_little_spongy_bone_is_no_measurement(size_mm: float) -> None:
    hu, body = _body(size_mm, (0.5, 0.5))
    assert math.isnan(trabecular_hu(hu, body, (0.5, 0.5)))
