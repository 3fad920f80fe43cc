"""A CT series, read as one volume in HU."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from osteoscreen.dicom.acquisition import (
    acquisition_of,
    has_identifiers,
    reservations_of,
    subject_of,
)
from osteoscreen.dicom.discovery import SeriesFiles
from osteoscreen.dicom.eligibility import (
    check_adult,
    check_human,
    check_one_source,
    check_slice,
    check_unique,
)
from osteoscreen.dicom.geometry import (
    SAME_POSITION_MM,
    Plane,
    check_parallel,
    longest_run,
    plane_of,
    stack_affine,
)
from osteoscreen.dicom.header import read_header
from osteoscreen.dicom.pixels import is_lossy, lossy_error_hu, read_hu
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.findings import Acquisition, Reservation, ReservationCode, Subject
from osteoscreen.volume import Volume, check_hounsfield, check_size

logger = logging.getLogger(__name__)

MAX_SLICES = 5000
"""A whole body in 0.4 mm slices; more files than this are no one series."""


@dataclass(frozen=True, eq=False)
class CTSeries:
    """A CT series as read.

    Args:
        volume: HU with geometry; slices run along the slice normal.
        acquisition: How the scan was made.
        subject: Who was scanned, without identity.
        headers: One dataset a slice, in slice order, without pixels and private attributes.
        reservations: Reasons for caution.
        has_identifiers: Whether DICOM results can refer to these images.
    """

    volume: Volume
    acquisition: Acquisition
    subject: Subject
    headers: tuple[Dataset, ...]
    reservations: tuple[Reservation, ...]
    has_identifiers: bool


def read_series(files: SeriesFiles, *, salt: bytes = b"") -> CTSeries:
    """Read a CT series as one volume in HU, or refuse it.

    Slices are ordered by their position along the slice normal, never by instance number. Each
    slice is converted by its own rescale slope and intercept. Copies of one file count once.

    Args:
        files: A series as found.
        salt: Mixed into the hash of the patient's ID.
    Returns: The series; nothing in it tells the patient's name or ID but ``headers``.
    Raises:
        InputError: If the files are no adult's CT in HU, or cannot be decoded.
        GeometryError: If position, orientation or spacing cannot be trusted.
    """
    if len(files.files) > MAX_SLICES:
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"a series must not have more than {MAX_SLICES} files, got {len(files.files)}",
            files.files[0].parent,
        )
    headers = {path: read_header(path) for path in files.files}
    for path, header in headers.items():
        check_slice(header, path)
    check_one_source(headers)
    planes = [plane_of(header, path) for path, header in headers.items()]
    check_parallel(planes)
    unique = _without_copies(sorted(planes, key=lambda plane: plane.position @ planes[0].normal))
    check_unique({plane.source: headers[plane.source] for plane in unique})
    copies = len(planes) - len(unique)
    run, gap = longest_run(unique)
    ordered = tuple(headers[plane.source] for plane in run)
    affine = stack_affine(run, ordered[0])
    check_adult(ordered[0], run[0].source)
    check_human(ordered[0], run[0].source)
    acquisition = acquisition_of(ordered)
    return CTSeries(
        volume=Volume(_read_stack(run), affine),
        acquisition=acquisition,
        subject=subject_of(ordered[0], salt),
        headers=ordered,
        reservations=(
            *reservations_of(ordered, acquisition, _lossy_error_hu(ordered, run)),
            *_left_out(copies, gap),
        ),
        has_identifiers=has_identifiers(ordered),
    )


def _without_copies(planes: Sequence[Plane]) -> list[Plane]:
    """Drop files that repeat the bytes of another one at the same height; planes are sorted."""
    heights = np.array([plane.position @ planes[0].normal for plane in planes])
    is_near = np.diff(heights) < SAME_POSITION_MM
    kept: list[Plane] = []
    seen: set[bytes] = set()
    for plane, has_neighbour in zip(planes, np.append(is_near, False) | np.append(False, is_near)):
        digest = hashlib.sha256(plane.source.read_bytes()).digest() if has_neighbour else b""
        if digest in seen:
            logger.info("dropped %s: a copy of another file", plane.source)
            continue
        if digest:
            seen.add(digest)
        kept.append(plane)
    return kept


def _lossy_error_hu(headers: Sequence[Dataset], planes: Sequence[Plane]) -> float | None:
    """Largest error of the slices that were compressed with loss; unknown if that of one is."""
    errors = [
        lossy_error_hu(plane.source) for header, plane in zip(headers, planes) if is_lossy(header)
    ]
    known = [error for error in errors if error is not None]
    return max(known) if known and len(known) == len(errors) else None


def _left_out(copies: int, gap: str) -> Iterator[Reservation]:
    """Tell which files of a series were not used."""
    if copies:
        text = f"Copies of other files that were left out: {copies}."
        yield Reservation(code=ReservationCode.COPIES, text=text)
    if gap:
        yield Reservation(code=ReservationCode.GAP, text=gap)


def _read_stack(planes: Sequence[Plane]) -> NDArray[np.float32]:
    shape = (len(planes), *planes[0].shape)
    check_size(shape, planes[0].source.parent)
    hu = np.empty(shape, dtype=np.float32)
    for index, plane in enumerate(planes):
        hu[index] = read_hu(plane.source)
    try:
        check_hounsfield(hu)
    except InputError as error:
        raise InputError(error.code, error.reason, planes[0].source.parent) from None
    hu.flags.writeable = False
    return hu
