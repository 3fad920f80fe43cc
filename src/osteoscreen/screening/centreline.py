"""The line along which the vertebral bodies lie, and how much of them lies across it.

The spine is bent, and a disc that is tilted lies in several axial slices, each of which shows
bodies as well: no slice shows the gap. Across the spine it shows. The line is laid through the
middle of the bodies, at each slice as the straight line that fits the slices near it best.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscreen.box import places_of

NEAR_MM = 25.0
"""How far slices count for the line at a slice, as the width of a bell: most of a vertebra."""
STIFF_MM2 = 25.0
"""A line through slices that spread less than this along the body is not tilted for them."""
SAMPLE_MM = 2.0
"""In-plane distance of the voxels that are looked at."""
ROUNDS = 4


def areas_across(
    body: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Measure the bodies in planes across the spine.

    Args:
        body: Mark of the bodies, shape (slices, rows, columns).
        spacing_mm: Spacing (slice, row, column).
    Returns: For each slice, mm2 of the bodies whose plane across the spine meets its middle line in
        that slice, shape (slices,); where the spine stands upright, the area of the mark.
    """
    strides = tuple(max(1, round(SAMPLE_MM / mm)) for mm in spacing_mm[1:])
    seen = body[:, :: strides[0], :: strides[1]]
    spacing = (spacing_mm[0], spacing_mm[1] * strides[0], spacing_mm[2] * strides[1])
    index = slices_across(places_of(seen), len(body), spacing)
    inside = index[(index >= 0) & (index < len(body))]
    return np.asarray(
        np.bincount(inside, minlength=len(body)) * spacing[1] * spacing[2], np.float64
    )


def slices_across(
    places: NDArray[np.int64], count: int, spacing_mm: tuple[float, float, float]
) -> NDArray[np.int64]:
    """Find where the plane across the spine through each voxel meets the middle line.

    Args:
        places: Voxels of the bodies, (slice, row, column) each.
        count: Slices of the volume.
        spacing_mm: Spacing (slice, row, column).
    Returns: Number of the slice, of each voxel; it may lie outside the volume.
    """
    if not len(places):
        return np.zeros(0, np.int64)
    points = places.astype(np.float64) * np.array(spacing_mm)
    height = np.arange(count, dtype=np.float64) * spacing_mm[0]
    middle, tilt = _line(points, height, spacing_mm[0])
    met = points[:, 0].copy()
    for _ in range(ROUNDS):  # the plane of a voxel hangs on where it meets the line
        at = [np.interp(met, height, values) for values in (*middle.T, *tilt.T)]
        there = points[:, 0] + at[2] * (points[:, 1] - at[0]) + at[3] * (points[:, 2] - at[1])
        met = (met + there) / 2
    return np.asarray(np.rint(met / spacing_mm[0]), np.int64)


def _line(
    points: NDArray[np.float64], height: NDArray[np.float64], step_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lay the line: its row and column at each slice, mm, and its tilt, mm a mm of height."""
    slices = np.rint(points[:, 0] / step_mm).astype(int)
    count = np.bincount(slices, minlength=len(height)).astype(np.float64)
    sums = [np.bincount(slices, points[:, axis], len(height)) for axis in (1, 2)]
    centre = np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]
    apart = height[None, :] - height[:, None]
    weight = count * np.exp(-(apart**2) / (2 * NEAR_MM**2))
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    mean_apart = (weight * apart).sum(axis=1)
    mean_centre = weight @ centre
    off = apart - mean_apart[:, None]
    variance = (weight * off**2).sum(axis=1)
    covariance = (weight * off) @ centre
    tilt = covariance / (variance + STIFF_MM2)[:, None]
    return mean_centre - tilt * mean_apart[:, None], tilt
