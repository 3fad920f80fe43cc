"""Parallel projection and filtered back-projection on a coarse grid over the scan field.

Fine enough for what the physics of the beam does to an image (shading, streaks, where noise is
strong), far too coarse for the image itself, which is painted directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, sparse

from osteoscreen.phantom.field import Array, weigh

SCAN_FIELD_MM = 500.0
"""Diameter of the scanned circle of a whole-body scanner."""

WATER_PER_MM = 0.0193
"""Linear attenuation of water at 70 keV, the effective energy of 120 kVp (NIST, X-ray mass
attenuation coefficients: 0.193 cm2/g)."""

HALF_CIRCLE = np.pi

APERTURE = np.array([0.25, 0.5, 0.25], np.float32)
"""Weights of a detector bin and its neighbours."""


@dataclass(frozen=True, eq=False)
class Projector:
    """Parallel beams through a square grid that covers the scan field.

    Args:
        pixels: Rows and columns of the grid.
        angles_rad: Direction of the detector axis of each view, shape (views,).
        spread: Share of each pixel in each detector bin, shape (pixels^2, views * bins); two
            bins a view, by linear interpolation.
    """

    pixels: int
    angles_rad: NDArray[np.float64]
    spread: sparse.csr_array

    @property
    def pitch_mm(self) -> float:
        """Side of a pixel, and width of a detector bin."""
        return SCAN_FIELD_MM / self.pixels

    @property
    def bins(self) -> int:
        """Detector bins of one view."""
        return self.pixels + 2

    def bin_centres_mm(self) -> Array:
        """Distance of each bin from the middle of the beam, shape (bins,)."""
        steps = np.arange(self.bins, dtype=np.float32) - (self.bins - 1) / 2
        return np.asarray(steps * self.pitch_mm, dtype=np.float32)

    def project(self, per_mm: Array) -> Array:
        """Integrate attenuation along the rays.

        Args:
            per_mm: Linear attenuation, shape (pixels, pixels); outside the circle not seen.
        Returns: Line integrals, shape (views, bins).
        """
        rays = self.spread.T @ per_mm.ravel() * np.float32(self.pitch_mm)
        rays = rays.reshape(len(self.angles_rad), self.bins)
        # Each bin sees half of its neighbours: without it, pixels in line ripple near 45 degrees.
        return np.asarray(ndimage.convolve1d(rays, APERTURE, mode="constant"), dtype=np.float32)

    def back_project(self, rays: Array) -> Array:
        """Average over the views what each pixel's rays carry.

        Args:
            rays: Shape (views, bins).
        Returns: Shape (pixels, pixels); 0 outside the circle.
        """
        mean = self.spread @ rays.ravel() / np.float32(len(self.angles_rad))
        return np.asarray(mean.reshape(self.pixels, self.pixels), dtype=np.float32)

    def reconstruct(self, rays: Array) -> Array:
        """Reconstruct by filtered back-projection with a Hann window.

        Args:
            rays: Line integrals, shape (views, bins).
        Returns: Linear attenuation per mm, shape (pixels, pixels).
        """
        ramp = _ramp(self.bins)
        count = 2 * (len(ramp) - 1)
        spectrum = fft.rfft(rays, count, axis=1) * ramp
        filtered = fft.irfft(spectrum, count, axis=1)[:, : self.bins]
        return self.back_project(filtered.astype(np.float32)) * np.float32(
            HALF_CIRCLE / self.pitch_mm
        )


@lru_cache(maxsize=4)
def projector(pixels: int, views: int) -> Projector:
    """Build the projector of a geometry, once a process.

    Args:
        pixels: Rows and columns of the grid.
        views: Views over half a turn, the first with its detector along x.
    Returns: The projector; about 16 bytes a pixel and view.
    """
    angles = np.arange(views) * HALF_CIRCLE / views
    steps = np.arange(pixels) - (pixels - 1) / 2
    y, x = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    inside = np.flatnonzero(x**2 + y**2 <= (pixels / 2) ** 2)
    place = np.outer(x[inside], np.cos(angles)) + np.outer(y[inside], np.sin(angles))
    bins = pixels + 2
    place += (bins - 1) / 2  # (pixels inside, views)
    low = np.floor(place).astype(np.int32)
    share = (place - low).astype(np.float32)
    first = low + np.arange(views, dtype=np.int32) * bins
    columns = np.stack([first, first + 1], axis=2).reshape(-1)
    weights = np.stack([1 - share, share], axis=2).reshape(-1)
    entries = np.zeros(pixels**2 + 1, np.int32)
    entries[inside + 1] = 2 * views
    rows = np.cumsum(entries, dtype=np.int32)
    spread = sparse.csr_array((weights, columns, rows), shape=(pixels**2, views * bins))
    return Projector(pixels, angles, spread)


@lru_cache(maxsize=4)
def _ramp(bins: int) -> Array:
    """The ramp made in space (Kak and Slaney 1988, eq. 3.61: no offset), rolled off by Hann."""
    count = fft.next_fast_len(2 * bins, real=True)
    count += count % 2
    lag = np.minimum(np.arange(count), count - np.arange(count))
    odd = lag % 2 == 1
    kernel = np.zeros(count)
    kernel[0] = 0.25
    kernel[odd] = -1 / (np.pi * lag[odd]) ** 2
    window = 0.5 + 0.5 * np.cos(np.pi * np.arange(count // 2 + 1) / (count // 2))
    return np.asarray(fft.rfft(kernel).real * window, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class ScanGrid:
    """Where an image lies on the grid of the scan field.

    Args:
        along_y, along_x: Share of each image row or column in each grid row or column, shape
            (grid, image): sums over area.
        up_y, up_x: Weights of linear interpolation back, shape (image, grid).
    """

    along_y: sparse.csr_array
    along_x: sparse.csr_array
    up_y: sparse.csr_array
    up_x: sparse.csr_array

    def onto_grid(self, image: Array, outside: Array) -> Array:
        """Average an image over the pixels of the grid.

        Args:
            image: Shape (rows, columns).
            outside: What lies where the image does not reach, shape (grid, grid).
        Returns: Shape (grid, grid).
        """
        covered = np.outer(self.along_y.sum(1), self.along_x.sum(1))
        mean = weigh(self.along_y, image, self.along_x)
        return np.asarray(mean + (1 - covered) * outside, dtype=np.float32)

    def onto_image(self, grid: Array) -> Array:
        """Interpolate a grid at the pixels of the image; beyond the grid its edge goes on."""
        return weigh(self.up_y, grid, self.up_x)


def scan_grid(y_mm: Array, x_mm: Array, centre_mm: tuple[float, float], pixels: int) -> ScanGrid:
    """Lay an image into the scan field.

    Args:
        y_mm: Row coordinates, evenly spaced, rising, shape (rows,).
        x_mm: Column coordinates, shape (columns,).
        centre_mm: Coordinates (x, y) of the middle of the scan field.
        pixels: Rows and columns of the grid.
    Returns: The weights both ways.
    """
    pitch = SCAN_FIELD_MM / pixels
    y = (y_mm - centre_mm[1]) / pitch + pixels / 2  # in grid pixels, from the grid's edge
    x = (x_mm - centre_mm[0]) / pitch + pixels / 2
    return ScanGrid(
        _overlap(y, pixels), _overlap(x, pixels), _linear(y, pixels), _linear(x, pixels)
    )


def _overlap(at: Array, pixels: int) -> sparse.csr_array:
    """Share of every grid cell that each image pixel covers."""
    half = abs(float(at[1] - at[0])) / 2
    cells = np.arange(pixels)[:, None]
    covered = np.minimum(cells + 1, at + half) - np.maximum(cells, at - half)
    return sparse.csr_array(np.clip(covered, 0, None).astype(np.float32))


def _linear(at: Array, pixels: int) -> sparse.csr_array:
    """Weights of linear interpolation between the centres of the grid cells."""
    place = np.clip(at - 0.5, 0, pixels - 1)
    weights = np.clip(1 - np.abs(place[:, None] - np.arange(pixels)), 0, None)
    return sparse.csr_array(weights.astype(np.float32))
