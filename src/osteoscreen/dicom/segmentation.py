"""Vertebra marks as a DICOM Segmentation (PS3.3 section A.51), written; ``marked_slices`` reads it.

The object is BINARY: LABELMAP, which would be smaller, is refused by the toolkits and archives in
use today.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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

from osteoscreen.dicom.codes import ANATOMICAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE
from osteoscreen.dicom.header import text
from osteoscreen.dicom.instance import derived_uid
from osteoscreen.dicom.segment import SEGMENTS, Segment
from osteoscreen.dicom.source_image import name_frames, source_images

SERIES_NUMBER = 9001
"""Above the numbers that scanners give."""


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
        source_images=source_images(headers),
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
    name_frames(segmentation, headers)
    segmentation.SeriesDescription = "Vertebra marks"
    if "PatientName" in headers[0]:
        segmentation.PatientName = headers[0].PatientName
    if series_uid:
        _fix_dimension_uid(segmentation, derived_uid(f"{series_uid}/dimensions"))
        _fix_times(segmentation)
    segmentation.save_as(path)
    return True


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
