"""Where CT slices lie: their order, their regularity and the affine of the stack.

Positions and orientations alone decide (PS3.3 section C.7.6.2); instance numbers, slice thickness
and spacing between slices never do. Doubt is a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from osteoscreen import texts
from osteoscreen.dicom.frame import Frame
from osteoscreen.dicom.header import number, numbers
from osteoscreen.errors import GeometryError, RefusalCode
from osteoscreen.findings import Reservation, ReservationCode
from osteoscreen.volume import Affine

UNIT_TOLERANCE = 1e-2
"""Direction cosines with two decimals, the coarsest in use, miss unit length by up to 0.01."""

ORIENTATION_TOLERANCE = 1e-3
"""Direction cosines of one series agree to the last written digit; 0.001 is 0.06 degrees."""

SPACING_TOLERANCE = 1e-3
"""Relative; over 512 pixels it is half a pixel."""

REGULAR_TOLERANCE = 0.01
"""Largest relative deviation of a slice step."""

ROUNDING_MM = 0.05
"""Positions are rounded in headers, to 0.1 mm at the coarsest."""

SAME_POSITION_MM = 0.01
"""Slices nearer than this share a position: no scanner reconstructs every 10 micrometres."""

LEAST_PART = 0.5
"""Share of a stack that must be regular: of less, too much is unknown."""

GAP_STEPS = 1.5
"""A step longer than this many usual ones has room for a missing slice."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice in LPS millimetres.

    Args:
        position: Centre of the first pixel.
        row_axis: Step from one row to the next, in mm.
        column_axis: Step from one column to the next, in mm.
        normal: Unit normal, from the column direction to the row direction.
        shape: Rows and columns.
        frame: Where it is stored.
    """

    position: NDArray[np.float64]
    row_axis: NDArray[np.float64]
    column_axis: NDArray[np.float64]
    normal: NDArray[np.float64]
    shape: tuple[int, int]
    frame: Frame

    @property
    def source(self) -> Path:
        """Name for messages."""
        return self.frame.source

    @property
    def height_mm(self) -> float:
        """Position along the slice's own normal."""
        return float(self.position @ self.normal)


def plane_of(header: Dataset, frame: Frame) -> Plane:
    """Read the plane of one slice.

    Raises:
        GeometryError: NO_GEOMETRY if position or orientation is missing or malformed,
            NO_SPACING if the pixel spacing is.
    """
    source = frame.source
    position = numbers(header, "ImagePositionPatient", 3)
    cosines = numbers(header, "ImageOrientationPatient", 6)
    if position is None or cosines is None:
        raise GeometryError(
            RefusalCode.NO_GEOMETRY,
            "image position and orientation must be given as 3 and 6 numbers, they are not",
            source,
        )
    along_row, along_column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm([along_row, along_column], axis=1)
    if max(*np.abs(lengths - 1), abs(along_row @ along_column)) > UNIT_TOLERANCE:
        raise GeometryError(
            RefusalCode.NO_GEOMETRY,
            f"image orientation must be two perpendicular unit vectors, got {cosines}",
            source,
        )
    spacing = numbers(header, "PixelSpacing", 2)
    if spacing is None or min(spacing) <= 0:
        raise GeometryError(
            RefusalCode.NO_SPACING,
            f"pixel spacing must be two positive numbers, got {spacing}",
            source,
        )
    normal = np.cross(along_row, along_column)
    return Plane(
        position=np.array(position),
        row_axis=along_column * spacing[0],
        column_axis=along_row * spacing[1],
        normal=normal / np.linalg.norm(normal),
        shape=(int(header.Rows), int(header.Columns)),
        frame=frame,
    )


def check_parallel(planes: Sequence[Plane]) -> None:
    """Refuse slices that differ in orientation, size or pixel spacing (MIXED_ORIENTATION)."""
    first = planes[0]
    for plane in planes[1:]:
        axes = np.array([plane.row_axis, plane.column_axis])
        expected = np.array([first.row_axis, first.column_axis])
        lengths, expected_lengths = np.linalg.norm([axes, expected], axis=2)
        turned = np.abs(axes / lengths[:, None] - expected / expected_lengths[:, None]).max()
        resized = np.abs(lengths / expected_lengths - 1).max()
        if (
            plane.shape != first.shape
            or turned > ORIENTATION_TOLERANCE
            or resized > SPACING_TOLERANCE
        ):
            raise GeometryError(
                RefusalCode.MIXED_ORIENTATION,
                "the slices of a series must agree in orientation, size and pixel spacing, "
                f"this one differs from {first.source.name}",
                plane.source,
            )


def stack_affine(planes: Sequence[Plane], header: Dataset) -> Affine:
    """Place parallel slices, sorted by height, as one regular stack.

    Args:
        planes: Slices of one orientation, from lowest to highest, at regular steps.
        header: Of the first slice; its thickness counts where there is no other slice.
    Returns: 4x4, index (slice, row, column, 1) to LPS millimetres.
    Raises:
        GeometryError: GANTRY_TILT if the slices lie on no straight line; NO_SPACING for a single
            slice without a thickness.
    """
    first = planes[0]
    if len(planes) == 1:
        thickness = number(header, "SliceThickness")
        if thickness is None or thickness <= 0:
            raise GeometryError(
                RefusalCode.NO_SPACING,
                f"a single slice must have a positive thickness, got {thickness}",
                first.source,
            )
        slice_axis = first.normal * thickness
    else:
        slice_axis = (planes[-1].position - first.position) / (len(planes) - 1)
        _check_straight(planes, slice_axis)
    affine = np.eye(4)
    affine[:3] = np.stack([slice_axis, first.row_axis, first.column_axis, first.position], axis=1)
    return affine


def longest_run(planes: Sequence[Plane]) -> tuple[Sequence[Plane], Reservation | None]:
    """Return the longest part of a stack whose steps are regular, and what was left out.

    A missing slice, or a change of step, parts a stack; what lies beyond it is not used.

    Args:
        planes: Slices of one orientation, from lowest to highest.
    Returns: The part, and a reservation about the others, if there are any.
    Raises:
        GeometryError: DUPLICATE_SLICES if two slices share a position, MISSING_SLICES if no part
            holds half of the slices.
    """
    heights = np.array([plane.height_mm for plane in planes])
    steps = np.diff(heights)
    for below, above, step in zip(planes, planes[1:], steps):
        if step < SAME_POSITION_MM:
            raise GeometryError(
                RefusalCode.DUPLICATE_SLICES,
                f"two slices must not share a position, {below.source.name} and "
                f"{above.source.name} both lie at {below.height_mm:.2f} mm",
                above.source.parent,
            )
    if len(planes) < 2:
        return planes, None
    usual = float(np.median(steps))
    is_odd = np.abs(steps - usual) > max(REGULAR_TOLERANCE * usual, ROUNDING_MM)
    if not is_odd.any():
        return planes, None
    ends = [0, *(int(at) + 1 for at in np.flatnonzero(is_odd)), len(planes)]
    first, last = max(pairwise(ends), key=lambda part: part[1] - part[0])
    at = int(np.abs(steps - usual).argmax())
    what = texts.GAP if steps[at] > GAP_STEPS * usual else texts.STEP
    place = what.format(mm=steps[at], low=heights[at], high=heights[at + 1])
    if last - first < max(LEAST_PART * len(planes), 2):
        raise GeometryError(
            RefusalCode.MISSING_SLICES,
            f"slice spacing must be regular to 1 % in half of the stack at least, got {place} "
            f"where {usual:.2f} mm is usual",
            planes[0].source.parent,
        )
    count, left_out = len(planes), len(planes) - (last - first)
    gap = texts.reservation(ReservationCode.GAP, place=place, left_out=left_out, count=count)
    return planes[first:last], gap


def _check_straight(planes: Sequence[Plane], slice_axis: NDArray[np.float64]) -> None:
    first = planes[0]
    offsets = np.array([plane.position for plane in planes]) - first.position
    offsets -= np.arange(len(planes))[:, None] * slice_axis
    beside = np.linalg.norm(offsets - (offsets @ first.normal)[:, None] * first.normal, axis=1)
    at = int(beside.argmax())
    step = float(np.linalg.norm(slice_axis))
    if beside[at] > max(REGULAR_TOLERANCE * step, 2 * ROUNDING_MM):
        raise GeometryError(
            RefusalCode.GANTRY_TILT,
            f"the slices must lie on one straight line, got one {beside[at]:.2f} mm beside it",
            planes[at].source,
        )
