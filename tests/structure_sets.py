"""Structure sets that tests write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, RTStructureSetStorage

from osteoscreen.dicom.series import CTSeries

FRAME = "2.25.777"
Point = tuple[float, float]
Contour = tuple[int, int, Sequence[Point]]
"""ROI number, slice, and corners (row, column)."""


def write_structure_set(
    path: Path, series: CTSeries, contours: Sequence[Contour], **changes: str
) -> Path:
    """Write a structure set.

    Args:
        path: File.
        series: Images.
        contours: What is outlined.
        changes: ``frame``, ``kind`` of the contours, ``lift`` in slices, ``image`` that they name.
    """
    file = Dataset()
    file.SOPClassUID, file.Modality = RTStructureSetStorage, "RTSTRUCT"
    file.SOPInstanceUID = UID("2.25.9")
    reference = Dataset()
    reference.FrameOfReferenceUID = changes.get("frame", FRAME)
    file.ReferencedFrameOfReferenceSequence = [reference]
    file.ROIContourSequence = []
    for number in dict.fromkeys(one[0] for one in contours):
        structure = Dataset()
        structure.ReferencedROINumber = number
        structure.ContourSequence = [
            _contour(series, one, changes) for one in contours if one[0] == number
        ]
        file.ROIContourSequence.append(structure)
    file.file_meta = FileMetaDataset()
    file.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.save_as(path, enforce_file_format=True)
    return path


def _contour(series: CTSeries, one: Contour, changes: dict[str, str]) -> Dataset:
    _, at, corners = one
    lift = float(changes.get("lift", 0))
    points = [series.volume.affine @ (at + lift, row, column, 1) for row, column in corners]
    contour = Dataset()
    contour.ContourGeometricType = changes.get("kind", "CLOSED_PLANAR")
    contour.NumberOfContourPoints = len(points)
    contour.ContourData = [round(float(value), 4) for point in points for value in point[:3]]
    if "image" in changes:
        image = Dataset()
        image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        image.ReferencedSOPInstanceUID = changes["image"]
        contour.ContourImageSequence = [image]
    return contour
