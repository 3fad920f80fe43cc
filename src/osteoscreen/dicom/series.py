"""CT series on disk: find them, choose one of a study, read it as a volume in HU."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, MediaStorageDirectoryStorage

from osteoscreen.dicom.acquisition import (
    acquisition_of,
    has_identifiers,
    reservations_of,
    subject_of,
)
from osteoscreen.dicom.eligibility import (
    CT_CLASSES,
    check_adult,
    check_one_source,
    check_slice,
    check_unique,
    projection_words,
)
from osteoscreen.dicom.geometry import (
    SAME_POSITION_MM,
    Plane,
    check_parallel,
    longest_run,
    plane_of,
    stack_affine,
)
from osteoscreen.dicom.header import is_dicom, numbers, read_header, text, words
from osteoscreen.dicom.pixels import read_hu
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.findings import Acquisition, Reservation, ReservationCode, Subject
from osteoscreen.volume import AXIAL_TOLERANCE_DEG, Volume, check_hounsfield

logger = logging.getLogger(__name__)

MAX_SLICES = 5000
"""A whole body in 0.4 mm slices; more files than this are no one series."""

MAX_VOXELS = 2**30
"""4 GiB as float32: a 512 x 512 series of 4096 slices."""

GROUPING_KEYWORDS = (
    "SOPClassUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "SeriesDescription",
    "ImageType",
    "ImageOrientationPatient",
    "Rows",
)


@dataclass(frozen=True)
class SeriesFiles:
    """One series found on disk, known by its headers only.

    Args:
        series_uid: Series Instance UID; empty where the files have none.
        study_uid: Study Instance UID; empty where the files have none.
        modality: Modality of the first file, such as "CT".
        description: Series description; may be empty.
        files: Its files, sorted by path.
        image_types: The different values of ImageType, in upper case.
        sop_classes: The different SOP Class UIDs.
        is_axial: Whether the first slice with an orientation is within 30 degrees of axial.
    """

    series_uid: str
    study_uid: str
    modality: str
    description: str
    files: tuple[Path, ...]
    image_types: tuple[tuple[str, ...], ...] = ()
    sop_classes: tuple[str, ...] = ()
    is_axial: bool = True

    @property
    def key(self) -> str:
        """The series UID, or a hash of the files' paths where there is none."""
        if self.series_uid:
            return self.series_uid
        paths = b"\n".join(os.fsencode(path.resolve()) for path in self.files)
        return hashlib.sha256(paths).hexdigest()[:16]


@dataclass(frozen=True)
class Discovery:
    """What a path holds: series, and files that look like DICOM but cannot be read."""

    series: tuple[SeriesFiles, ...]
    problems: tuple[InputError, ...]


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


def find_series(path: Path) -> Discovery:
    """Group the DICOM files of a path into series, from headers only.

    Args:
        path: A file, or a folder that is searched with all its subfolders. Files without a DICOM
            preamble are ignored unless they end in ``.dcm``; so is DICOMDIR.
    Returns: The series, sorted by their first file, and a problem for each unreadable file.
    Raises:
        InputError: NO_INPUT if the path does not exist or holds nothing DICOM, NOT_DICOM if it is
            one file without the DICOM preamble; what ``read_header`` raises for one file.
    """
    if not path.exists():
        raise InputError(RefusalCode.NO_INPUT, "the path must exist, it does not", path)
    found: list[tuple[Path, Dataset]] = []
    problems: list[InputError] = []
    if path.is_file():
        found.append((path, _grouping_header(path)))
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        try:
            if is_dicom(file) or file.suffix.lower() == ".dcm":
                found.append((file, _grouping_header(file)))
            else:
                logger.debug("ignored %s: no DICOM preamble", file)
        except InputError as problem:
            problems.append(problem)
    series = _group(found)
    if not series and not problems:
        raise InputError(RefusalCode.NO_INPUT, "the path must hold DICOM images, got none", path)
    return Discovery(series, tuple(problems))


def choose_series(
    found: Sequence[SeriesFiles],
) -> tuple[SeriesFiles | None, dict[str, str]]:
    """Choose the series of one study to screen: axial, original CT with the most slices.

    Args:
        found: The series of one study.
    Returns: The chosen series, or None, and for each other series, by ``key``, why it was skipped.
    """
    skipped: dict[str, str] = {}
    candidates: list[SeriesFiles] = []
    for series in found:
        reason = _unfit(series)
        if reason is None:
            candidates.append(series)
        else:
            skipped[series.key] = reason
    if not candidates:
        return None, skipped
    chosen = max(candidates, key=_preference)
    for series in candidates:
        if series is not chosen:
            skipped[series.key] = (
                f"another series was chosen: {_summary(chosen)}; this one has {_summary(series)}"
            )
    return chosen, skipped


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
    acquisition = acquisition_of(ordered)
    return CTSeries(
        volume=Volume(_read_stack(run), affine),
        acquisition=acquisition,
        subject=subject_of(ordered[0], salt),
        headers=ordered,
        reservations=(*reservations_of(ordered, acquisition), *_left_out(copies, gap)),
        has_identifiers=has_identifiers(ordered),
    )


def _grouping_header(path: Path) -> Dataset:
    """Read what tells series apart; a header that breaks off before that is refused."""
    header = read_header(path, keywords=GROUPING_KEYWORDS)
    is_directory = header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage
    is_cut = "Rows" not in header and "StudyInstanceUID" not in header
    if not is_directory and ("Modality" not in header or is_cut):
        raise InputError(
            RefusalCode.TRUNCATED, "the DICOM header must be complete, it breaks off", path
        )
    return header


def _group(found: Iterable[tuple[Path, Dataset]]) -> tuple[SeriesFiles, ...]:
    """Group by study and series; files without these also by folder and frame of reference."""
    groups: dict[tuple[str, ...], list[tuple[Path, Dataset]]] = {}
    for path, header in found:
        if header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
            logger.debug("ignored %s: a DICOMDIR", path)
            continue
        study, series = text(header, "StudyInstanceUID"), text(header, "SeriesInstanceUID")
        key: tuple[str, ...] = (study or "", series or "")
        if not study or not series:
            key += (str(path.parent), text(header, "FrameOfReferenceUID") or "")
        groups.setdefault(key, []).append((path, header))
    return tuple(_series_files(key[0], key[1], group) for key, group in groups.items())


def _series_files(study: str, series: str, group: list[tuple[Path, Dataset]]) -> SeriesFiles:
    headers = [header for _, header in group]
    return SeriesFiles(
        series_uid=series,
        study_uid=study,
        modality=text(headers[0], "Modality") or "",
        description=text(headers[0], "SeriesDescription") or "",
        files=tuple(path for path, _ in group),
        image_types=tuple(sorted({words(header, "ImageType") for header in headers})),
        sop_classes=tuple(sorted({text(header, "SOPClassUID") or "" for header in headers})),
        is_axial=_is_axial(headers),
    )


def _is_axial(headers: Iterable[Dataset]) -> bool:
    for header in headers:
        cosines = numbers(header, "ImageOrientationPatient", 6)
        if cosines is not None:
            normal = np.cross(cosines[:3], cosines[3:])
            limit = np.cos(np.radians(AXIAL_TOLERANCE_DEG))
            return bool(abs(normal[2]) >= limit * np.linalg.norm(normal))
    return False


def _unfit(series: SeriesFiles) -> str | None:
    """Why a series can never be screened, from what its headers say; None if it may be."""
    if series.modality != "CT":
        return f"modality {series.modality or 'unknown'}, not CT"
    other = [one for one in series.sop_classes if one not in ("", *CT_CLASSES)]
    if other:
        return f"{UID(other[0]).name}, not CT slices"
    for image_type in series.image_types:
        named = projection_words(image_type)
        if named:
            return f"image type {named[0]}, not CT slices"
    return None


def _preference(series: SeriesFiles) -> tuple[bool, bool, int, str]:
    return series.is_axial, _is_original(series), len(series.files), series.key


def _is_original(series: SeriesFiles) -> bool:
    return all(image_type[:1] == ("ORIGINAL",) for image_type in series.image_types)


def _summary(series: SeriesFiles) -> str:
    origin = "original" if _is_original(series) else "derived"
    return f"{len(series.files)} {origin} {'axial' if series.is_axial else 'non-axial'} slices"


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


def _left_out(copies: int, gap: str) -> Iterator[Reservation]:
    """Tell which files of a series were not used."""
    if copies:
        text = f"Copies of other files that were left out: {copies}."
        yield Reservation(code=ReservationCode.COPIES, text=text)
    if gap:
        yield Reservation(code=ReservationCode.GAP, text=gap)


def _read_stack(planes: Sequence[Plane]) -> NDArray[np.float32]:
    shape = (len(planes), *planes[0].shape)
    if np.prod(shape, dtype=np.int64) > MAX_VOXELS:
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"a series must not have more than {MAX_VOXELS} voxels, got {shape}",
            planes[0].source.parent,
        )
    hu = np.empty(shape, dtype=np.float32)
    for index, plane in enumerate(planes):
        hu[index] = read_hu(plane.source)
    try:
        check_hounsfield(hu)
    except InputError as error:
        raise InputError(error.code, error.reason, planes[0].source.parent) from None
    hu.flags.writeable = False
    return hu
