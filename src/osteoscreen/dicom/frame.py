"""The slices of a DICOM file: the file itself, or the frames of a multi-frame CT image.

A multi-frame image says of its frames in functional groups (PS3.3 section C.7.6.16) what a CT slice
says in its header. Here each frame gets such a header, so that all that follows knows slices only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import LegacyConvertedEnhancedCTImageStorage

from osteoscreen.dicom.header import MULTI_FRAME_CLASSES, number, text, words
from osteoscreen.errors import InputError, RefusalCode

SHARED = "SharedFunctionalGroupsSequence"
PER_FRAME = "PerFrameFunctionalGroupsSequence"

GROUPS = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
    "CTImageFrameTypeSequence",
    "FrameContentSequence",
    "FrameAnatomySequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTXRayDetailsSequence",
    "CTExposureSequence",
    "CTReconstructionSequence",
)
"""Functional groups whose attributes a CT slice has in its header (PS3.3 sections A.38 and A.70);
a later one wins."""

SAID_BY_GROUPS = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
)
"""What holds for a frame only if its functional groups say it, whatever stands beside them."""


@dataclass(frozen=True, order=True)
class Frame:
    """Where a slice is stored.

    Args:
        file: DICOM file.
        number: Frame number, from 1; ``None`` where the file is one slice.
    """

    file: Path
    number: int | None = None

    @property
    def source(self) -> Path:
        """Name for messages; the frames of a file stand as if it were a folder."""
        return self.file if self.number is None else self.file / f"frame {self.number}"

    @property
    def index(self) -> int:
        """Position among the frames of the file, from 0."""
        return 0 if self.number is None else self.number - 1


def frames_of(file: Path, header: Dataset) -> Iterator[tuple[Frame, Dataset]]:
    """Split the header of a file into those of its slices.

    Args:
        file: DICOM file.
        header: All of it, or some root attributes with the functional groups.
    Returns: Each slice with its header. That of a frame has the SOP Instance UID of the image, and
        its own number as Referenced Frame Number.
    Raises:
        InputError: TRUNCATED if a multi-frame image has not as many functional groups as frames.
    """
    if text(header, "SOPClassUID") not in MULTI_FRAME_CLASSES:
        yield Frame(file), header
        return
    shared, per_frame = header.get(SHARED) or [], header.get(PER_FRAME) or []
    count = number(header, "NumberOfFrames")
    if not per_frame or count != len(per_frame):
        told = "an unknown number of" if count is None else f"{count:g}"
        raise InputError(
            RefusalCode.TRUNCATED,
            f"a multi-frame image must have functional groups of each of its {told} frames, got "
            f"{len(per_frame)}",
            file,
        )
    root = Dataset()
    root.update(header)
    root.file_meta = header.file_meta
    for keyword in (SHARED, PER_FRAME, "NumberOfFrames", *SAID_BY_GROUPS):
        root.pop(keyword, None)
    for index, own in enumerate(per_frame, start=1):
        yield Frame(file, index), _frame_header(root, [*shared[:1], own], index)


def frame_number(header: Dataset) -> int | None:
    """Number of the frame that a header is of; ``None`` for a file of one slice."""
    return _number(header, "SOPClassUID")


def slice_name(header: Dataset) -> str:
    """SOP Instance UID of a slice, with the number of its frame in a multi-frame image."""
    return _name(header.SOPInstanceUID, frame_number(header))


def referenced_slice(reference: Dataset) -> str:
    """Name of the slice that an item of a Source Image Sequence points at."""
    at = _number(reference, "ReferencedSOPClassUID")
    return _name(reference.ReferencedSOPInstanceUID, at)


def _number(dataset: Dataset, sop_class: str) -> int | None:
    """Frame number, where the class has frames."""
    if text(dataset, sop_class) not in MULTI_FRAME_CLASSES:
        return None
    found = number(dataset, "ReferencedFrameNumber")
    return None if found is None else int(found)


def _name(identifier: str, at: int | None) -> str:
    return str(identifier) if at is None else f"{identifier} frame {at}"


def _frame_header(root: Dataset, groups: Sequence[Dataset], index: int) -> Dataset:
    """Write the header that one frame would have as a slice of its own."""
    header = Dataset()
    header.update(root)
    header.file_meta = root.file_meta
    for keyword in GROUPS:
        for group in groups:
            for item in list(group.get(keyword) or [])[:1]:
                header.update(item)
    if "FrameType" in header:
        # A projection through the volume is told beside the frame type (C.8.16.2).
        computed = [
            one for one in words(header, "VolumeBasedCalculationTechnique") if one != "NONE"
        ]
        header.ImageType = [*words(header, "FrameType"), *computed]
    if "FrameAcquisitionNumber" in header:
        header.AcquisitionNumber = header.FrameAcquisitionNumber
    for region in header.get("AnatomicRegionSequence") or []:
        if "BodyPartExamined" not in header:
            header.BodyPartExamined = (text(region, "CodeMeaning") or "").upper()
    _settle_contrast(header, groups)
    header.ReferencedFrameNumber = index
    return header


def _settle_contrast(header: Dataset, groups: Sequence[Dataset]) -> None:
    """Say of one frame whether an agent was given, as far as the image tells."""
    usage = [item for group in groups for item in group.get("ContrastBolusUsageSequence") or []]
    phases = {text(item, "ContrastBolusAgentPhase") for item in usage} - {None}
    if len(phases) == 1:
        header.ContrastBolusAgentPhase = phases.pop()
    if usage and all(text(item, "ContrastBolusAgentAdministered") == "NO" for item in usage):
        header.pop("ContrastBolusAgentSequence", None)
        header.ContrastBolusAgent = "NONE"
    is_converted = header.SOPClassUID == LegacyConvertedEnhancedCTImageStorage
    if is_converted and text(header, "ContrastBolusAgent") is None:
        # A conversion writes the attribute, empty, where the slices had none (type 2, C.7.6.4).
        header.pop("ContrastBolusAgent", None)
