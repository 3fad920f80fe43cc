"""A CT volume in Hounsfield units with its place in the patient.

Axes are (slice, row, column). The affine maps (slice, row, column, 1) to patient coordinates in
millimetres, LPS (x to the left, y to the back, z to the head), as DICOM PS3.3 C.7.6.2.1.1 has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from osteoscreen.errors import GeometryError, InputError, RefusalCode

FloatArray = NDArray[np.float32]
Affine = NDArray[np.float64]
ScalarT = TypeVar("ScalarT", bound=np.generic)

AXIAL_TOLERANCE_DEG = 30.0
"""Largest angle between the slice normal and the patient's long axis that still counts as axial.
The disc planes of a lordotic spine reach about this angle to the table; beyond it the stack is
closer to a coronal or sagittal one."""

MAX_VOXELS = 2**30
"""4 GiB as float32: a 512 x 512 series of 4096 slices."""

FAT_BELOW_HU, TISSUE_ABOVE_HU = -30.0, -200.0
"""Every CT of a body holds fat or air, below -30 HU, and tissue above -200 HU. A field of view
inside the body need not hold air; grey values and unrescaled ones, which begin at 0, hold
neither."""

METAL_BELOW_HU = 40_000.0
"""The extended CT scale of metal ends near 31,000 HU (14 to 16 bits stored); above this, signed
values were read as unsigned ones (-1000 becomes 64,536)."""


@dataclass(frozen=True, eq=False)
class Volume:
    """CT in HU and its geometry; both arrays are frozen when built.

    Args:
        hu: Hounsfield units, axes (slice, row, column), stored as float32.
        affine: 4x4, index (slice, row, column, 1) to LPS millimetres. For a single slice the
            first column holds the slice normal times its thickness.
    Raises:
        GeometryError: If ``hu`` is not three-dimensional or ``affine`` is not an invertible,
            finite 4x4 matrix.
    """

    hu: FloatArray
    affine: Affine

    def __post_init__(self) -> None:
        hu = np.array(self.hu, dtype=np.float32, copy=self.hu.flags.writeable)
        affine = np.array(self.affine, dtype=np.float64)
        if hu.ndim != 3 or 0 in hu.shape:
            raise GeometryError(
                RefusalCode.NO_GEOMETRY, f"a volume needs three non-empty axes, got {hu.shape}"
            )
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError(
                RefusalCode.NO_GEOMETRY, "the affine must be a finite 4x4 matrix, got another"
            )
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise GeometryError(RefusalCode.NO_GEOMETRY, "the affine must be invertible, it is not")
        hu.flags.writeable = False
        affine.flags.writeable = False
        object.__setattr__(self, "hu", hu)
        object.__setattr__(self, "affine", affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along (slice, row, column), in mm."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def slice_positions_mm(self) -> NDArray[np.float64]:
        """LPS z of the centre of each slice, in mm; shape (slices,)."""
        slices, rows, columns = self.hu.shape
        middle = np.array([0.0, (rows - 1) / 2, (columns - 1) / 2, 1.0])
        return np.asarray(
            (self.affine @ middle)[2] + self.affine[2, 0] * np.arange(slices), dtype=np.float64
        )

    @property
    def tilt_deg(self) -> float:
        """Angle between the normal of the slice plane and the patient's long axis, 0 to 90."""
        return tilt_deg(self.affine)


def tilt_deg(affine: Affine) -> float:
    """Angle between the normal of the slice plane and the patient's long axis, 0 to 90.

    Args:
        affine: 4x4, index (slice, row, column, 1) to LPS millimetres.
    """
    normal = np.cross(affine[:3, 2], affine[:3, 1])
    cosine = abs(normal[2]) / np.linalg.norm(normal)
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def check_size(shape: tuple[float, ...], source: Path | None = None) -> None:
    """Refuse, before any is held, more voxels than this version reads.

    Args:
        shape: Length of each axis, as a float where it may be beyond any integer.
        source: File or folder that the error names.
    Raises:
        InputError: TOO_LARGE.
    """
    if math.prod(map(float, shape)) > MAX_VOXELS:
        lengths = " x ".join(f"{length:.0f}" for length in shape)
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"a volume must not have more than {MAX_VOXELS} voxels, got {lengths}",
            source,
        )


def check_hounsfield(hu: NDArray[np.floating]) -> None:
    """Refuse values that cannot be Hounsfield units of a CT image.

    Args:
        hu: Values said to be HU, any shape, not empty.
    Raises:
        InputError: If a value is not finite, the lowest one is above -30, the highest one is
            below -200, or above 40,000.
    """
    lowest, highest = float(hu.min()), float(hu.max())
    if not np.isfinite([lowest, highest]).all():
        raise InputError(RefusalCode.NOT_HU, "values must be finite HU, got infinity or NaN")
    if lowest > FAT_BELOW_HU or not TISSUE_ABOVE_HU <= highest <= METAL_BELOW_HU:
        raise InputError(
            RefusalCode.NOT_HU,
            f"values must be HU, with fat or air below {FAT_BELOW_HU:g} and tissue above "
            f"{TISSUE_ABOVE_HU:g}, got {lowest:g} to {highest:g}",
        )


OUTSIDE_HU = -1024.0
"""What fills the corners that a straightened stack leaves empty: air on the 12-bit CT scale."""

MAX_SHEAR_DEG = 30.0
"""Largest tilt of a gantry that is straightened: scanners tilt up to 30 degrees."""

SQUARE_TOLERANCE_DEG = 1.0
"""As far as a header's rounding may turn an axis; a gantry tilt is several degrees."""


@dataclass(frozen=True, eq=False)
class Reorientation:
    """An exact change of axes: a permutation, flips, then whole-pixel moves; no value is changed.

    Args:
        axes: For each axis of the standing volume, the axis of the input that it comes from.
        flips: For each axis of the standing volume, whether it runs against the input's.
        moves: For each slice, rows and columns by which it moves; none for a square stack.
        shear_deg: How far the stack leaned from the normal of its slices.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    moves: tuple[tuple[int, int], ...] = ()
    shear_deg: float = 0.0

    def apply(self, array: NDArray[ScalarT], *, outside: float = 0) -> NDArray[ScalarT]:
        """Turn an array on the input's grid into one on the standing grid.

        Args:
            array: On the input's grid.
            outside: Value of what no slice covers once a leaning stack is straight.
        """
        standing = array.transpose(self.axes)
        standing = standing[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        if not self.moves:
            return standing
        slices, rows, columns = standing.shape
        more_rows, more_columns = np.max(self.moves, axis=0)
        straight = np.full(
            (slices, rows + more_rows, columns + more_columns), outside, standing.dtype
        )
        for plane, moved, (down, right) in zip(standing, straight, self.moves):
            moved[down : down + rows, right : right + columns] = plane
        return straight

    def undo(self, array: NDArray[ScalarT]) -> NDArray[ScalarT]:
        """Turn an array on the standing grid back into one on the input's grid."""
        if self.moves:
            more_rows, more_columns = np.max(self.moves, axis=0)
            rows, columns = array.shape[1] - more_rows, array.shape[2] - more_columns
            planes = [
                plane[down : down + rows, right : right + columns]
                for plane, (down, right) in zip(array, self.moves)
            ]
            array = np.stack(planes)
        unflipped = array[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        return unflipped.transpose(np.argsort(self.axes))


def stand(volume: Volume) -> tuple[Volume, Reorientation]:
    """Turn a volume so that slices rise to the head, rows run to the back, columns to the left.

    Whole axes are exchanged and reversed. A stack that leans, as a tilted gantry makes it, is
    straightened: its slices move by whole pixels until they rise along their normal, to half a
    pixel. No value changes.

    Args:
        volume: CT in HU, axes in any order.
    Returns: The standing volume and the reorientation that leads back to the input's grid.
    Raises:
        GeometryError: NEED_AXIAL if the axes cannot be matched to the body's, or the slices of the
            standing volume are more than 30 degrees away from axial; GANTRY_TILT if rows and
            columns are not square, or the stack leans by more than 30 degrees.
        InputError: TOO_LARGE if straightening would spread the stack over too many voxels.
    """
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    nearest = np.abs(directions).argmax(axis=0)
    if sorted(nearest) != [0, 1, 2]:
        raise GeometryError(
            RefusalCode.NEED_AXIAL, "the volume axes must lie near the body axes, they are oblique"
        )
    axes = tuple(int(np.flatnonzero(nearest == body_axis)[0]) for body_axis in (2, 1, 0))
    flips = tuple(bool(directions[body, axis] < 0) for body, axis in zip((2, 1, 0), axes))
    affine = volume.affine.copy()
    affine[:, :3] = volume.affine[:, list(axes)]
    for axis, flip in enumerate(flips):
        if flip:
            length = volume.hu.shape[axes[axis]]
            affine[:, 3] += (length - 1) * affine[:, axis]
            affine[:, axis] *= -1
    _check_axial(affine)
    shear_deg = _shear_deg(affine)
    moves: tuple[tuple[int, int], ...] = ()
    if shear_deg > SQUARE_TOLERANCE_DEG:
        slices, rows, columns = (volume.hu.shape[axis] for axis in axes)
        affine, moves = _straighten(affine, (slices, rows, columns))
    reorientation = Reorientation(
        (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]), moves, shear_deg
    )
    hu = reorientation.apply(volume.hu, outside=OUTSIDE_HU)
    hu.flags.writeable = False  # so that Volume takes it without a copy
    return Volume(hu, affine), reorientation


def _check_axial(affine: Affine) -> None:
    tilt = tilt_deg(affine)
    if tilt > AXIAL_TOLERANCE_DEG:
        raise GeometryError(
            RefusalCode.NEED_AXIAL,
            f"slices must be within {AXIAL_TOLERANCE_DEG:g} degrees of axial, got {tilt:.0f}",
        )


def _shear_deg(affine: Affine) -> float:
    """Angle between a stack and the normal of its slices; refuse what no gantry does."""
    rise, down, right = (affine[:3, axis] / np.linalg.norm(affine[:3, axis]) for axis in range(3))
    askew = float(np.degrees(np.arcsin(min(abs(float(down @ right)), 1.0))))
    if askew > SQUARE_TOLERANCE_DEG:
        raise GeometryError(
            RefusalCode.GANTRY_TILT,
            f"rows and columns must be square to each other to {SQUARE_TOLERANCE_DEG:g} degree, "
            f"got {askew:.1f} off",
        )
    normal = np.cross(right, down)
    cosine = float(abs(rise @ normal) / np.linalg.norm(normal))
    shear = float(np.degrees(np.arccos(min(cosine, 1.0))))
    if shear > MAX_SHEAR_DEG:
        raise GeometryError(
            RefusalCode.GANTRY_TILT,
            f"a stack may lean by {MAX_SHEAR_DEG:g} degrees from the normal of its slices, "
            f"got {shear:.1f}",
        )
    return shear


def _straighten(
    affine: Affine, shape: tuple[int, int, int]
) -> tuple[Affine, tuple[tuple[int, int], ...]]:
    """Find the whole-pixel moves that let a stack rise along its normal, and its new affine."""
    rise, down, right = affine[:3, 0], affine[:3, 1], affine[:3, 2]
    # How many rows and columns each slice lies further on than the one below.
    drift = np.array([rise @ down / (down @ down), rise @ right / (right @ right)])
    spread = np.rint(np.arange(shape[0])[:, None] * drift)
    check_size((shape[0], *(np.ptp(spread, axis=0) + shape[1:])))
    lowest = spread.min(axis=0)
    moves = (spread - lowest).astype(int)
    straight = affine.copy()
    straight[:3, 0] = rise - drift[0] * down - drift[1] * right
    straight[:3, 3] += lowest[0] * down + lowest[1] * right
    return straight, tuple((int(row), int(column)) for row, column in moves)
