"""The grid of MS-Net: there and back, turns, shifts and windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import ndimage

from osteoscreen.screening.grid import (
    AIR_HU,
    Grid,
    Pose,
    coarse,
    cover,
    grey,
    restore,
    sample,
    smooth,
)


def test_grey_maps_the_window_to_0_and_255_and_clips_outside() -> None:
    hu = np.array([-1024, -200, 400, 1000, 3071], np.float32)
    assert_allclose(grey(hu, (-200, 1000)), [0, 0, 127.5, 255, 255])


def test_grey_keeps_fractions_so_one_hu_is_never_lost() -> None:
    hu = np.array([100, 101], np.float32)
    step = np.diff(grey(hu, (-200, 1000)))
    assert_allclose(step, 255 / 1200, rtol=1e-4)


def test_sampling_at_the_images_own_spacing_changes_nothing() -> None:
    image = np.random.default_rng(1).normal(size=(32, 32)).astype(np.float32)
    assert_allclose(sample(image, (0.7, 0.7), Grid(32, 0.7)), image, atol=1e-6)


@given(
    rows=st.integers(20, 40),
    columns=st.integers(20, 40),
    row_mm=st.floats(0.5, 2.0),
    column_mm=st.floats(0.5, 2.0),
)
def test_what_a_plane_marks_survives_the_way_to_the_grid_and_back(
    rows: int, columns: int, row_mm: float, column_mm: float
) -> None:
    y = (np.arange(rows) - (rows - 1) / 2) * row_mm
    x = (np.arange(columns) - (columns - 1) / 2) * column_mm
    image = (3 + 0.2 * y[:, None] - 0.1 * x[None, :]).astype(np.float32)
    grid = Grid(128, 1.0)
    there = sample(image, (row_mm, column_mm), grid, outside=0.0)
    back = restore(there, grid, (rows, columns), (row_mm, column_mm), 3.01)
    # Linear interpolation keeps a plane exactly, but for the outermost pixels, up to rounding.
    edge = int(np.ceil(1 / min(row_mm, column_mm))) + 1
    inner = (slice(edge, -edge), slice(edge, -edge))
    apart = (back != (image >= 3.01)) & (np.abs(image - 3.01) > 1e-3)
    assert not apart[inner].any()


def test_a_turn_by_90_degrees_is_numpys() -> None:
    image = np.arange(25, dtype=np.float32).reshape(5, 5)
    turned = sample(image, (1, 1), Grid(5, 1.0), pose=Pose(rotation_deg=90))
    assert_allclose(turned, np.rot90(image, -1), atol=1e-4)


def test_a_shift_moves_the_view_by_millimetres() -> None:
    image = np.zeros((21, 21), np.float32)
    image[15, 8] = 1
    view = sample(image, (2.0, 0.5), Grid(21, 0.5), pose=Pose(shift_mm=(10.0, -1.0)), outside=0)
    assert view[10, 10] == 1


def test_a_magnification_of_two_halves_the_field() -> None:
    image = np.zeros((41, 41), np.float32)
    image[20, 24] = 1
    view = sample(image, (1, 1), Grid(41, 1.0), pose=Pose(scale=2.0), outside=0)
    assert view[20, 28] == 1


def test_labels_stay_labels_when_sampled_by_the_nearest() -> None:
    labels = np.array([[0, 2], [1, 0]], np.uint8).repeat(8, 0).repeat(8, 1)
    sampled = sample(labels, (1, 1), Grid(40, 0.37), order=0, outside=0)
    assert set(np.unique(sampled)) <= {0, 1, 2}


def test_smoothing_leaves_an_image_that_is_sampled_more_finely() -> None:
    image = np.random.default_rng(0).normal(size=(9, 9)).astype(np.float32)
    assert smooth(image, (3.0, 3.0), 1.5) is image


def test_smoothing_lowers_noise_before_coarse_sampling() -> None:
    image = np.random.default_rng(0).normal(size=(200, 200)).astype(np.float32)
    assert smooth(image, (0.5, 0.5), 1.5).std() < 0.5 * image.std()


@pytest.mark.parametrize("outside", [AIR_HU, 0.0])
@given(
    rows=st.integers(1, 60),
    columns=st.integers(2, 60),
    spacing_mm=st.tuples(st.floats(0.3, 3.0), st.floats(0.3, 3.0)),
    target_mm=st.floats(0.4, 3.0),
)
def test_coarse_is_the_sample_of_the_smoothed_image(
    rows: int, columns: int, spacing_mm: tuple[float, float], target_mm: float, outside: float
) -> None:
    image = np.random.default_rng(rows).normal(0, 300, (rows, columns)).astype(np.float32)
    grid = Grid(48, target_mm)
    slow = sample(smooth(image, spacing_mm, target_mm), spacing_mm, grid, outside=outside)
    quick = coarse(image, spacing_mm, grid, outside=outside)
    # Both compute in single precision, in another order.
    apart = np.abs(quick - slow) > 1e-2
    assert not _within(apart, rows, columns, spacing_mm, grid).any()


def _within(
    apart: np.ndarray, rows: int, columns: int, spacing_mm: tuple[float, float], grid: Grid
) -> np.ndarray:
    """Leave out pixels that lie on the image's edge but for rounding: in or out, both are right."""
    kept = np.ones(apart.shape, bool)
    for axis, (length, mm) in enumerate(zip((rows, columns), spacing_mm)):
        at = (np.arange(grid.size) - (grid.size - 1) / 2) * grid.spacing_mm
        is_edge = np.abs(np.abs(at) - (length - 1) / 2 * mm) < 1e-6
        kept &= ~is_edge[:, None] if axis == 0 else ~is_edge[None, :]
    return apart & kept


@given(
    rows=st.integers(1, 90),
    columns=st.integers(2, 90),
    spacing_mm=st.tuples(st.floats(0.3, 3.0), st.floats(0.3, 3.0)),
    threshold=st.floats(0.05, 0.95),
)
def test_marks_come_back_as_ndimage_brings_them(
    rows: int, columns: int, spacing_mm: tuple[float, float], threshold: float
) -> None:
    marks = np.zeros((64, 64), np.float32)
    marks[columns % 60 :, rows % 60 :] = np.random.default_rng(rows).random()
    marks *= np.random.default_rng(columns).random((64, 64)).astype(np.float32)
    shape, grid = (rows, columns), Grid(64, 1.5)
    scale = np.array(spacing_mm) / grid.spacing_mm
    offset = (grid.size - 1) / 2 - scale * (np.array(shape) - 1) / 2
    wanted = ndimage.affine_transform(marks, scale, offset, shape, order=1, cval=0.0)
    apart = restore(marks, grid, shape, spacing_mm, threshold) != (wanted >= threshold)
    # Both compute in single precision, in another order; on the grid's edge, in or out is right.
    apart &= np.abs(wanted - threshold) > 1e-6
    for axis, (length, mm) in enumerate(zip(shape, spacing_mm)):
        at = np.abs(np.arange(length) - (length - 1) / 2) * mm
        apart &= np.expand_dims(np.abs(at - (grid.size - 1) / 2 * grid.spacing_mm) > 1e-6, 1 - axis)
    assert not apart.any()


@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    spacing_mm=st.tuples(st.floats(0.3, 3.0), st.floats(0.3, 3.0)),
    shift_mm=st.tuples(st.floats(-20.0, 20.0), st.floats(-20.0, 20.0)),
    scale=st.floats(0.5, 2.0),
)
def test_a_view_that_is_not_turned_is_the_one_of_the_smallest_turn(
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
    shift_mm: tuple[float, float],
    scale: float,
) -> None:
    """The one is interpolated axis by axis, the other by ndimage."""
    image = np.random.default_rng(shape[0]).normal(0, 300, shape).astype(np.float32)
    grid, tiny_deg = Grid(32, 1.0), 1e-12
    upright, turned = (
        sample(image, spacing_mm, grid, pose=Pose(angle, shift_mm, scale), outside=0.0)
        for angle in (0.0, tiny_deg)
    )
    apart = np.abs(upright - turned) > 1e-2
    for axis, (length, mm) in enumerate(zip(shape, spacing_mm)):
        at = (np.arange(grid.size) - (grid.size - 1) / 2) / scale + shift_mm[axis]
        is_inside = np.abs(np.abs(at) - (length - 1) / 2 * mm) > 1e-6
        apart &= np.expand_dims(is_inside, 1 - axis)
    assert not apart.any()


@given(
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    spacing_mm=st.tuples(st.floats(0.3, 3.0), st.floats(0.3, 3.0)),
    target_mm=st.floats(0.4, 3.0),
)
def test_a_mark_covers_what_its_low_pass_says(
    rows: int, columns: int, spacing_mm: tuple[float, float], target_mm: float
) -> None:
    mark = np.zeros((60, 60), bool)
    mark[rows // 2 : rows, columns // 2 : columns] = True
    grid = Grid(48, target_mm)
    wanted = coarse(mark.astype(np.float32), spacing_mm, grid, outside=0.0)
    assert_allclose(cover(mark, spacing_mm, grid), wanted, atol=1e-5)
    assert not cover(np.zeros_like(mark), spacing_mm, grid).any()
