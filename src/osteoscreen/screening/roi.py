"""From a slice and its mark to the roi that BCC-Net sees (paper, sections 2.2 and 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.screening.grid import IDENTITY, FloatArray, Grid, Pose, grey, sample, smooth

TEST_FILL = 0.9
"""Share of the roi that the vertebra's box fills in test: the middle of the paper's 0.8 to 1."""


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
    rows, columns = np.flatnonzero(mark.any(axis=1)), np.flatnonzero(mark.any(axis=0))
    if not len(rows):
        raise ValueError("a roi needs a mark, got an empty one")
    spacing = np.array(spacing_mm)
    low, high = np.array([rows[0], columns[0]]), np.array([rows[-1], columns[-1]])
    side_mm = float(((high - low + 1) * spacing).max()) / fill
    grid = Grid(settings.size, side_mm / settings.size)
    segmented = smooth(grey(hu, settings.window_hu) * mark, spacing_mm, grid.spacing_mm)
    middle_mm = ((low + high) / 2 - (np.array(hu.shape) - 1) / 2) * spacing + pose.shift_mm
    view = Pose(pose.rotation_deg, (float(middle_mm[0]), float(middle_mm[1])), pose.scale)
    return np.asarray(sample(segmented, spacing_mm, grid, pose=view, outside=0.0), np.float32)
