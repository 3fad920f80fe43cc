"""Smooth random fields that belong to a patient: the same value at the same place, in any slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

SPLINE_SD = float((151 / 315) ** 1.5)
"""Standard deviation of a cubic B-spline sum over a white 3-D lattice: the mean of the squared
spline values is 151/315 along each axis."""


@dataclass(frozen=True, eq=False)
class SmoothField:
    """A Gaussian field of zero mean and unit variance, by cubic B-splines on a random lattice.

    Args:
        lattice: Normal variates, axes (z, y, x).
        pitch_mm: Distance between lattice points; detail finer than this does not exist.
        origin_mm: Coordinates (z, y, x) of the first lattice point.
    """

    lattice: Array
    pitch_mm: float
    origin_mm: tuple[float, float, float]

    def plane(self, z_mm: float, y_mm: Array, x_mm: Array) -> Array:
        """Sample one axial plane on a rectangular grid.

        Args:
            z_mm: Height of the plane.
            y_mm: Row coordinates, shape (rows,).
            x_mm: Column coordinates, shape (columns,).
        Returns: Field values, shape (rows, columns). Outside the lattice the edge goes on.
        """
        depth, rows, columns = self.lattice.shape
        along_z = self._weights(np.array([z_mm], np.float32), self.origin_mm[0], depth)
        along_y = self._weights(y_mm, self.origin_mm[1], rows)
        along_x = self._weights(x_mm, self.origin_mm[2], columns)
        layers = self.lattice[along_z.indices] * along_z.data[:, None, None]  # (4, rows, columns)
        return weigh(along_y, layers.sum(axis=0), along_x) / np.float32(SPLINE_SD)

    def _weights(self, at_mm: Array, origin_mm: float, count: int) -> sparse.csr_array:
        position = np.clip((at_mm - origin_mm) / self.pitch_mm, 1.0, count - 2.001)
        cell = position.astype(np.int64)
        t = (position - cell).astype(np.float32)
        splines = np.stack(
            [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
        )
        near = cell[:, None] + np.arange(-1, 3)
        rows = np.arange(0, splines.size + 1, 4)
        shape = (len(at_mm), count)
        return sparse.csr_array(((splines / 6).ravel(), near.ravel(), rows), shape=shape)


def weigh(along_y: sparse.csr_array, values: Array, along_x: sparse.csr_array) -> Array:
    """Return weighted sums of an image along both axes.

    Sparse products run in one fixed order, where those of dense matrices depend on the number of
    threads: a patient has the same bytes on any number of cores.

    Args:
        along_y: Weights of the rows, float32, shape (new rows, rows).
        values: Float32, shape (rows, columns).
        along_x: Weights of the columns, float32, shape (new columns, columns).
    Returns: Float32, shape (new rows, new columns).
    """
    narrow = along_x @ np.ascontiguousarray(values.T)  # (new columns, rows)
    return np.asarray(along_y @ np.ascontiguousarray(narrow.T), dtype=np.float32)


def draw_field(
    rng: np.random.Generator, pitch_mm: float, half_size_mm: tuple[float, float, float]
) -> SmoothField:
    """Draw a field over a box around the origin.

    Args:
        rng: Source of the lattice.
        pitch_mm: Distance between lattice points; must be positive.
        half_size_mm: Half lengths (z, y, x) of the box, which lies inside the lattice.
    Returns: A field of zero mean and unit variance.
    """
    shape = tuple(int(np.ceil(2 * half / pitch_mm)) + 4 for half in half_size_mm)
    lattice = rng.standard_normal(shape, dtype=np.float32)
    origin = tuple(-(count - 1) / 2 * pitch_mm for count in shape)
    return SmoothField(lattice, pitch_mm, (origin[0], origin[1], origin[2]))
