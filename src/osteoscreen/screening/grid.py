"""The square grid of one pixel size that MS-Net sees, and the way there and back.

The bundled MS-Net sees every slice at one spacing, so that a vertebra has the same size at every
field of view. The paper's own setting is the scanner's matrix as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

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
    rows, columns = (
        _lowered(length, mm, grid.size, grid.spacing_mm)
        for length, mm in zip(image.shape, spacing_mm)
    )
    return np.asarray(_between(image - np.float32(outside), rows, columns) + np.float32(outside))


def restore(
    marks: FloatArray, grid: Grid, shape: tuple[int, int], spacing_mm: tuple[float, float]
) -> FloatArray:
    """Bring marks from the grid back to the image, linearly; 0 outside the grid.

    Args:
        marks: Probabilities, shape (grid.size, grid.size).
        grid: The grid they were made on, in the identity pose.
        shape: Rows and columns of the image.
        spacing_mm: Pixel spacing of the image (row, column).
    """
    rows, columns = (
        _linear(grid.size, grid.spacing_mm, length, mm) for length, mm in zip(shape, spacing_mm)
    )
    return _between(marks, rows, columns)


def _between(image: FloatArray, rows: Any, columns: Any) -> FloatArray:  # noqa: ANN401 - scipy
    """Apply a matrix along each axis."""
    across = np.ascontiguousarray((rows @ image).T)
    return np.ascontiguousarray((columns @ across).T)


@lru_cache(maxsize=16)
def _linear(length: int, spacing_mm: float, size: int, target_mm: float) -> Any:  # noqa: ANN401
    """Matrix of linear interpolation between two centred axes, shape (size, length)."""
    at = (np.arange(size) - (size - 1) / 2) * (target_mm / spacing_mm) + (length - 1) / 2
    row = np.flatnonzero((at >= 0) & (at <= length - 1))
    lower = np.minimum(np.floor(at[row]).astype(int), max(length - 2, 0))
    upper = np.minimum(lower + 1, length - 1)
    share = (at[row] - lower).astype(np.float32)
    places = np.tile(row, 2), np.concatenate([lower, upper])
    values = np.concatenate([1 - share, share])
    return sparse.csr_array((values, places), shape=(size, length))


@lru_cache(maxsize=16)
def _lowered(length: int, spacing_mm: float, size: int, target_mm: float) -> Any:  # noqa: ANN401
    """Matrix of the low-pass and the sampling after it, shape (size, length)."""
    linear = _linear(length, spacing_mm, size, target_mm)
    sigma = _sigma(spacing_mm, target_mm)
    if sigma == 0:
        return linear
    each = np.eye(length, dtype=np.float32)
    low_pass = ndimage.gaussian_filter1d(each, sigma, axis=0, mode="nearest")
    return sparse.csr_array(linear @ sparse.csr_array(low_pass))
