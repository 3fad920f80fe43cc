"""Whether a mask lies on the grid of its image, told from headers alone.

Reading every slice tells for certain; this tells soon, and for all rows at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteoscreen.cohort.manifest import Case
from osteoscreen.dicom.choice import choose_series
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.header import read_header
from osteoscreen.errors import InputError
from osteoscreen.nifti import GRID_TOLERANCE_MM, is_nifti, read_affine, read_shape


def mask_errors(folder: Path, cases: Mapping[int, Case]) -> list[str]:
    """Return every mask that does not lie on its image's grid, with row and column.

    Args:
        folder: What the paths of the cases are relative to.
        cases: By row of the manifest.
    """
    found = {number: grid_error(folder, case) for number, case in cases.items()}
    return [f"row {number}, column mask: {error}" for number, error in found.items() if error]


def grid_error(folder: Path, case: Case) -> str | None:
    """Return what is wrong with the grid of a case's mask.

    Args:
        folder: What the paths of the case are relative to.
        case: A row.
    Returns: A sentence; ``None`` where nothing is wrong, a file is missing, or the headers do not
        tell, as of contours.
    """
    image, mask = folder / case.image, folder / case.mask
    if not (case.mask and image.exists() and mask.exists()):
        return None
    try:
        if is_nifti(image) and is_nifti(mask):
            return _volume_error(image, mask)
        if is_nifti(image):
            return f"the mask of a volume file must be a volume file, got {mask.name}"
        return _dicom_error(image, mask)
    except InputError as error:
        return str(error)


def _volume_error(image: Path, mask: Path) -> str | None:
    one, other = (sorted(read_shape(path)) for path in (image, mask))
    if one != other:
        return f"the mask must have the image's shape {tuple(one)}, got {tuple(other)}"
    apart = float(np.abs(_box_mm(image) - _box_mm(mask)).max())
    if apart > GRID_TOLERANCE_MM:
        return f"the mask must lie on the image's grid, got corners up to {apart:.1f} mm away"
    return None


def _box_mm(path: Path) -> NDArray[np.float64]:
    """Return the least and the greatest coordinates of a file's voxels, whatever its axis order."""
    affine = read_affine(path)
    corners = np.array([*product(*((0, length - 1) for length in read_shape(path)))])
    places = corners @ affine[:3, :3].T + affine[:3, 3]
    return np.stack([places.min(axis=0), places.max(axis=0)])


def _dicom_error(image: Path, mask: Path) -> str | None:
    files = _series_of(image)
    one = _matrix(files[0]) if files else None
    if one is None:
        return None  # reading the image tells why
    if is_nifti(mask):
        shape, wanted = sorted(read_shape(mask)), sorted((len(files), *one))
        if shape != wanted:
            return f"the mask must have the image's shape {tuple(wanted)}, got {tuple(shape)}"
        return None
    other = _matrix(mask)
    if other is None or one == other:
        return None
    return f"the mask must have the image's matrix {one}, got {other}"


@lru_cache(maxsize=4)
def _series_of(image: Path) -> tuple[Path, ...]:
    """Return the files of the series that reading the image will choose."""
    if image.is_file():
        return (image,)
    chosen = choose_series(find_series(image).series).chosen
    return () if chosen is None else tuple(chosen.files)


@lru_cache(maxsize=4)
def _matrix(path: Path) -> tuple[int, int] | None:
    """Return rows and columns of a DICOM file; ``None`` if it has no pixels, as contours."""
    header = read_header(path, keywords=("Rows", "Columns"))
    rows, columns = header.get("Rows"), header.get("Columns")
    return None if rows is None or columns is None else (int(rows), int(columns))
