"""Vertebrae outlined by hand as a DICOM RT Structure Set (PS3.3 section A.19), read.

A contour is a polygon in patient coordinates on one slice. Contours of a structure that lie inside
each other on a slice are holes and islands in turn (even-odd), as treatment planning systems mean
them: the spinal canal, say.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage
from skimage.draw import polygon2mask

from osteoscreen.dicom.header import read_header, read_instance, text
from osteoscreen.dicom.series import CTSeries
from osteoscreen.errors import GeometryError, InputError, RefusalCode

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
"""Contours that enclose an area (PS3.3 C.8.8.6); points and open lines do not."""
OFF_SLICE = 0.25
"""Farthest from a slice, in slices, that a contour may lie: beyond it nobody knows whose it is."""
LARGEST_NUMBER = 255
"""Labels are one byte a pixel."""


def is_structure_set(path: Path) -> bool:
    """Return whether a DICOM file is an RT Structure Set.

    Raises:
        InputError: If the file cannot be read.
    """
    header = read_header(path, keywords=("SOPClassUID",))
    return bool(header.get("SOPClassUID") == RTStructureSetStorage)


def read_structure_set(path: Path, series: CTSeries) -> NDArray[np.uint8]:
    """Draw the structures of a structure set on the slices of a series.

    Args:
        path: The structure set.
        series: The images that it was drawn on.
    Returns: ROI numbers, axes as the series' volume, 0 where there is none. Where structures
        overlap the smaller one is on top: a body on its vertebra.
    Raises:
        InputError: UNSUPPORTED_FORMAT if the file is no structure set, has no closed contour, or
            ROI numbers are not 1 to 255.
        GeometryError: NO_GEOMETRY if it belongs to another frame of reference, or a contour lies
            between the slices or beyond them and does not name another image as its own.
    """
    instance = read_instance(path)
    if instance.get("SOPClassUID") != RTStructureSetStorage:
        raise InputError(
            RefusalCode.UNSUPPORTED_FORMAT,
            f"the file must be an RT Structure Set, got {text(instance, 'Modality')}",
            path,
        )
    _check_frame(instance, series, path)
    masks = {
        number: _draw(structure, series, path) for number, structure in _structures(instance, path)
    }
    labels = np.zeros(series.volume.hu.shape, np.uint8)
    for number in sorted(masks, key=lambda one: -int(masks[one].sum())):
        labels[masks[number]] = number
    if not labels.any():
        raise InputError(
            RefusalCode.UNSUPPORTED_FORMAT,
            "a structure set must have a closed contour that holds a pixel, it has none",
            path,
        )
    return labels


def _check_frame(instance: Dataset, series: CTSeries, path: Path) -> None:
    wanted = text(series.headers[0], "FrameOfReferenceUID")
    given = {
        text(one, "FrameOfReferenceUID")
        for one in _items(instance, "ReferencedFrameOfReferenceSequence")
    }
    given |= {
        text(one, "ReferencedFrameOfReferenceUID")
        for one in _items(instance, "StructureSetROISequence")
    }
    if wanted is None or wanted not in given:
        raise GeometryError(
            RefusalCode.NO_GEOMETRY,
            f"a structure set must share the frame of reference of its images, {wanted}, got "
            f"{', '.join(sorted(filter(None, given))) or 'none'}",
            path,
        )


def _structures(instance: Dataset, path: Path) -> Iterator[tuple[int, Dataset]]:
    for structure in _items(instance, "ROIContourSequence"):
        number = int(structure.get("ReferencedROINumber") or 0)
        if not 1 <= number <= LARGEST_NUMBER:
            raise InputError(
                RefusalCode.UNSUPPORTED_FORMAT,
                f"ROI numbers must be 1 to {LARGEST_NUMBER}, got {number}",
                path,
            )
        yield number, structure


def _draw(structure: Dataset, series: CTSeries, path: Path) -> NDArray[np.bool_]:
    shape = series.volume.hu.shape
    mask = np.zeros(shape, bool)
    to_index = np.linalg.inv(series.volume.affine)
    own = {text(header, "SOPInstanceUID") for header in series.headers}
    for contour in _items(structure, "ContourSequence"):
        named = {
            text(one, "ReferencedSOPInstanceUID") for one in _items(contour, "ContourImageSequence")
        }
        if text(contour, "ContourGeometricType") not in CLOSED or (named and not named & own):
            continue
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        index = points @ to_index[:3, :3].T + to_index[:3, 3]  # point (slice, row, column)
        at = int(np.rint(index[:, 0].mean()))
        if not 0 <= at < shape[0] or np.abs(index[:, 0] - at).max() > OFF_SLICE:
            raise GeometryError(
                RefusalCode.NO_GEOMETRY,
                f"every contour must lie on one of the {shape[0]} slices, got one at slices "
                f"{index[:, 0].min():.2f} to {index[:, 0].max():.2f}",
                path,
            )
        mask[at] ^= polygon2mask(shape[1:], index[:, 1:])
    return mask


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or [])
