"""Trabecular attenuation: HU of the spongy bone inside a marked vertebral body.

The region is the body's mark without its rim (cortex, endplates, and the blur of both) and without
its back, where the basivertebral vein enters at mid-height.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.box import box_of

RIM_MM = 4.0
"""Depth of the rim that is left out: cortex, and the blur of it. TotalSegmentator's spine report
erodes by as much."""
SMALLEST_REGION_MM2 = 100.0
"""A smaller region is no measurement: noise of a few pixels, and likely an endplate."""
SMALLEST_REGION_MM3 = 500.0
"""The same of a whole vertebra; an intact lumbar one has some 8,000."""
FRONT_SHARE = 0.7
"""Share of the body's depth, from the front, that is measured: the basivertebral vein and its fat
lie behind."""
DENSE_HU = 500.0
"""Spongy bone stays below, cement and metal above; so do islands of compact bone."""


def trabecular_hu(
    hu: NDArray[np.float32], body: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> float:
    """Return the mean attenuation of a vertebral body in one slice, without its rim.

    Args:
        hu: One slice, shape (rows, columns).
        body: Mark of the vertebral body, same shape.
        spacing_mm: Pixel spacing (row, column).
    Returns: HU; nan where less than 100 mm2 is left of the body.
    """
    box = box_of(body)
    if box is None:
        return float("nan")
    depth_mm = ndimage.distance_transform_edt(np.pad(body[box], 1), sampling=spacing_mm)[1:-1, 1:-1]
    region = depth_mm > RIM_MM
    if region.sum() * spacing_mm[0] * spacing_mm[1] < SMALLEST_REGION_MM2:
        return float("nan")
    return float(hu[box][region].mean())


@dataclass(frozen=True)
class Measured:
    """Attenuation of one vertebra.

    Args:
        mean_hu, median_hu, spread_hu: Mean, median and standard deviation of the region.
        volume_mm3: Size of the region.
        dense_share: Share of the region above 500 HU.
    """

    mean_hu: float
    median_hu: float
    spread_hu: float
    volume_mm3: float
    dense_share: float


def measure_vertebra(
    hu: NDArray[np.float32], body: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> Measured | None:
    """Measure the spongy bone of one vertebra.

    Args:
        hu: Slices of the vertebra, rows running to the back; shape (slices, rows, columns).
        body: Mark of its body, same shape; what lies beyond the slices counts as outside.
        spacing_mm: Spacing (slice, row, column).
    Returns: The figures; ``None`` where less than 500 mm3 is left of the body.
    """
    region = trabecular_region(body, spacing_mm)
    volume_mm3 = float(region.sum() * np.prod(spacing_mm))
    if volume_mm3 < SMALLEST_REGION_MM3:
        return None
    values = hu[region].astype(np.float64)
    return Measured(
        mean_hu=float(values.mean()),
        median_hu=float(np.median(values)),
        spread_hu=float(values.std()),
        volume_mm3=volume_mm3,
        dense_share=float((values > DENSE_HU).mean()),
    )


def trabecular_region(
    body: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Take rim and back from the mark of a body.

    Args:
        body: Shape (slices, rows, columns), rows running to the back.
        spacing_mm: Spacing (slice, row, column).
    Returns: What is measured, same shape.
    """
    region = np.zeros_like(body)
    box = box_of(body)
    if box is None:
        return region
    own = np.pad(body[box], 1)
    inside = ndimage.distance_transform_edt(own, sampling=spacing_mm) > RIM_MM
    # A slice beside an endplate holds some of it, however thick it is.
    inside[1:-1] &= own[:-2] & own[2:]
    for plane, mark in zip(inside, own):
        rows = np.flatnonzero(mark.any(axis=1))
        if len(rows):
            plane[int(rows[0] + FRONT_SHARE * (rows[-1] + 1 - rows[0])) :] = False
    region[box] = inside[1:-1, 1:-1, 1:-1]
    return region
