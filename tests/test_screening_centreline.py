"""The middle line of the spine: upright, tilted and bent columns worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from osteoscreen.screening.centreline import areas_across

SPACING_MM = (3.0, 1.0, 1.0)


def _column(tilt_deg: float, spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Bodies of 27 mm with discs of 6 mm between them, across an axis that is tilted backwards."""
    step, row_mm, column_mm = spacing_mm
    z, y, x = np.meshgrid(np.arange(0, 132, step), np.arange(0, 140, row_mm) - 70,
                          np.arange(0, 60, column_mm) - 30, indexing="ij")  # fmt: skip
    turn = np.deg2rad(tilt_deg)
    along = (z - 66) * np.cos(turn) + y * np.sin(turn) + 66
    across = y * np.cos(turn) - (z - 66) * np.sin(turn)
    inside = (across / 15) ** 2 + (x / 20) ** 2 <= 1
    return np.asarray(inside & (along % 33 >= 3) & (along % 33 < 30))


def test_an_upright_column_has_the_areas_of_its_slices() -> None:
    body = _column(0, SPACING_MM)
    assert_allclose(areas_across(body, SPACING_MM), body.sum(axis=(1, 2)), rtol=0.03)


@pytest.mark.parametrize("tilt_deg", [-40, -20, 20, 40])
def test_across_a_tilted_column_the_discs_show(tilt_deg: float) -> None:
    body = _column(tilt_deg, SPACING_MM)
    middle = slice(8, 36)  # the ends are cut off obliquely
    axial, across = body.sum(axis=(1, 2))[middle], areas_across(body, SPACING_MM)[middle]
    assert across.min() < 0.1 * across.max()
    assert across.min() < axial.min() / 3
    # 33 mm of the axis are as high as that.
    heights = 3.0 * np.flatnonzero(across < 0.3 * across.max())
    gaps = [group.mean() for group in np.split(heights, np.flatnonzero(np.diff(heights) > 6) + 1)]
    assert_allclose(np.diff(gaps), 33 * np.cos(np.deg2rad(tilt_deg)), atol=4)


def test_the_areas_do_not_hang_on_the_pixel_spacing() -> None:
    fine, coarse = ((3.0, mm, mm) for mm in (0.7, 2.0))
    one, other = (areas_across(_column(20, spacing), spacing) for spacing in (fine, coarse))
    assert np.corrcoef(one, other)[0, 1] > 0.98


def test_nothing_marked_has_no_area() -> None:
    assert not areas_across(np.zeros((9, 4, 4), bool), SPACING_MM).any()
