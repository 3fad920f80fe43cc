"""Vertebra marks as a DICOM Segmentation (PS3.3 section A.51), written; ``marked_slices`` reads it.

The object is BINARY: LABELMAP, which would be smaller, is refused by the toolkits and archives in
use today.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
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
from pydicom.uid import generate_uid

from osteoscreen.box import box_of
from osteoscreen.dicom.codes import ANATOMICAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE
from osteoscreen.dicom.instance import derived_uid
from osteoscreen.dicom.result_object import (
    MARKS,
    ResultSeries,
    date_as_study,
    identity,
    name_persons,
)
from osteoscreen.dicom.segment import NumberedSegments, Segment
from osteoscreen.dicom.source_image import name_frames, source_images


def write_segmentation(  # noqa: PLR0913 - one argument a fact of the object, four of them named
    marks: NumberedSegments,
    headers: Sequence[Dataset],
    path: Path,
    *,
    algorithm: str,
    version: str,
    series: ResultSeries = MARKS,
    series_uid: str | None = None,
    made: Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"] = "AUTOMATIC",
) -> Dataset | None:
    """Write vertebra marks as a DICOM Segmentation that points at its CT slices.

    Args:
        marks: Segments on the grid of the slices.
        headers: One dataset a slice, in the order of ``marks``.
        path: File to write.
        algorithm: Name of what made the marks.
        version: Its version.
        series: What its series is called.
        series_uid: Series of the segmentation; then every UID in it depends on this one only, and
            its time is that of the study, so that the same marks give the same bytes.
        made: How the marks were made: by our network, AUTOMATIC; in a way that is not known, since
            they were given, SEMIAUTOMATIC; by a person, or an exact drawing, MANUAL.
    Returns: The object as written; ``None``, and no file, where nothing is marked.
    """
    if not marks.labels.any():
        return None
    identification = AlgorithmIdentificationSequence(algorithm, ARTIFICIAL_INTELLIGENCE, version)
    kind = SegmentAlgorithmTypeValues(made)
    segmentation = Segmentation(
        source_images=source_images(headers),
        pixel_array=marks.labels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _description(number, segment, kind, identification)
            for number, segment in enumerate(marks.segments, start=1)
        ],
        manufacturer_model_name=algorithm,
        software_versions=version,
        content_label="VERTEBRA",
        content_description="Vertebra marks",
        **identity(series, series_uid or generate_uid()),
    )
    if marks.within is not None and marks.within.any():
        _add_within(segmentation, marks, headers)
    name_frames(segmentation, headers)
    name_persons(segmentation, headers[0])
    if series_uid:
        _fix_dimension_uid(segmentation, derived_uid(f"{series_uid}/dimensions"))
        date_as_study(segmentation)
    segmentation.save_as(path)
    return segmentation


def _description(
    number: int,
    segment: Segment,
    made: SegmentAlgorithmTypeValues,
    algorithm: AlgorithmIdentificationSequence,
) -> SegmentDescription:
    """Describe a segment; what a person or an exact drawing made has no algorithm.

    Marks that were given have the name of one only (PS3.3 C.8.20.2): its identification, which may
    be left out, would have to name a family (PS3.3 table 10-19), and theirs is not known.
    """
    kinds = SegmentAlgorithmTypeValues
    description = SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=ANATOMICAL_STRUCTURE,
        segmented_property_type=segment.kind,
        algorithm_type=made,
        algorithm_identification=None if made is kinds.MANUAL else algorithm,
        anatomic_regions=None if segment.region is None else [segment.region],
    )
    if made is kinds.SEMIAUTOMATIC:
        del description.SegmentationAlgorithmIdentificationSequence
    return description


def _add_within(
    segmentation: Segmentation, marks: NumberedSegments, headers: Sequence[Dataset]
) -> None:
    """Add the frames of segments that lie within those that are there.

    highdicom takes overlapping segments as one array a segment, which would fill the memory for a
    spine in thin slices. Here a frame is made from the one that it lies in: place and source are
    the same, the number and the pixels are its own.
    """
    assert marks.within is not None
    box = box_of(marks.within)
    assert box is not None
    in_plane = box[1:]
    at = {_place(header): index for index, header in enumerate(headers)}
    frames = list(segmentation.PerFrameFunctionalGroupsSequence)
    added: dict[int, list[tuple[Dataset, NDArray[np.bool_]]]] = {}
    for frame in frames:
        index = at[_place(frame.PlanePositionSequence[0])]
        outer = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        inside = marks.within[index][in_plane] * (marks.labels[index][in_plane] == outer)
        for number in {int(one) for one in np.flatnonzero(np.bincount(inside.ravel()))} - {0}:
            added.setdefault(number, []).append((_renumbered(frame, number), inside == number))
    inner = [one for number in sorted(added) for one in added[number]]
    segmentation.PixelData = _with_frames(
        segmentation.PixelData,
        len(frames) * marks.labels[0].size,
        (_whole(pixels, in_plane, marks.labels[0].shape) for _, pixels in inner),
    )
    segmentation.PerFrameFunctionalGroupsSequence = [*frames, *(frame for frame, _ in inner)]
    segmentation.NumberOfFrames = len(frames) + len(inner)
    segmentation.SegmentsOverlap = "YES"


def _whole(
    part: NDArray[np.bool_], box: tuple[slice, ...], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Lay the part of a frame that holds all its marks back on the frame."""
    frame = np.zeros(shape, bool)
    frame[box] = part
    return frame


def _with_frames(packed: bytes, bits: int, frames: Iterable[NDArray[np.bool_]]) -> bytes:
    """Append frames to pixels of one bit each, which fill bytes across frames (PS3.5 section 8.2).

    Args:
        packed: What is there, eight pixels a byte, the first in the lowest bit.
        bits: Pixels that are there.
        frames: To be appended.
    Returns: All pixels, an even number of bytes.
    """
    whole, over = divmod(bits, 8)
    begun = np.unpackbits(np.frombuffer(packed[whole : whole + 1], np.uint8), bitorder="little")
    rest, pieces = begun[:over].astype(bool), [packed[:whole]]
    for frame in frames:
        more = np.concatenate([rest, frame.ravel()])
        filled = len(more) // 8 * 8
        pieces.append(np.packbits(more[:filled], bitorder="little").tobytes())
        rest = more[filled:]
    pixels = b"".join([*pieces, np.packbits(rest, bitorder="little").tobytes()])
    return pixels + b"\0" * (len(pixels) % 2)


def _renumbered(frame: Dataset, number: int) -> Dataset:
    """Copy a frame for another segment."""
    copy = deepcopy(frame)
    copy.SegmentIdentificationSequence[0].ReferencedSegmentNumber = number
    content = copy.FrameContentSequence[0]
    content.DimensionIndexValues = [number, *content.DimensionIndexValues[1:]]
    return copy


def _place(plane: Dataset) -> tuple[float, ...]:
    """Position of a slice to a micrometre: it is copied from image to frame."""
    return tuple(round(float(value), 3) for value in plane.ImagePositionPatient)


def _fix_dimension_uid(segmentation: Segmentation, uid: str) -> None:
    """Replace the random UID of the dimension organisation, wherever it stands."""
    segmentation.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
    for index in segmentation.DimensionIndexSequence:
        index.DimensionOrganizationUID = uid
