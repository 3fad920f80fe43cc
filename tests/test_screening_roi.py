"""The roi of BCC-Net: crop, fill, mask, window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from osteoscreen.screening.grid import Grid, Pose, grey, sample, smooth
from osteoscreen.screening.roi import RoiSettings, cut_roi

SETTINGS = RoiSettings(size=100, window_hu=(-200, 1000))


def _slice(mark: np.ndarray, inside_hu: float, outside_hu: float) -> np.ndarray:
    return np.where(mark, inside_hu, outside_hu).astype(np.float32)


def _box(shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    mark = np.zeros(shape, bool)
    mark[rows, columns] = True
    return mark


def test_outside_the_mark_the_roi_is_0_however_bright_the_image() -> None:
    mark = _box((64, 64), slice(20, 40), slice(10, 50))
    roi = cut_roi(_slice(mark, 400, 2000), mark, (1, 1), SETTINGS)
    corner = roi[:20, :20]
    assert corner.max() == 0
    assert roi[50, 50] == pytest.approx(127.5, abs=0.5)


@given(fill=st.floats(0.8, 1.0), row_mm=st.floats(0.4, 2.0), column_mm=st.floats(0.4, 2.0))
def test_the_longer_side_of_the_mark_fills_the_wanted_share(
    fill: float, row_mm: float, column_mm: float
) -> None:
    mark = _box((80, 80), slice(20, 60), slice(30, 50))
    roi = cut_roi(_slice(mark, 1000, 0), mark, (row_mm, column_mm), SETTINGS, fill=fill)
    high = (roi > 127).any(axis=1).sum()
    wide = (roi > 127).any(axis=0).sum()
    # One pixel of the image is at most 3 pixels of this roi.
    assert max(high, wide) == pytest.approx(100 * fill, abs=3.5)
    assert min(high, wide) / max(high, wide) == pytest.approx(
        min(40 * row_mm, 20 * column_mm) / max(40 * row_mm, 20 * column_mm), abs=0.07
    )


def test_the_roi_does_not_depend_on_where_the_vertebra_lies() -> None:
    rng = np.random.default_rng(3)
    patch = rng.normal(200, 100, (30, 30)).astype(np.float32)
    rois = []
    for row, column in ((5, 7), (40, 33)):
        hu = np.full((90, 90), -1000, np.float32)
        hu[row : row + 30, column : column + 30] = patch
        mark = _box((90, 90), slice(row, row + 30), slice(column, column + 30))
        rois.append(cut_roi(hu, mark, (1, 1), SETTINGS))
    assert_allclose(rois[0], rois[1], atol=1e-2)


@given(
    spacing_mm=st.tuples(st.floats(0.1, 2.0), st.floats(0.1, 2.0)),
    corner=st.tuples(st.integers(0, 59), st.integers(0, 59)),
    sides=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    rotation_deg=st.sampled_from([0.0, 20.0]),
)
def test_a_roi_is_that_of_the_whole_slice(
    spacing_mm: tuple[float, float],
    corner: tuple[int, int],
    sides: tuple[int, int],
    rotation_deg: float,
) -> None:
    """What is cut and low-passed near the mark alone is what the whole slice would give."""
    hu = np.random.default_rng(corner[0]).normal(200, 300, (60, 60)).astype(np.float32)
    mark = _box((60, 60), *(slice(at, at + side) for at, side in zip(corner, sides)))
    rows, columns = (np.flatnonzero(mark.any(axis=axis)) for axis in (1, 0))
    side_mm = max(len(rows) * spacing_mm[0], len(columns) * spacing_mm[1]) / 0.9
    grid = Grid(SETTINGS.size, side_mm / SETTINGS.size)
    row_mm, column_mm = ((at.mean() - 59 / 2) * mm for at, mm in zip((rows, columns), spacing_mm))
    pose = Pose(rotation_deg, (row_mm, column_mm))
    whole = smooth(grey(hu, SETTINGS.window_hu) * mark, spacing_mm, grid.spacing_mm)
    expected = sample(whole, spacing_mm, grid, pose=pose, outside=0.0)
    roi = cut_roi(hu, mark, spacing_mm, SETTINGS, pose=Pose(rotation_deg))
    # The edge of the slice, one row or column, is in or out by rounding.
    apart = np.abs(roi - expected) > 1e-2
    assert min(apart.any(axis=0).sum(), apart.any(axis=1).sum()) <= 1


def test_fifty_hu_more_make_the_roi_brighter_by_the_windows_share() -> None:
    mark = _box((64, 64), slice(16, 48), slice(16, 48))
    low = cut_roi(_slice(mark, 150, 0), mark, (1, 1), SETTINGS)
    high = cut_roi(_slice(mark, 200, 0), mark, (1, 1), SETTINGS)
    assert_allclose((high - low)[50, 50], 50 * 255 / 1200, rtol=1e-3)


def test_a_pose_shifts_and_turns_about_the_mark() -> None:
    mark = _box((64, 64), slice(20, 41), slice(20, 41))
    hu = _slice(mark, 400, 0)
    still = cut_roi(hu, mark, (1, 1), SETTINGS)
    turned = cut_roi(hu, mark, (1, 1), SETTINGS, pose=Pose(rotation_deg=90))
    moved = cut_roi(hu, mark, (1, 1), SETTINGS, pose=Pose(shift_mm=(30.0, 0.0)))
    assert_allclose(turned, np.rot90(still), atol=1.0)
    assert moved.sum() < 0.2 * still.sum()


def test_an_empty_mark_has_no_roi() -> None:
    with pytest.raises(ValueError, match="needs a mark"):
        cut_roi(np.zeros((9, 9), np.float32), np.zeros((9, 9), bool), (1, 1), SETTINGS)
