"""Vertebra marks as a DICOM Segmentation (PS3.3 section A.51), written and read.

The object is BINARY: LABELMAP, which would be smaller, is refused by the toolkits and archives in
use today.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage, generate_uid

from osteoscreen.dicom.codes import (
    ANATOMICAL_STRUCTURE,
    ARCH_OF_VERTEBRA,
    ARTIFICIAL_INTELLIGENCE,
    VERTEBRA,
    VERTEBRA_OF_LEVEL,
    VERTEBRAL_BODY,
)
from osteoscreen.dicom.header import numbers, read_instance, text
from osteoscreen.dicom.instance import derived_uid
from osteoscreen.dicom.pixels import DECODER_ERRORS
from osteoscreen.errors import InputError, RefusalCode


@dataclass(frozen=True)
class Segment:
    """What one number of the marks stands for.

    Args:
        label: Name for people.
        kind: Coded property type.
        region: Coded part of it that the segment covers; ``None`` for all.
    """

    label: str
    kind: Code
    region: Code | None = None


SEGMENTS = (
    Segment("Vertebral body", VERTEBRAL_BODY),
    Segment("Vertebra, other parts", VERTEBRA),
)
"""What marks without levels hold, segments 1 and 2."""


def body_segment(level: str) -> Segment:
    """Name the body of a vertebra, such as ``"L3"``; a level without a code is a vertebra."""
    return Segment(f"{level} body", VERTEBRA_OF_LEVEL.get(level, VERTEBRA), VERTEBRAL_BODY)


def rest_segment(level: str) -> Segment:
    """Name a vertebra without its body: pedicles, laminae and processes."""
    kind = VERTEBRA_OF_LEVEL.get(level, VERTEBRA)
    return Segment(f"{level} posterior elements", kind, ARCH_OF_VERTEBRA)


def number_segments(
    marks: NDArray[np.uint8], named: NDArray[np.uint8], names: Sequence[str]
) -> tuple[NDArray[np.uint8], tuple[Segment, ...]]:
    """Number bodies and other parts of named vertebrae as segments, those that are there.

    Args:
        marks: 1 body, 2 other parts; axes (slice, row, column).
        named: k + 1 for the vertebra ``names[k]``, 0 for none; same shape.
        names: Levels.
    Returns: Segment numbers, same shape, and the segments; marks without a name are the first two.
    """
    kinds = [(0, part) for part in (1, 2)]
    kinds += [(number, part) for number in range(len(names), 0, -1) for part in (1, 2)]
    labels, segments = np.zeros_like(marks), []
    for number, part in kinds:
        mine = (marks == part) & (named == number)
        if not mine.any():
            continue
        if number == 0:
            segments.append(SEGMENTS[part - 1])
        else:
            name = names[number - 1]
            segments.append(body_segment(name) if part == 1 else rest_segment(name))
        labels[mine] = len(segments)
    return labels, tuple(segments)


@dataclass(frozen=True)
class Meaning:
    """What a segment is, as far as its codes tell.

    Args:
        label: Name for people.
        level: Its vertebra, such as ``"L3"``; ``None`` if none is named.
        part: ``"body"``, ``"rest"`` or ``"whole"``; ``None`` if it is no vertebra.
    """

    label: str
    level: str | None
    part: Literal["body", "rest", "whole"] | None


SERIES_NUMBER = 9001
"""Above the numbers that scanners give."""


@dataclass(frozen=True, eq=False)
class MarkedSlices:
    """The frames of a segmentation, joined by source slice.

    Args:
        labels: Segment number of each pixel, 0 for none; axes (slice, row, column).
        positions: LPS millimetres of the first pixel of each slice; shape (slices, 3).
        sop_instance_uids: Source image of each slice; empty where the object names none.
        meanings: What each segment number stands for.
        grid: Direction cosines and pixel spacing that all frames share; ``None`` if they do not.
    """

    labels: NDArray[np.uint8]
    positions: NDArray[np.float64]
    sop_instance_uids: tuple[str, ...]
    meanings: Mapping[int, Meaning] = field(default_factory=dict)
    grid: tuple[float, ...] | None = None


def write_segmentation(  # noqa: PLR0913 - one argument a fact of the object, six of them named
    labels: NDArray[np.uint8],
    headers: Sequence[Dataset],
    path: Path,
    *,
    algorithm: str,
    version: str,
    segments: Sequence[Segment] = SEGMENTS,
    series_uid: str | None = None,
    manual: bool = False,
) -> bool:
    """Write vertebra marks as a DICOM Segmentation that points at its CT slices.

    Args:
        labels: Segment number of each pixel, 0 for none; axes (slice, row, column).
        headers: One dataset a slice, in the order of ``labels``.
        path: File to write.
        algorithm: Name of what made the marks.
        version: Its version.
        segments: What the numbers 1, 2 and so on stand for; by default the vertebral body and the
            rest of the vertebra.
        series_uid: Series of the segmentation; then every UID in it depends on this one only, and
            its time is that of the study, so that the same marks give the same bytes.
        manual: Whether a person, or an exact drawing, made the marks.
    Returns: Whether a file was written; without a single mark there is nothing to write.
    """
    if not labels.any():
        return False
    method = SegmentAlgorithmTypeValues.MANUAL if manual else SegmentAlgorithmTypeValues.AUTOMATIC
    identification = AlgorithmIdentificationSequence(algorithm, ARTIFICIAL_INTELLIGENCE, version)
    segmentation = Segmentation(
        source_images=[_source(header) for header in headers],
        pixel_array=labels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            SegmentDescription(
                segment_number=number,
                segment_label=segment.label,
                segmented_property_category=ANATOMICAL_STRUCTURE,
                segmented_property_type=segment.kind,
                algorithm_type=method,
                algorithm_identification=None if manual else identification,
                anatomic_regions=None if segment.region is None else [segment.region],
            )
            for number, segment in enumerate(segments, start=1)
        ],
        series_instance_uid=series_uid or generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derived_uid(f"{series_uid}/0") if series_uid else generate_uid(),
        instance_number=1,
        manufacturer="osteoscreen",
        manufacturer_model_name=algorithm,
        software_versions=version,
        device_serial_number="0",
        content_label="VERTEBRA",
        content_description="Vertebra marks",
    )
    segmentation.SeriesDescription = "Vertebra marks"
    if "PatientName" in headers[0]:
        segmentation.PatientName = headers[0].PatientName
    if series_uid:
        _fix_dimension_uid(segmentation, derived_uid(f"{series_uid}/dimensions"))
        _fix_times(segmentation)
    segmentation.save_as(path)
    return True


def read_segmentation(path: Path) -> MarkedSlices:
    """Read a binary DICOM Segmentation of CT slices.

    Returns: One label image a source slice, in the order in which the slices are first met.
    Raises:
        InputError: NOT_DICOM or TRUNCATED if the file cannot be read, UNSUPPORTED_FORMAT if it is
            no binary segmentation or its segments overlap.
    """
    instance = read_instance(path)
    kind = text(instance, "SegmentationType")
    if instance.get("SOPClassUID") != SegmentationStorage or kind != "BINARY":
        raise InputError(
            RefusalCode.UNSUPPORTED_FORMAT,
            f"the file must be a binary DICOM Segmentation, got type {kind}",
            path,
        )
    try:
        shared = instance.SharedFunctionalGroupsSequence[0]
        places = [_place(frame, shared) for frame in instance.PerFrameFunctionalGroupsSequence]
        meanings = {int(item.SegmentNumber): _meaning(item) for item in instance.SegmentSequence}
        pixels = instance.pixel_array.astype(bool)
        masks = pixels.reshape(len(places), int(instance.Rows), int(instance.Columns))
    except DECODER_ERRORS as error:
        raise InputError(
            RefusalCode.TRUNCATED,
            f"every frame must have a segment, a position and pixels, reading them ended in "
            f"{type(error).__name__}",
            path,
        ) from None
    grids = {place.grid for place in places}
    return replace(
        _join(places, masks, path),
        meanings=meanings,
        grid=next(iter(grids)) if len(grids) == 1 else None,
    )


PLACE_TOLERANCE_MM = 0.1
COSINE_TOLERANCE = 1e-3


def lay_on(
    marks: MarkedSlices, headers: Sequence[Dataset], source: Path | None = None
) -> NDArray[np.uint8]:
    """Lay the frames of a segmentation on the slices of the series that they were drawn on.

    Frames on slices that are not there, beyond a gap say, are left out.

    Args:
        marks: A segmentation as read.
        headers: One dataset a slice.
        source: File of the segmentation, for messages.
    Returns: Segment numbers, axes (slice, row, column), one slice a header, 0 without a frame.
    Raises:
        InputError: MASK_MISMATCH if no frame has a slice, or one lies on its slice in another
            size, place, direction or spacing.
    """
    shape = (len(headers), int(headers[0].Rows), int(headers[0].Columns))
    labels = np.zeros(shape, dtype=np.uint8)
    slices = {text(header, "SOPInstanceUID"): at for at, header in enumerate(headers)}
    found = 0
    for identifier, mark, position in zip(
        marks.sop_instance_uids, marks.labels, marks.positions, strict=True
    ):
        at = slices.get(identifier) if identifier else None
        if at is None:
            continue
        if mark.shape != shape[1:] or not _lies_on(headers[at], position, marks.grid):
            raise InputError(
                RefusalCode.MASK_MISMATCH,
                f"every frame must lie on its slice of {shape[1:]} pixels, one of "
                f"{mark.shape} does not in size, place, direction or spacing",
                source,
            )
        labels[at] = mark
        found += 1
    if not found:
        raise InputError(
            RefusalCode.MASK_MISMATCH,
            "frames of the segmentation must name slices of the series, none does",
            source,
        )
    return labels


def _lies_on(
    header: Dataset, position: NDArray[np.float64], grid: tuple[float, ...] | None
) -> bool:
    """Whether a frame lies where its slice does."""
    place = numbers(header, "ImagePositionPatient", 3)
    own = (
        numbers(header, "ImageOrientationPatient", 6),
        numbers(header, "PixelSpacing", 2),
    )
    if place is None or own[0] is None or own[1] is None or grid is None:
        return False
    is_near = np.abs(position - place).max() <= PLACE_TOLERANCE_MM
    return bool(is_near and np.abs(np.array(grid) - (*own[0], *own[1])).max() <= COSINE_TOLERANCE)


@dataclass(frozen=True)
class _Place:
    """Where a frame belongs: its segment, its source image and its position."""

    segment: int
    sop_instance_uid: str
    position: tuple[float, float, float]
    grid: tuple[float, ...]


DATE = r"(?!0000)\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
UNICODE = "ISO_IR 192"
"""Every name can be written in it; pydicom has decoded them from what they were written in."""

COPIED: tuple[tuple[str, str], ...] = (
    ("PatientName", r"(?!)"),
    ("PatientID", r".{1,64}"),
    ("PatientBirthDate", DATE),
    ("PatientSex", r"[MFO]"),
    ("AccessionNumber", r".{1,16}"),
    ("StudyID", r".{1,16}"),
    ("StudyDate", DATE),
    ("StudyTime", r"\d{2,6}(\.\d{1,6})?"),
    ("ReferringPhysicianName", r"(?!)"),
)
"""Attributes that a segmentation takes from its images (type 2: may be empty, PS3.3 C.7.1.1 and
C.7.2.1), with the form of a valid value. Names are left to the end: highdicom would quote an
unusual one in a warning."""


def _source(header: Dataset) -> Dataset:
    """Copy a header for highdicom: what is missing or malformed becomes empty."""
    source = Dataset()
    source.update(header)
    source.file_meta = header.file_meta
    source.pop("SpecificCharacterSet", None)
    source.SpecificCharacterSet = UNICODE
    for keyword, form in COPIED:
        value = str(source.get(keyword) or "")
        if not re.fullmatch(form, value):
            # The header shares its elements with the copy: a new one, or it would lose its value.
            source.pop(keyword, None)
            setattr(source, keyword, "")
    return source


LEVEL_OF_CODE = {code.value: level for level, code in VERTEBRA_OF_LEVEL.items() if level != "L6"}


def _meaning(item: Dataset) -> Meaning:
    """Read the codes of one segment (PS3.3 section C.8.20.2)."""
    kind = item.SegmentedPropertyTypeCodeSequence[0].CodeValue
    regions = {
        region.CodeValue
        for keyword in ("AnatomicRegionSequence", "SegmentedPropertyTypeModifierCodeSequence")
        for region in item.get(keyword, [])
    }
    part: Literal["body", "rest", "whole"] | None = None
    if VERTEBRAL_BODY.value in {kind, *regions}:
        part = "body"
    elif (
        ARCH_OF_VERTEBRA.value in {kind, *regions} or item.get("SegmentLabel") == SEGMENTS[1].label
    ):
        part = "rest"
    elif kind in LEVEL_OF_CODE or kind == VERTEBRA.value:
        part = "whole"
    levels = [LEVEL_OF_CODE[code] for code in (kind, *sorted(regions)) if code in LEVEL_OF_CODE]
    return Meaning(text(item, "SegmentLabel") or "", levels[0] if levels else None, part)


def _place(frame: Dataset, shared: Dataset) -> _Place:
    """Read the functional groups of one frame, its own or shared (PS3.3 section C.7.6.16)."""

    def group(keyword: str) -> Dataset:
        found: Dataset = (frame if keyword in frame else shared)[keyword][0]
        return found

    x, y, z = group("PlanePositionSequence").ImagePositionPatient
    source = ""
    for derivation in frame.get("DerivationImageSequence", []):
        for image in derivation.get("SourceImageSequence", []):
            source = source or str(image.ReferencedSOPInstanceUID)
    return _Place(
        segment=int(group("SegmentIdentificationSequence").ReferencedSegmentNumber),
        sop_instance_uid=source,
        position=(float(x), float(y), float(z)),
        grid=tuple(
            float(value)
            for value in (
                *group("PlaneOrientationSequence").ImageOrientationPatient,
                *group("PixelMeasuresSequence").PixelSpacing,
            )
        ),
    )


def _join(places: Sequence[_Place], masks: NDArray[np.bool_], path: Path) -> MarkedSlices:
    slices: dict[tuple[str, tuple[float, float, float]], NDArray[np.uint8]] = {}
    for place, mask in zip(places, masks, strict=True):
        key = (place.sop_instance_uid, place.position)
        labels = slices.setdefault(key, np.zeros(mask.shape, dtype=np.uint8))
        if labels[mask].any():
            raise InputError(
                RefusalCode.UNSUPPORTED_FORMAT,
                f"segments must not overlap, segment {place.segment} does",
                path,
            )
        labels[mask] = place.segment
    return MarkedSlices(
        labels=np.stack(list(slices.values())),
        positions=np.array([position for _, position in slices]),
        sop_instance_uids=tuple(identifier for identifier, _ in slices),
    )


def _fix_dimension_uid(segmentation: Segmentation, uid: str) -> None:
    """Replace the random UID of the dimension organisation, wherever it stands."""
    segmentation.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
    for index in segmentation.DimensionIndexSequence:
        index.DimensionOrganizationUID = uid


def _fix_times(segmentation: Segmentation) -> None:
    """Replace the time of writing, wherever highdicom puts it, by the time of the study."""
    if text(segmentation, "StudyDate") is not None:
        for content, study in (("ContentDate", "StudyDate"), ("ContentTime", "StudyTime")):
            setattr(segmentation, content, text(segmentation, study) or "000000")
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        delattr(segmentation, keyword)
    for equipment in segmentation.ContributingEquipmentSequence:
        if "ContributionDateTime" in equipment:
            del equipment.ContributionDateTime
