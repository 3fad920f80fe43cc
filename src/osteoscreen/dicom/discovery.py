"""What lies on disk: DICOM files grouped into stacks, known by their headers only.

A series is one stack of parallel slices in most studies. Some hold more: a localizer, a reformat,
two reconstructions or two passes over the same place. Such a series is parted into its stacks, and
so are the frames of a multi-frame image.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from osteoscreen.dicom.contrast import contrast_of
from osteoscreen.dicom.eligibility import projection_words
from osteoscreen.dicom.frame import PER_FRAME, SHARED, Frame, frames_of
from osteoscreen.dicom.geometry import SAME_POSITION_MM
from osteoscreen.dicom.header import (
    MULTI_FRAME_CLASSES,
    is_dicom,
    number,
    numbers,
    read_header,
    text,
    words,
)
from osteoscreen.door import door
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.volume import AXIAL_TOLERANCE_DEG

logger = logging.getLogger(__name__)

GROUPING_KEYWORDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "Modality",
    "SeriesDescription",
    "BodyPartExamined",
    "ImageType",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "AcquisitionNumber",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "KVP",
    "SliceThickness",
    "Rows",
    "Columns",
    "NumberOfFrames",
)
FRAME_KEYWORDS = (*GROUPING_KEYWORDS, SHARED, PER_FRAME)
"""What tells the frames of a multi-frame CT apart. A segmentation has thousands of such groups, and
is no series to screen."""


@dataclass(frozen=True)
class SeriesFiles:
    """One stack of a series found on disk, known by its headers only.

    Args:
        series_uid: Series Instance UID; empty where the files have none.
        study_uid: Study Instance UID; empty where the files have none.
        modality: Modality of the first file, such as "CT".
        description: Series description; may be empty.
        frames: Its slices, sorted by file and frame.
        part: Number of the stack within its series, the largest one being 0.
        patients: The different Patient IDs.
        image_types: The different values of ImageType, in upper case.
        sop_classes: The different SOP Class UIDs.
        is_axial: Whether the first slice with an orientation is within 30 degrees of axial.
        body_part: Body Part Examined, in upper case; may be empty.
        kernel: Convolution kernel of the first slice; may be empty.
        thickness_mm: Slice thickness of the first slice; ``None`` where it is not told.
        has_contrast: Whether a contrast agent is recorded; ``None`` where no slice tells.
        length_mm: Distance of the outermost slices along their normal; 0 where it is not told.
        root: The path that was searched.
    """

    series_uid: str
    study_uid: str
    modality: str
    description: str
    frames: tuple[Frame, ...]
    part: int = 0
    patients: tuple[str, ...] = ()
    image_types: tuple[tuple[str, ...], ...] = ()
    sop_classes: tuple[str, ...] = ()
    is_axial: bool = True
    body_part: str = ""
    kernel: str = ""
    thickness_mm: float | None = None
    has_contrast: bool | None = None
    length_mm: float = 0.0
    root: Path = Path()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that its slices lie in."""
        return tuple(dict.fromkeys(frame.file for frame in self.frames))

    @property
    def key(self) -> str:
        """The series UID and the part, or a hash of where its files lie below the root."""
        if self.series_uid:
            return f"{self.series_uid} part {self.part + 1}" if self.part else self.series_uid
        paths = b"\n".join(os.fsencode(os.path.relpath(path, self.root)) for path in self.files)
        return hashlib.sha256(paths).hexdigest()[:16]


@dataclass(frozen=True)
class Discovery:
    """What a path holds: series, and files that look like DICOM but cannot be read."""

    series: tuple[SeriesFiles, ...]
    problems: tuple[InputError, ...]


Found = tuple[Frame, Dataset]


def find_series(path: Path, folders: Sequence[Path] = ()) -> Discovery:
    """Group the DICOM files of a path into series and their stacks, from headers only.

    Args:
        path: A file, or a folder that is searched with all its subfolders. Links are followed
            within it and never out of it. Files without a DICOM preamble are ignored unless they
            end in ``.dcm``. A DICOMDIR stands for the folder it
            lies in; what it lists is never followed.
        folders: Where given, only the files that lie in one of these, and not deeper, are looked
            at; the path is a folder that holds them all.
    Returns: The stacks, sorted by their first file, and a problem for each file that is unreadable
        and each series that met an error of ours.
    Raises:
        InputError: NO_INPUT if the path does not exist or holds nothing DICOM, NOT_DICOM if it is
            one file without the DICOM preamble; what ``read_header`` raises for one file.
    """
    if not path.exists():
        raise InputError(RefusalCode.NO_INPUT, "the path must exist, it does not", path)
    problems: list[InputError] = []
    header = _grouping_header(path) if path.is_file() else None
    if header is not None and not _is_directory(header):
        found = list(frames_of(path, header))
    else:
        found, problems = _read_folder(path if header is None else path.parent, folders)
    series: list[SeriesFiles] = []
    for key, group in _by_series(found).items():
        try:
            with door(group[0][0].file.parent):
                series += _parts_of(key, group)
        except InputError as problem:
            problems.append(problem)
    if not series and not problems:
        raise InputError(RefusalCode.NO_INPUT, "the path must hold DICOM images, got none", path)
    series.sort(key=lambda one: one.frames[0])
    return Discovery(tuple(replace(one, root=path) for one in series), tuple(problems))


def _read_folder(folder: Path, folders: Sequence[Path]) -> tuple[list[Found], list[InputError]]:
    """Read the headers of all files in a folder; what is wrong with one is told and not raised."""
    found: list[Found] = []
    problems: list[InputError] = []
    inside = chain.from_iterable(one.iterdir() for one in folders) if folders else folder.rglob("*")
    for file in sorted(one for one in inside if _may_be_file(one) or one.is_symlink()):
        try:
            with door(file):
                _check_link(file, folder)
                if _may_be_file(file) and (is_dicom(file) or file.suffix.lower() == ".dcm"):
                    found += list(frames_of(file, _grouping_header(file)))
                else:
                    logger.debug("ignored %s: no DICOM preamble", file)
        except InputError as problem:
            problems.append(problem)
    return found, problems


def _may_be_file(path: Path) -> bool:
    """Return whether it is a file, or that cannot be told: reading it tells the reason."""
    try:
        return path.is_file()
    except OSError:  # such as of a link into a folder that may not be read
        return True


def _check_link(file: Path, folder: Path) -> None:
    """Refuse a link that leads out of the folder: what it points to was not given."""
    if os.path.islink(file):  # noqa: PTH114 - false, and no error, where that cannot be told
        target = Path(os.path.realpath(file))
        if not target.is_relative_to(os.path.realpath(folder)):
            raise InputError(
                RefusalCode.UNSAFE_NAME,
                "a link must not lead out of the folder that was given, this one does",
                file,
            )


def _grouping_header(path: Path) -> Dataset:
    """Read what tells series apart; a header that breaks off before that is refused."""
    header = read_header(path, keywords=GROUPING_KEYWORDS)
    if text(header, "SOPClassUID") in MULTI_FRAME_CLASSES:
        header = read_header(path, keywords=FRAME_KEYWORDS)
    is_cut = "Rows" not in header and "StudyInstanceUID" not in header
    if not _is_directory(header) and ("Modality" not in header or is_cut):
        raise InputError(
            RefusalCode.TRUNCATED, "the DICOM header must be complete, it breaks off", path
        )
    return header


def _is_directory(header: Dataset) -> bool:
    return bool(header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage)


def _by_series(found: Iterable[Found]) -> dict[tuple[str, ...], list[Found]]:
    """Group by study and series; files without these also by folder and frame of reference."""
    groups: dict[tuple[str, ...], list[Found]] = {}
    for frame, header in found:
        if _is_directory(header):
            logger.debug("ignored %s: a DICOMDIR", frame.file)
            continue
        study, series = text(header, "StudyInstanceUID"), text(header, "SeriesInstanceUID")
        key: tuple[str, ...] = (study or "", series or "")
        if not study or not series:
            key += (str(frame.file.parent), text(header, "FrameOfReferenceUID") or "")
        groups.setdefault(key, []).append((frame, header))
    return groups


def _parts_of(key: tuple[str, ...], group: list[Found]) -> list[SeriesFiles]:
    """Describe each stack of a series."""
    return [
        replace(_series_files(key[0], key[1], stack), part=part)
        for part, stack in enumerate(_stacks(group))
    ]


def _stacks(group: list[Found]) -> list[list[Found]]:
    """Part a series into its stacks, the largest first."""
    if len(group) == 1:
        return [group]
    stacks = [
        stack
        for alike in _parted(group, _kind)
        for parallel in _parted_by_direction(alike)
        for stack in _parted_where_slices_collide(parallel)
    ]
    return sorted(stacks, key=len, reverse=True)


def _parted(group: Iterable[Found], of: Callable[[Dataset], Hashable]) -> list[list[Found]]:
    parts: dict[Hashable, list[Found]] = {}
    for frame, header in group:
        parts.setdefault(of(header), []).append((frame, header))
    return list(parts.values())


def _kind(header: Dataset) -> Hashable:
    """What slices of one stack share besides their direction: they are of one class and matrix."""
    return (
        text(header, "SOPClassUID"),
        bool(projection_words(words(header, "ImageType"))),
        number(header, "Rows"),
        number(header, "Columns"),
    )


OTHER_DIRECTION = 0.05
"""Direction cosines further apart than this, 3 degrees, are of another stack; what is nearer is a
stack that does not agree with itself, and is refused as such when it is read."""


def _parted_by_direction(group: list[Found]) -> list[list[Found]]:
    parts: list[tuple[NDArray[np.float64] | None, list[Found]]] = []
    for frame, header in group:
        found = numbers(header, "ImageOrientationPatient", 6)
        cosines = None if found is None else np.array(found)
        for known, part in parts:
            if _is_near(known, cosines):
                part.append((frame, header))
                break
        else:
            parts.append((cosines, [(frame, header)]))
    return [part for _, part in parts]


def _is_near(one: NDArray[np.float64] | None, other: NDArray[np.float64] | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.abs(one - other).max() <= OTHER_DIRECTION)


TELLING_APART: tuple[Callable[[Dataset], Hashable], ...] = (
    lambda header: text(header, "ConvolutionKernel"),
    lambda header: number(header, "AcquisitionNumber"),
    lambda header: number(header, "TemporalPositionIndex"),
    lambda header: text(header, "StackID"),
    lambda header: text(header, "ContrastBolusAgentPhase"),
    lambda header: words(header, "ImageType"),
    lambda header: number(header, "SliceThickness"),
    lambda header: number(header, "KVP"),
)
"""What tells two reconstructions or two passes apart, in the order in which it is asked."""


def _parted_where_slices_collide(group: list[Found]) -> list[list[Found]]:
    """Part slices that share a place by what tells them apart; as they are where nothing does."""
    if not _collides(group):
        return [group]
    for of in TELLING_APART:
        parts = _parted(group, of)
        if len(parts) > 1 and not any(_collides(part) for part in parts):
            return parts
    return [group]


def _collides(group: Sequence[Found]) -> bool:
    """Whether two different slices lie at one place; copies of one do not count."""
    unique = {
        (text(header, "SOPInstanceUID") or frame.file, frame.number): header
        for frame, header in group
    }
    heights = _heights(list(unique.values()))
    return bool((np.diff(np.sort(heights)) < SAME_POSITION_MM).any())


def _heights(headers: Sequence[Dataset]) -> NDArray[np.float64]:
    """Positions along the normal of the first slice, mm, of the slices that tell theirs."""
    cosines = next(
        (
            found
            for header in headers
            if (found := numbers(header, "ImageOrientationPatient", 6)) is not None
        ),
        None,
    )
    if cosines is None:
        return np.zeros(0)
    normal = np.cross(cosines[:3], cosines[3:])
    positions = (numbers(header, "ImagePositionPatient", 3) for header in headers)
    return np.array([np.dot(place, normal) for place in positions if place is not None])


def _series_files(study: str, series: str, group: list[Found]) -> SeriesFiles:
    headers = [header for _, header in group]
    first = headers[0]
    heights = _heights(headers)
    return SeriesFiles(
        series_uid=series,
        study_uid=study,
        modality=text(first, "Modality") or "",
        description=text(first, "SeriesDescription") or "",
        frames=tuple(frame for frame, _ in group),
        patients=tuple(sorted({text(header, "PatientID") or "" for header in headers})),
        image_types=tuple(sorted({words(header, "ImageType") for header in headers})),
        sop_classes=tuple(sorted({text(header, "SOPClassUID") or "" for header in headers})),
        is_axial=_is_axial(headers),
        body_part=(text(first, "BodyPartExamined") or "").upper(),
        kernel=text(first, "ConvolutionKernel") or "",
        thickness_mm=number(first, "SliceThickness"),
        has_contrast=contrast_of(headers),
        length_mm=float(np.ptp(heights)) if len(heights) else 0.0,
    )


def _is_axial(headers: Iterable[Dataset]) -> bool:
    for header in headers:
        cosines = numbers(header, "ImageOrientationPatient", 6)
        if cosines is not None:
            normal = np.cross(cosines[:3], cosines[3:])
            limit = np.cos(np.radians(AXIAL_TOLERANCE_DEG))
            return bool(abs(normal[2]) >= limit * np.linalg.norm(normal))
    return False
