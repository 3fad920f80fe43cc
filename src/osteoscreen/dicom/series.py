"""A CT series, read as one volume in HU."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from osteoscreen import texts
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
from osteoscreen.dicom.frame import Frame, frames_of
from osteoscreen.dicom.geometry import (
    SAME_POSITION_MM,
    Plane,
    check_parallel,
    longest_run,
    plane_of,
    stack_affine,
)
from osteoscreen.dicom.header import read_header
from osteoscreen.dicom.pixels import is_lossy, lossy_error_hu, read_hu, read_pixels
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.findings import Acquisition, Reservation, ReservationCode, Subject
from osteoscreen.volume import Volume, check_hounsfield, check_size

logger = logging.getLogger(__name__)

MAX_SLICES = 5000
"""A whole body in 0.4 mm slices; more than this are no one series."""


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

    Slices, files or frames, are ordered by their position along the slice normal, never by number.
    Each is converted by its own rescale slope and intercept. Copies of one file count once.

    Args:
        files: A series as found.
        salt: Mixed into the hash of the patient's ID.
    Returns: The series; nothing in it tells the patient's name or ID but ``headers``.
    Raises:
        InputError: If the files are no adult's CT in HU, or cannot be decoded.
        GeometryError: If position, orientation or spacing cannot be trusted.
    """
    if len(files.frames) > MAX_SLICES:
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"a series must not have more than {MAX_SLICES} slices, got {len(files.frames)}",
            files.files[0].parent,
        )
    slices = _read_headers(files)
    headers = {frame.source: header for frame, header in slices.items()}
    for source, header in headers.items():
        check_slice(header, source)
    check_one_source(headers)
    planes = [plane_of(header, frame) for frame, header in slices.items()]
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
        volume=Volume(_read_stack(run, ordered), affine),
        acquisition=acquisition,
        subject=subject_of(ordered[0], salt),
        headers=ordered,
        reservations=(
            *reservations_of(ordered, acquisition, _lossy_error_hu(ordered, run)),
            *_left_out(copies, gap),
        ),
        has_identifiers=has_identifiers(ordered),
    )


def _read_headers(files: SeriesFiles) -> dict[Frame, Dataset]:
    """Read the headers of the slices of a stack; other frames of its files are left out."""
    wanted = set(files.frames)
    return {
        frame: header
        for file in files.files
        for frame, header in frames_of(file, read_header(file))
        if frame in wanted
    }


def _without_copies(planes: Sequence[Plane]) -> list[Plane]:
    """Drop slices of files that repeat the bytes of another one; planes are sorted by height."""
    heights = np.array([plane.position @ planes[0].normal for plane in planes])
    is_near = np.diff(heights) < SAME_POSITION_MM
    has_neighbour = np.append(is_near, False) | np.append(False, is_near)
    digests = {
        file: hashlib.sha256(file.read_bytes()).digest()
        for file in {plane.frame.file for plane, is_so in zip(planes, has_neighbour) if is_so}
    }
    kept: list[Plane] = []
    seen: set[tuple[bytes, int]] = set()
    for plane, is_so in zip(planes, has_neighbour):
        if is_so:
            content = digests[plane.frame.file], plane.frame.index
            if content in seen:
                logger.info("dropped %s: a copy of another file", plane.source)
                continue
            seen.add(content)
        kept.append(plane)
    return kept


def _opened(frames: Mapping[int, Frame]) -> Iterator[tuple[int, Dataset]]:
    """Give each slice, by its number, the file that it lies in; each file is read once."""
    order = sorted(frames, key=lambda at: frames[at])
    for file, slices in groupby(order, key=lambda at: frames[at].file):
        instance = read_pixels(file)
        for at in slices:
            yield at, instance


def _lossy_error_hu(headers: Sequence[Dataset], planes: Sequence[Plane]) -> float | None:
    """Largest error of the slices that were compressed with loss; unknown if that of one is."""
    lossy = {at: planes[at].frame for at, header in enumerate(headers) if is_lossy(header)}
    errors = [lossy_error_hu(instance, headers[at], lossy[at]) for at, instance in _opened(lossy)]
    known = [error for error in errors if error is not None]
    return max(known) if known and len(known) == len(errors) else None


def _left_out(copies: int, gap: Reservation | None) -> Iterator[Reservation]:
    """Tell which files of a series were not used."""
    if copies:
        yield texts.reservation(ReservationCode.COPIES, count=copies)
    if gap is not None:
        yield gap


def _read_stack(planes: Sequence[Plane], headers: Sequence[Dataset]) -> NDArray[np.float32]:
    shape = (len(planes), *planes[0].shape)
    check_size(shape, planes[0].source.parent)
    hu = np.empty(shape, dtype=np.float32)
    frames = {at: plane.frame for at, plane in enumerate(planes)}
    for at, instance in _opened(frames):
        hu[at] = read_hu(instance, headers[at], frames[at])
    try:
        check_hounsfield(hu)
    except InputError as error:
        raise InputError(error.code, error.reason, planes[0].source.parent) from None
    hu.flags.writeable = False
    return hu
