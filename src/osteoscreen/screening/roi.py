"""From a slice and its mark to the roi that BCC-Net sees (paper, sections 2.2 and 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.box import box_of
from osteoscreen.screening.grid import IDENTITY, FloatArray, Grid, Pose, grey, sample, smooth

TEST_FILL = 0.9
"""Share of the roi that the vertebra's box fills in test: the middle of the paper's 0.8 to 1."""

LOW_PASS_REACH = 2.0
"""The bell of the low-pass ends at four times its width, which is half the larger pixel at most."""


@dataclass(frozen=True)
class RoiSettings:
    """How a roi is cut.

    Args:
        size: Rows and columns of the roi; 224 in the paper.
        window_hu: Fixed window that becomes grey 0..255.
    """

    size: int = 224
    window_hu: tuple[float, float] = (-200.0, 1000.0)


def cut_roi(
    hu: FloatArray,
    mark: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
    settings: RoiSettings,
    *,
    fill: float = TEST_FILL,
    pose: Pose = IDENTITY,
) -> FloatArray:
    """Cut the segmented image to a square around the mark and resize it.

    Args:
        hu: One slice, shape (rows, columns).
        mark: The vertebra, same shape; outside it the grey is 0.
        spacing_mm: Pixel spacing (row, column).
        settings: Size and window.
        fill: Share of the square that the longer side of the mark's box fills.
        pose: Extra turn and shift for augmentation; its scale multiplies the magnification.
    Returns: Grey values 0..255, shape (settings.size, settings.size).
    Raises:
        ValueError: If the mark is empty.
    """
    box = box_of(mark)
    if box is None:
        raise ValueError("a roi needs a mark, got an empty one")
    side_mm = max((one.stop - one.start) * mm for one, mm in zip(box, spacing_mm)) / fill
    grid = Grid(settings.size, side_mm / settings.size)
    near = [
        _around(one, length, grid.spacing_mm / mm)
        for one, length, mm in zip(box, mark.shape, spacing_mm)
    ]
    part = near[0], near[1]
    segmented = smooth(grey(hu[part], settings.window_hu) * mark[part], spacing_mm, grid.spacing_mm)
    middle_mm = [
        (one.start + one.stop - around.start - around.stop) / 2 * mm + shift_mm
        for one, around, mm, shift_mm in zip(box, near, spacing_mm, pose.shift_mm)
    ]
    view = Pose(pose.rotation_deg, (middle_mm[0], middle_mm[1]), pose.scale)
    return np.asarray(sample(segmented, spacing_mm, grid, pose=view, outside=0.0), np.float32)


def _around(one: slice, length: int, growth: float) -> slice:
    """Take as much more of an axis as the low-pass reaches, by how much the pixels grow."""
    margin = int(LOW_PASS_REACH * growth) + 2  # rounded up, and one more that is 0
    return slice(max(one.start - margin, 0), min(one.stop + margin, length))
