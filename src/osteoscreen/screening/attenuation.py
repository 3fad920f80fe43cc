"""Trabecular attenuation: the mean HU of spongy bone inside a marked vertebral body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

RIM_MM = 4.0
"""Depth of the rim that is left out: cortex, and the blur of it. TotalSegmentator's spine report
erodes by as much."""
SMALLEST_REGION_MM2 = 100.0
"""A smaller region is no measurement: noise of a few pixels, and likely an endplate."""


def trabecular_hu(
    hu: NDArray[np.float32], body: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> float:
    """Return the mean attenuation of a vertebral body without its rim.

    Args:
        hu: One slice, shape (rows, columns).
        body: Mark of the vertebral body, same shape.
        spacing_mm: Pixel spacing (row, column).
    Returns: HU; nan where less than 100 mm2 is left of the body.
    """
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    if not len(rows):
        return float("nan")
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    depth_mm = ndimage.distance_transform_edt(np.pad(body[box], 1), sampling=spacing_mm)[1:-1, 1:-1]
    region = depth_mm > RIM_MM
    if region.sum() * spacing_mm[0] * spacing_mm[1] < SMALLEST_REGION_MM2:
        return float("nan")
    return float(hu[box][region].mean())
