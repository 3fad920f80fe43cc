"""Where CT slices lie: their order, their regularity and the affine of the stack.

Positions and orientations alone decide (PS3.3 section C.7.6.2); instance numbers, slice thickness
and spacing between slices never do. Doubt is a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from osteoscreen.dicom.header import number, numbers
from osteoscreen.errors import GeometryError, RefusalCode
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

GAP_STEPS = 1.5
"""A step longer than this many usual ones has room for a missing slice."""

SHEAR_TOLERANCE_DEG = 1.0
"""Largest angle between the stack and the slice normal; 1 degree shifts a vertebra 27 mm high by
half a millimetre."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice in LPS millimetres.

    Args:
        position: Centre of the first pixel.
        row_axis: Step from one row to the next, in mm.
        column_axis: Step from one column to the next, in mm.
        normal: Unit normal, from the column direction to the row direction.
        shape: Rows and columns.
        source: File that it comes from.
    """

    position: NDArray[np.float64]
    row_axis: NDArray[np.float64]
    column_axis: NDArray[np.float64]
    normal: NDArray[np.float64]
    shape: tuple[int, int]
    source: Path

    @property
    def height_mm(self) -> float:
        """Position along the slice's own normal."""
        return float(self.position @ self.normal)


def plane_of(header: Dataset, source: Path) -> Plane:
    """Read the plane of one slice.

    Raises:
        GeometryError: NO_GEOMETRY if position or orientation is missing or malformed,
            NO_SPACING if the pixel spacing is.
    """
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
        source=source,
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
        planes: Slices of one orientation, from lowest to highest.
        header: Of the first slice; its thickness counts where there is no other slice.
    Returns: 4x4, index (slice, row, column, 1) to LPS millimetres.
    Raises:
        GeometryError: DUPLICATE_SLICES, MISSING_SLICES or GANTRY_TILT; NO_SPACING for a single
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
        _check_steps(planes)
        slice_axis = (planes[-1].position - first.position) / (len(planes) - 1)
        _check_straight(planes, slice_axis)
    affine = np.eye(4)
    affine[:3] = np.stack([slice_axis, first.row_axis, first.column_axis, first.position], axis=1)
    return affine


def _check_steps(planes: Sequence[Plane]) -> None:
    heights = np.array([plane.position @ planes[0].normal for plane in planes])
    steps = np.diff(heights)
    usual = float(np.median(steps))
    for below, above, step in zip(planes, planes[1:], steps):
        if step < SAME_POSITION_MM:
            raise GeometryError(
                RefusalCode.DUPLICATE_SLICES,
                f"two slices must not share a position, {below.source.name} and "
                f"{above.source.name} both lie at {below.height_mm:.2f} mm",
                above.source.parent,
            )
    at = int(np.abs(steps - usual).argmax())
    if abs(steps[at] - usual) <= max(REGULAR_TOLERANCE * usual, ROUNDING_MM):
        return
    what = "a gap" if steps[at] > GAP_STEPS * usual else "a step"
    raise GeometryError(
        RefusalCode.MISSING_SLICES,
        f"slice spacing must be regular to 1 %, got {what} of {steps[at]:.2f} mm between "
        f"{heights[at]:.2f} and {heights[at + 1]:.2f} mm where {usual:.2f} mm is usual",
        planes[0].source.parent,
    )


def _check_straight(planes: Sequence[Plane], slice_axis: NDArray[np.float64]) -> None:
    first = planes[0]
    step = float(np.linalg.norm(slice_axis))
    cosine = float(slice_axis @ first.normal) / step
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    if angle > SHEAR_TOLERANCE_DEG:
        raise GeometryError(
            RefusalCode.GANTRY_TILT,
            f"the slices must be stacked along their normal to {SHEAR_TOLERANCE_DEG:g} degree, "
            f"got {angle:.1f} degrees",
            first.source.parent,
        )
    offsets = np.array([plane.position for plane in planes]) - first.position
    offsets -= np.arange(len(planes))[:, None] * slice_axis
    beside = np.linalg.norm(offsets - (offsets @ first.normal)[:, None] * first.normal, axis=1)
    at = int(beside.argmax())
    if beside[at] > max(REGULAR_TOLERANCE * step, 2 * ROUNDING_MM):
        raise GeometryError(
            RefusalCode.GANTRY_TILT,
            f"the slices must lie on one straight line, got one {beside[at]:.2f} mm beside it",
            planes[at].source,
        )
