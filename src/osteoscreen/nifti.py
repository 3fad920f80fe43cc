"""NIfTI in and out: a CT volume in HU, and labels on its grid.

NIfTI stores (i, j, k) with an affine to RAS; a ``Volume`` is (slice, row, column) with an affine to
LPS. The axes are read in reverse, so that k becomes the slice, and nothing is flipped or resampled:
labels come back on the very grid, with the very affine, of the file that was read.
"""

from __future__ import annotations

import gzip
import zlib
from itertools import product
from pathlib import Path, PurePath
from typing import Any

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from osteoscreen.errors import GeometryError, InputError, RefusalCode
from osteoscreen.inflation import MAX_RATIO, is_bomb
from osteoscreen.volume import Affine, Volume, check_hounsfield, check_size, stand

MAX_VOXELS_PER_AXIS = 4096
"""Twice the largest CT matrix; the longest series of thin slices stays below as well."""

MAX_OFFSET_BYTES = 16 * 2**20
"""Where the voxels begin, at the latest: header extensions take kilobytes."""

GRID_TOLERANCE_MM = 0.1
"""How far corners of a mask may lie from those of its image. Affines are stored as float32, or as
quaternions: corners then agree to hundredths of a mm. A pixel of a CT is several times larger."""

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Left and back instead of right and front; its own inverse."""

SCANNER_SPACE = 1
"""NIFTI_XFORM_SCANNER_ANAT: the affine leads to the scanner's coordinates."""

HEADERS: tuple[Any, ...] = (nibabel.Nifti1Header, nibabel.Nifti2Header)
HEADER_BYTES = tuple(kind.sizeof_hdr for kind in HEADERS)
"""348 and 540: what tells the two versions apart (nifti1.h, nifti2.h, sizeof_hdr)."""

UNREADABLE = (
    ImageFileError, HeaderDataError, EOFError, OSError, OverflowError, ValueError, zlib.error
)  # fmt: skip
"""What gzip and nibabel raise on files that are no NIfTI or end too early."""

LEVEL_NUMBERS = {
    "T10": 17, "T11": 18, "T12": 19, "L1": 20, "L2": 21, "L3": 22, "L4": 23, "L5": 24, "L6": 25,
    "S1": 26,
}  # fmt: skip
"""Numbers of vertebrae in a label file, as VerSe has them (Sekuboyina et al., Med Image Anal
2021;73:102166): C1 is 1, T1 is 8, L1 is 20."""

NIFTI_SUFFIXES = (".nii", ".nii.gz")


def is_nifti(path: PurePath) -> bool:
    """Return whether the name is a NIfTI file's."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def read_nifti(path: Path) -> Volume:
    """Read a NIfTI file of CT values.

    Args:
        path: File ending in ``.nii`` or ``.nii.gz``.
    Returns: The volume, axes (k, j, i) of the file, affine to LPS.
    Raises:
        InputError: NO_INPUT if there is no file, UNSUPPORTED_FORMAT if it is no NIfTI volume of
            three axes and plain numbers, TOO_LARGE, TRUNCATED, or NOT_HU if the values are a label
            map, a picture or anything else.
        GeometryError: NO_GEOMETRY if neither the sform nor the qform is set, NO_SPACING if the
            units are not millimetres.
    """
    header = _read_header(path)
    _check_inflation(header, path)
    stored, affine = _read_voxels(header, path), _affine_of(header)
    try:
        check_hounsfield(stored)
        return Volume(stored.transpose(2, 1, 0), affine)
    except InputError as error:
        raise type(error)(error.code, error.reason, path) from None


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read a NIfTI file of labels.

    Args:
        path: File ending in ``.nii`` or ``.nii.gz``.
    Returns: Labels, axes (k, j, i) of the file, as ``read_nifti`` gives them.
    Raises:
        InputError: As ``read_nifti``; UNSUPPORTED_FORMAT if a value is no whole number from 0 to
            255.
    """
    stored = _read_voxels(_read_header(path), path)
    if not np.array_equal(stored, np.clip(np.rint(stored), 0, 255)):
        raise InputError(
            RefusalCode.UNSUPPORTED_FORMAT,
            f"labels must be whole numbers from 0 to 255, got {stored.min():g} to {stored.max():g}",
            path,
        )
    return stored.transpose(2, 1, 0).astype(np.uint8)


def read_labels_on(path: Path, standing: Volume) -> NDArray[np.uint8]:
    """Read a label file that was drawn on a volume, onto the volume's standing grid.

    Args:
        path: Label file; its axes may be stored in another order than the volume's.
        standing: The volume, standing.
    Returns: Labels of its shape.
    Raises:
        InputError: As ``read_labels``; MASK_MISMATCH if it lies on another grid.
    """
    shape = read_shape(path)
    is_larger = np.prod(shape, dtype=np.int64) > standing.hu.size  # not worth any memory
    if not is_larger:
        own, _ = stand(Volume(read_labels(path).astype(np.float32), read_affine(path)))
        shape = own.hu.shape
    if shape != standing.hu.shape:
        raise GeometryError(
            RefusalCode.MASK_MISMATCH,
            f"the mask must have the image's shape {standing.hu.shape}, got {shape}",
            path,
        )
    # Equal shapes are not enough: the mask may lie elsewhere in the patient.
    move = own.affine - standing.affine
    corners = np.array([*product(*((0, length - 1) for length in standing.hu.shape))])
    apart = np.linalg.norm(corners @ move[:3, :3].T + move[:3, 3], axis=1).max()
    if apart > GRID_TOLERANCE_MM:
        raise GeometryError(
            RefusalCode.MASK_MISMATCH,
            f"the mask must lie on the image's grid, got corners up to {apart:.1f} mm away",
            path,
        )
    return own.hu.astype(np.uint8)


def read_affine(path: Path) -> Affine:
    """Return where a NIfTI file lies: (k, j, i) of the file to LPS millimetres, 4x4.

    Raises:
        InputError: As ``read_labels``.
    """
    return _affine_of(_read_header(path))


def read_shape(path: Path) -> tuple[int, ...]:
    """Return the shape of a NIfTI file, axes (k, j, i), from its header.

    Raises:
        InputError: As ``read_labels``.
    """
    return tuple(int(length) for length in _read_header(path).get_data_shape()[::-1])


def _affine_of(header: nibabel.Nifti1Header) -> Affine:
    return np.asarray(RAS_TO_LPS @ header.get_best_affine()[:, [2, 1, 0, 3]], dtype=np.float64)


def _read_voxels(header: nibabel.Nifti1Header, path: Path) -> NDArray[np.float32]:
    """Read the voxels that a header tells of, axes (i, j, k), and no byte more."""
    try:
        return np.asarray(ArrayProxy(path, header), dtype=np.float32)
    except UNREADABLE as error:
        raise InputError(
            RefusalCode.TRUNCATED,
            f"the voxels must be complete, reading them ended in {type(error).__name__}",
            path,
        ) from None


def write_labels(labels: NDArray[np.uint8], volume: Volume, path: Path) -> None:
    """Write labels on the grid of a volume, so that they overlay the file it was read from.

    Args:
        labels: Axes as those of ``volume``.
        volume: The volume as it was read, not turned.
        path: File ending in ``.nii`` or ``.nii.gz``.
    Raises:
        ValueError: If the shapes differ.
    """
    if labels.shape != volume.hu.shape:
        raise ValueError(f"labels must have shape {volume.hu.shape}, got {labels.shape}")
    affine = to_ras(volume.affine)
    array = labels.astype(np.uint8).transpose(2, 1, 0)
    image: Any = nibabel.Nifti1Image(array, affine)
    image.set_sform(affine, code=SCANNER_SPACE)
    image.set_qform(affine, code=SCANNER_SPACE, strip_shears=True)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def to_ras(affine: Affine) -> Affine:
    """Turn an affine from (slice, row, column) to LPS into one from (i, j, k) to RAS."""
    return np.asarray(RAS_TO_LPS @ affine[:, [2, 1, 0, 3]], dtype=np.float64)


def _read_header(path: Path) -> nibabel.Nifti1Header:
    """Read the header alone, and refuse what is no CT volume of known geometry.

    What follows a header, its extensions, may inflate to anything and is never read.
    """
    if not path.is_file():
        raise InputError(RefusalCode.NO_INPUT, "the file must exist, it does not", path)
    try:
        with path.open("rb") as file:
            plain = gzip.GzipFile(fileobj=file) if _is_packed(path) else file
            content = plain.read(max(HEADER_BYTES))
        if len(content) < min(HEADER_BYTES):
            raise EOFError
        kind = next((kind for kind in HEADERS if kind.may_contain_header(content)), None)
        if kind is None:
            raise ImageFileError
        header: nibabel.Nifti1Header = kind(content[: kind.sizeof_hdr])
        offset = header.get_data_offset()
    except UNREADABLE as error:
        is_cut = isinstance(error, EOFError | zlib.error)
        code = RefusalCode.TRUNCATED if is_cut else RefusalCode.UNSUPPORTED_FORMAT
        raise InputError(
            code, f"the file must be NIfTI, opening it ended in {type(error).__name__}", path
        ) from None
    _check_header(header, offset, path)
    return header


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _check_header(header: nibabel.Nifti1Header, offset: int, path: Path) -> None:
    shape = header.get_data_shape()
    kind = header.get_data_dtype().kind
    unit = header.get_xyzt_units()[0]
    if len(shape) != 3 or kind not in "iuf":
        raise InputError(
            RefusalCode.UNSUPPORTED_FORMAT,
            f"the image must have three axes of plain numbers, got shape {shape}, kind {kind}",
            path,
        )
    if max(shape) > MAX_VOXELS_PER_AXIS:
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"the image must not have more than {MAX_VOXELS_PER_AXIS} voxels along an axis, "
            f"got {shape}",
            path,
        )
    check_size(shape, path)
    if offset > MAX_OFFSET_BYTES:
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"the voxels must begin within {MAX_OFFSET_BYTES} bytes, they do at {offset}",
            path,
        )
    if not header["sform_code"] and not header["qform_code"]:
        raise GeometryError(
            RefusalCode.NO_GEOMETRY, "the sform or the qform must be set, neither is", path
        )
    if unit not in ("mm", "unknown"):
        raise GeometryError(
            RefusalCode.NO_SPACING, f"spatial units must be millimetres, got {unit}", path
        )


def _check_inflation(header: nibabel.Nifti1Header, path: Path) -> None:
    """Refuse an image that claims more than a CT can; labels may shrink more than a hundredfold."""
    claimed = int(np.prod(header.get_data_shape(), dtype=np.int64))
    claimed *= header.get_data_dtype().itemsize
    if _is_packed(path) and is_bomb(claimed, path.stat().st_size):
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"an image must not inflate to more than {MAX_RATIO:g} times its size, this one does "
            f"to {claimed} bytes",
            path,
        )
