"""The square grid of one pixel size that MS-Net sees, and the way there and back.

The bundled MS-Net sees every slice at one spacing, so that a vertebra has the same size at every
field of view. The paper's own setting is the scanner's matrix as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from osteoscreen.box import box_of

FloatArray = NDArray[np.float32]
ScalarT = TypeVar("ScalarT", bound=np.generic)

AIR_HU = -1024.0
"""What lies outside the image."""

GREY_MAX = 255.0
"""The paper feeds grey values from 0 to 255 (section 3.1); ours stay fractions."""


@dataclass(frozen=True)
class Grid:
    """A square grid centred on the image.

    Args:
        size: Rows and columns.
        spacing_mm: Distance between pixels.
    """

    size: int
    spacing_mm: float


@dataclass(frozen=True)
class Pose:
    """How a view is turned, moved and scaled against the image; the identity by default.

    Args:
        rotation_deg: Turn about the centre of the view.
        shift_mm: Where the centre of the view lies, (row, column) from the image centre.
        scale: Magnification.
    """

    rotation_deg: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0


IDENTITY = Pose()
"""The image as it lies."""


def grey(hu: FloatArray, window_hu: tuple[float, float]) -> FloatArray:
    """Map a fixed HU window to grey values 0..255, kept as fractions, clipped outside."""
    low, high = window_hu
    return np.asarray(
        np.clip((hu - low) * (GREY_MAX / (high - low)), 0, GREY_MAX), dtype=np.float32
    )


def smooth(image: FloatArray, spacing_mm: tuple[float, float], target_mm: float) -> FloatArray:
    """Low-pass an image before it is sampled more coarsely; finer sampling leaves it as it is.

    The Gaussian has half the width by which the pixel grows, in quadrature.

    Args:
        image: Shape (rows, columns).
        spacing_mm: Pixel spacing (row, column).
        target_mm: Spacing to come.
    """
    sigma = [_sigma(spacing, target_mm) for spacing in spacing_mm]
    if max(sigma) == 0:
        return image
    return np.asarray(ndimage.gaussian_filter(image, sigma, mode="nearest"), dtype=np.float32)


def _sigma(spacing_mm: float, target_mm: float) -> float:
    return 0.5 * float(np.sqrt(max((target_mm / spacing_mm) ** 2 - 1, 0)))


def sample(
    image: NDArray[ScalarT],
    spacing_mm: tuple[float, float],
    grid: Grid,
    *,
    pose: Pose = IDENTITY,
    order: int = 1,
    outside: float = AIR_HU,
) -> NDArray[ScalarT]:
    """Sample an image on a grid, in one interpolation.

    Args:
        image: Shape (rows, columns).
        spacing_mm: Pixel spacing (row, column).
        grid: Wanted grid.
        pose: Turn, shift and scale of the view.
        order: 0 nearest (labels), 1 linear.
        outside: Value beyond the image.
    Returns: Shape (grid.size, grid.size), the image's type.
    """
    if order == 1 and not pose.rotation_deg and image.dtype == np.float32:
        upright = _upright(np.asarray(image, np.float32), spacing_mm, grid, pose, outside)
        return np.asarray(upright, image.dtype)
    angle = np.radians(pose.rotation_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    spacing = np.array(spacing_mm)
    matrix = (grid.spacing_mm / pose.scale) * turn / spacing[:, None]
    image_centre = (np.array(image.shape) - 1) / 2
    grid_centre = np.full(2, (grid.size - 1) / 2)
    offset = image_centre + np.array(pose.shift_mm) / spacing - matrix @ grid_centre
    return np.asarray(
        ndimage.affine_transform(
            image, matrix, offset, (grid.size, grid.size), order=order, cval=outside
        )
    )


def _upright(
    image: FloatArray, spacing_mm: tuple[float, float], grid: Grid, pose: Pose, outside: float
) -> FloatArray:
    """Sample a view that is not turned: linearly, one axis after the other."""
    view = np.full((grid.size, grid.size), outside, np.float32)
    places = [
        _places(length, mm, grid.size, grid.spacing_mm / pose.scale) + shift_mm / mm
        for length, mm, shift_mm in zip(image.shape, spacing_mm, pose.shift_mm)
    ]
    inside = tuple(_between(at, 0, length - 1) for at, length in zip(places, image.shape))
    view[inside] = _interpolated(image, [at[part] for at, part in zip(places, inside)])
    return view


def coarse(
    image: FloatArray, spacing_mm: tuple[float, float], grid: Grid, *, outside: float = AIR_HU
) -> FloatArray:
    """Low-pass an image and sample it on a grid as it lies.

    It is ``sample`` of ``smooth``, some ten times faster: both are linear and work on rows and
    columns alike, so that each axis is one matrix.

    Args:
        image: Shape (rows, columns).
        spacing_mm: Pixel spacing (row, column).
        grid: Wanted grid.
        outside: Value beyond the image.
    Returns: Shape (grid.size, grid.size).
    """
    view = np.full((grid.size, grid.size), outside, np.float32)
    (row_part, rows), (column_part, columns) = (
        _sparse(length, mm, grid.size, grid.spacing_mm)
        for length, mm in zip(image.shape, spacing_mm)
    )
    view[row_part, column_part] = _transposed(columns @ _transposed(rows @ image))
    return view


def cover(mark: NDArray[np.bool_], spacing_mm: tuple[float, float], grid: Grid) -> FloatArray:
    """Find how much of each pixel of a grid a mark covers: ``coarse`` of the mark, 0 outside.

    Args:
        mark: Shape (rows, columns).
        spacing_mm: Pixel spacing (row, column).
        grid: Wanted grid.
    Returns: Shares, shape (grid.size, grid.size).
    """
    shares = np.zeros((grid.size, grid.size), np.float32)
    box = box_of(mark)
    if box is None:
        return shares
    matrices = [
        _lowered(length, mm, grid.size, grid.spacing_mm)[:, part]
        for length, mm, part in zip(mark.shape, spacing_mm, box)
    ]
    reached = [matrix.any(axis=1) for matrix in matrices]
    rows, columns = (matrix[at] for matrix, at in zip(matrices, reached))
    shares[np.ix_(*reached)] = rows @ mark[box].astype(np.float32) @ columns.T
    return shares


def restore(
    marks: FloatArray,
    grid: Grid,
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
    threshold: float,
) -> NDArray[np.bool_]:
    """Bring marks from the grid back to the image, linearly, and find where they reach a threshold.

    Args:
        marks: Probabilities, shape (grid.size, grid.size).
        grid: The grid they were made on, in the identity pose.
        shape: Rows and columns of the image.
        spacing_mm: Pixel spacing of the image (row, column).
        threshold: More than 0, which all is outside the grid.
    Returns: The mark, of the image's shape.
    """
    image = np.zeros(shape, bool)
    box = box_of(marks >= threshold)
    if box is None:
        return image
    places = [
        _places(grid.size, grid.spacing_mm, length, mm) for length, mm in zip(shape, spacing_mm)
    ]
    # What is interpolated reaches the threshold only beside a pixel of the grid that does.
    near = tuple(slice(max(part.start - 1, 0), min(part.stop + 1, grid.size)) for part in box)
    inside = tuple(_between(at, part.start, part.stop - 1) for at, part in zip(places, near))
    within = [at[pixels] - part.start for at, pixels, part in zip(places, inside, near)]
    image[inside] = _interpolated(marks[near], within) >= threshold
    return image


@lru_cache(maxsize=16)
def _places(length: int, spacing_mm: float, size: int, target_mm: float) -> NDArray[np.float64]:
    """Where the pixels of an axis lie on another one with the same centre, in pixels of that."""
    from_centre = (np.arange(size, dtype=np.float64) - (size - 1) / 2) * (target_mm / spacing_mm)
    return np.asarray(from_centre + (length - 1) / 2)


def _between(at: NDArray[np.float64], first: int, last: int) -> slice:
    """Which of rising places lie between two pixels."""
    return slice(int(np.searchsorted(at, first)), int(np.searchsorted(at, last, "right")))


def _interpolated(image: FloatArray, places: Sequence[NDArray[np.float64]]) -> FloatArray:
    """Interpolate an image linearly at some rows and columns, all inside."""
    for axis, at in enumerate(places):
        image = _along(image, at, axis)
    return image


def _along(image: FloatArray, at: NDArray[np.float64], axis: int) -> FloatArray:
    """Interpolate linearly along one axis."""
    lower = np.minimum(at.astype(int), max(image.shape[axis] - 2, 0))
    upper = np.minimum(lower + 1, image.shape[axis] - 1)
    share = np.expand_dims((at - lower).astype(np.float32), 1 - axis)
    first: FloatArray = image.take(lower, axis)
    second: FloatArray = image.take(upper, axis)
    second -= first
    second *= share
    second += first
    return second


SPARE = 16
"""Floats: a line of the cache."""


def _transposed(image: FloatArray) -> FloatArray:
    """Transpose into new memory.

    Where a row takes a power of two bytes, those of a column share a few lines of the cache and
    drive each other out; with some spare memory behind each row it is four times faster.
    """
    rows, columns = image.shape
    spaced = np.empty((rows, columns + SPARE), np.float32)[:, :columns]
    spaced[:] = image
    return np.ascontiguousarray(spaced.T)


@lru_cache(maxsize=16)
def _sparse(length: int, spacing_mm: float, size: int, target_mm: float) -> tuple[slice, Any]:
    """Which pixels lie inside the image, and their part of ``_lowered``, which is mostly 0."""
    inside = _between(_places(length, spacing_mm, size, target_mm), 0, length - 1)
    return inside, sparse.csr_array(_lowered(length, spacing_mm, size, target_mm)[inside])


@lru_cache(maxsize=16)
def _lowered(length: int, spacing_mm: float, size: int, target_mm: float) -> FloatArray:
    """Matrix of the low-pass and the sampling after it, shape (size, length)."""
    low_pass = np.eye(length, dtype=np.float32)
    sigma = _sigma(spacing_mm, target_mm)
    if sigma > 0:
        low_pass = ndimage.gaussian_filter1d(low_pass, sigma, axis=0, mode="nearest")
    matrix = np.zeros((size, length), np.float32)
    at = _places(length, spacing_mm, size, target_mm)
    inside = _between(at, 0, length - 1)
    matrix[inside] = _along(low_pass, at[inside], 0)
    return matrix
