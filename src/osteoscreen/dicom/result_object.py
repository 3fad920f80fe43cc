"""What every result object has in common: its place in the study of its images, its equipment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from osteoscreen.dicom.frame import slice_name
from osteoscreen.dicom.header import text
from osteoscreen.dicom.instance import derived_uid

MANUFACTURER = "osteoscreen"
NAMES = ("PatientName", "ReferringPhysicianName")
TIMES_OF_WRITING = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "DateOfSecondaryCapture",
    "TimeOfSecondaryCapture",
)
"""Optional ones that highdicom sets."""


@dataclass(frozen=True)
class ResultSeries:
    """A series that holds one result object.

    Args:
        number: Series number.
        description: What a user of the archive reads.
    """

    number: int
    description: str


MARKS = ResultSeries(9001, "osteoscreen vertebra marks")
MEASUREMENTS = ResultSeries(9002, "osteoscreen measurements, preliminary")
REPORT = ResultSeries(9003, "osteoscreen report, preliminary")
CAPTURE = ResultSeries(9004, "osteoscreen marked slices, preliminary")
"""Numbers above those that scanners give."""


def series_uid_of(
    series: ResultSeries, headers: Sequence[Dataset], *content: bytes | NDArray[np.uint8]
) -> UID:
    """Make the UID of a result's series from its images and what it says.

    The same content on the same images has the same UID, anything else another one: a result that
    is sent twice is stored once.

    Args:
        series: Which result.
        headers: One dataset a slice.
        content: What the result says, in bytes and arrays of them.
    """
    digest = hashlib.sha256()
    for part in content:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).data)
    for header in headers:
        digest.update(slice_name(header).encode())
    return derived_uid(f"{headers[0].SeriesInstanceUID}/{series.number}/{digest.hexdigest()}")


def identity(series: ResultSeries, series_uid: str) -> dict[str, Any]:
    """Arguments that highdicom takes for the series and the equipment of any object."""
    return {
        "series_instance_uid": series_uid,
        "series_number": series.number,
        "series_description": series.description,
        "sop_instance_uid": derived_uid(f"{series_uid}/0"),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "device_serial_number": "0",
    }


def name_persons(instance: Dataset, header: Dataset) -> None:
    """Give an object the names of its images, as they stand there.

    highdicom, which would quote an unusual name in a warning, does not see them.
    """
    for keyword in NAMES:
        if keyword in header:
            instance[keyword] = header[keyword]


def date_as_study(instance: Dataset) -> None:
    """Replace the time of writing by that of the study, where the study has a date.

    With the UIDs, the same result is then the same bytes whenever it is written.
    """
    if text(instance, "StudyDate") is not None:
        for content, study in (("ContentDate", "StudyDate"), ("ContentTime", "StudyTime")):
            setattr(instance, content, text(instance, study) or "000000")
    for keyword in TIMES_OF_WRITING:
        instance.pop(keyword, None)
    for equipment in instance.get("ContributingEquipmentSequence", []):
        equipment.pop("ContributionDateTime", None)
