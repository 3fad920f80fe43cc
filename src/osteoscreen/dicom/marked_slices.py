"""The slices that a DICOM Segmentation marks, read and laid on the series they were drawn on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from osteoscreen.dicom.frame import referenced_slice, slice_name
from osteoscreen.dicom.header import numbers, read_instance, text
from osteoscreen.dicom.pixels import DECODER_ERRORS
from osteoscreen.dicom.segment import Meaning, read_meaning
from osteoscreen.errors import InputError, RefusalCode

PLACE_TOLERANCE_MM = 0.1
COSINE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class MarkedSlices:
    """The frames of a segmentation, joined by source slice.

    Args:
        labels: Segment number of each pixel, 0 for none; axes (slice, row, column).
        positions: LPS millimetres of the first pixel of each slice; shape (slices, 3).
        sources: Name of the source of each slice, as ``slice_name`` gives it; empty where the
            object names none.
        meanings: What each segment number stands for.
        grid: Direction cosines and pixel spacing that all frames share; ``None`` if they do not.
    """

    labels: NDArray[np.uint8]
    positions: NDArray[np.float64]
    sources: tuple[str, ...]
    meanings: Mapping[int, Meaning] = field(default_factory=dict)
    grid: tuple[float, ...] | None = None


def read_segmentation(path: Path) -> MarkedSlices:
    """Read a binary DICOM Segmentation of CT slices.

    Returns: One label image a source slice, in the order in which the slices are first met.
    Raises:
        InputError: NOT_DICOM or TRUNCATED if the file cannot be read, UNSUPPORTED_FORMAT if it is
            no binary segmentation or its segments overlap, but for a body within its vertebra: the
            pixel has the number of the body then.
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
        meanings = {
            int(item.SegmentNumber): read_meaning(item) for item in instance.SegmentSequence
        }
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
        _join(places, masks, meanings, path),
        meanings=meanings,
        grid=next(iter(grids)) if len(grids) == 1 else None,
    )


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
    slices = {
        slice_name(header): at for at, header in enumerate(headers) if "SOPInstanceUID" in header
    }
    found = 0
    for source_name, mark, position in zip(
        marks.sources, marks.labels, marks.positions, strict=True
    ):
        at = slices.get(source_name) if source_name else None
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
    """Where a frame belongs: its segment, its source and its position."""

    segment: int
    source: str
    position: tuple[float, float, float]
    grid: tuple[float, ...]


def _place(frame: Dataset, shared: Dataset) -> _Place:
    """Read the functional groups of one frame, its own or shared (PS3.3 section C.7.6.16)."""

    def group(keyword: str) -> Dataset:
        found: Dataset = (frame if keyword in frame else shared)[keyword][0]
        return found

    x, y, z = group("PlanePositionSequence").ImagePositionPatient
    source = ""
    for derivation in frame.get("DerivationImageSequence", []):
        for image in derivation.get("SourceImageSequence", []):
            source = source or referenced_slice(image)
    return _Place(
        segment=int(group("SegmentIdentificationSequence").ReferencedSegmentNumber),
        source=source,
        position=(float(x), float(y), float(z)),
        grid=tuple(
            float(value)
            for value in (
                *group("PlaneOrientationSequence").ImageOrientationPatient,
                *group("PixelMeasuresSequence").PixelSpacing,
            )
        ),
    )


def _join(
    places: Sequence[_Place],
    masks: NDArray[np.bool_],
    meanings: Mapping[int, Meaning],
    path: Path,
) -> MarkedSlices:
    slices: dict[tuple[str, tuple[float, float, float]], NDArray[np.uint8]] = {}
    bodies_last = sorted(
        zip(places, masks, strict=True), key=lambda one: _part(meanings, one[0].segment) == "body"
    )
    for place, mask in bodies_last:
        key = (place.source, place.position)
        labels = slices.setdefault(key, np.zeros(mask.shape, dtype=np.uint8))
        under = {int(number) for number in np.flatnonzero(np.bincount(labels[mask]))} - {0}
        if not all(_holds(meanings, number, place.segment) for number in under):
            raise InputError(
                RefusalCode.UNSUPPORTED_FORMAT,
                f"segments must not overlap, segment {place.segment} does",
                path,
            )
        labels[mask] = place.segment
    return MarkedSlices(
        labels=np.stack(list(slices.values())),
        positions=np.array([position for _, position in slices]),
        sources=tuple(source for source, _ in slices),
    )


def _part(meanings: Mapping[int, Meaning], number: int) -> str | None:
    return meanings[number].part if number in meanings else None


def _holds(meanings: Mapping[int, Meaning], outer: int, inner: int) -> bool:
    """Whether one segment is a vertebra and another its body."""
    return (_part(meanings, outer), _part(meanings, inner)) == ("whole", "body") and meanings[
        outer
    ].level == meanings[inner].level
