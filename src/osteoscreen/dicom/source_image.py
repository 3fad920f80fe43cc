"""The images that a DICOM result is made on, in the form that highdicom takes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
from pydicom.dataset import Dataset

from osteoscreen.dicom.frame import frame_number

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


def source_images(headers: Sequence[Dataset]) -> list[Dataset]:
    """Make the images for highdicom: the slices, or the one image that their frames would make.

    highdicom takes one multi-frame image, whole and of one orientation; a stack may be a part of
    one, or lie in several. What is missing or malformed in a header becomes empty.

    Args:
        headers: One dataset a slice.
    """
    if frame_number(headers[0]) is None:
        return [_source(header) for header in headers]
    image, shared = _source(headers[0]), Dataset()
    shared.PlaneOrientationSequence = PlaneOrientationSequence(
        "PATIENT", headers[0].ImageOrientationPatient
    )
    shared.PixelMeasuresSequence = PixelMeasuresSequence(
        headers[0].PixelSpacing, headers[0].get("SliceThickness")
    )
    image.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for header in headers:
        frame = Dataset()
        frame.PlanePositionSequence = PlanePositionSequence("PATIENT", header.ImagePositionPatient)
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = frames
    image.NumberOfFrames = len(frames)
    return [image]


def distinct_images(headers: Sequence[Dataset]) -> list[Dataset]:
    """List the images that slices come from, each once.

    Args:
        headers: One dataset a slice; frames of one image share it.
    Returns: The first in the form that highdicom takes patient and study from; of the others it
        reads UIDs only.
    """
    first, *others = {header.SOPInstanceUID: header for header in headers}.values()
    return [_source(first), *others]


def name_frames(segmentation: Dataset, headers: Sequence[Dataset]) -> None:
    """Point at the frames of multi-frame images themselves: highdicom counted those of the stack.

    Args:
        segmentation: Made on ``source_images(headers)``; changed in place.
        headers: One dataset a slice.
    """
    if frame_number(headers[0]) is None:
        return
    sources = {
        id(source): source  # highdicom lets the segments of one slice share it
        for frame in segmentation.PerFrameFunctionalGroupsSequence
        for derivation in frame.DerivationImageSequence
        for source in derivation.SourceImageSequence
    }
    for source in sources.values():
        header = headers[int(source.ReferencedFrameNumber) - 1]
        source.ReferencedSOPInstanceUID = header.SOPInstanceUID
        source.ReferencedFrameNumber = frame_number(header)
    images = {header.SOPInstanceUID: header.SOPClassUID for header in headers}
    references = []
    for identifier, sop_class in images.items():
        reference = Dataset()
        reference.ReferencedSOPClassUID = sop_class
        reference.ReferencedSOPInstanceUID = identifier
        references.append(reference)
    segmentation.SourceImageSequence = references
    segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence = references


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
