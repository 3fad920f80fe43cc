"""What every result object has in common: its place in the study of its images, its equipment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from highdicom import SOPClass
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, EncapsulatedPDFStorage

from osteoscreen.dicom.frame import slice_name
from osteoscreen.dicom.header import text
from osteoscreen.dicom.instance import derived_uid
from osteoscreen.dicom.source_image import distinct_images
from osteoscreen.findings import BundleReference

MANUFACTURER = "osteoscreen"
NAMES = ("PatientName", "ReferringPhysicianName")
TIMES_OF_WRITING = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "DateOfSecondaryCapture",
    "TimeOfSecondaryCapture",
)
"""Optional ones that highdicom sets."""
UNDATED = "19000101"
"""Content date of a result of a study without a date: objects must have one (PS3.3 C.17.2)."""
LONGEST_DESCRIPTION = 64
"""Characters of a Long String (PS3.5 section 6.2)."""


@dataclass(frozen=True)
class ResultSeries:
    """A series that holds one result object.

    Args:
        number: Series number.
        description: What a user of the archive reads, at most 64 characters.
    """

    number: int
    description: str

    def by(self, software: str, bundle: BundleReference | None) -> ResultSeries:
        """Say which version made it: the results of two on one study have the same date.

        Args:
            software: Name and version.
            bundle: Named as far as there is room.
        """
        words = f"{software}: {self.description}"
        if bundle is not None:
            words += f"; {bundle.name} {bundle.version}"
        plain = "".join(one if one.isprintable() and one != "\\" else " " for one in words)
        return replace(self, description=plain[:LONGEST_DESCRIPTION].rstrip())


MARKS = ResultSeries(9001, "vertebra marks")
MEASUREMENTS = ResultSeries(9002, "measurements, preliminary")
REPORT = ResultSeries(9003, "report, preliminary")
CAPTURE = ResultSeries(9004, "marked slices, preliminary")
"""Numbers above those that scanners give."""


def series_uid_of(
    series: ResultSeries, headers: Sequence[Dataset], *content: bytes | NDArray[np.uint8]
) -> UID:
    """Make the UID of a result's series from its images, their patient and study and what it says.

    The same content on the same images has the same UID, anything else another one: a result that
    is sent twice is stored once, and one that is made again after its study went to another
    patient is another object.

    Args:
        series: Which result.
        headers: One dataset a slice.
        content: What the result says, in bytes and arrays of them.
    """
    digest = hashlib.sha256(series.description.encode())
    digest.update(_patient_and_study(headers))
    for part in content:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).data)
    for header in headers:
        digest.update(slice_name(header).encode())
    return derived_uid(f"{headers[0].SeriesInstanceUID}/{series.number}/{digest.hexdigest()}")


def _patient_and_study(headers: Sequence[Dataset]) -> bytes:
    """Tell all that a result takes from its images about their patient and study."""
    first = distinct_images(headers)[0]
    taken = SOPClass(
        study_instance_uid=first.StudyInstanceUID,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        **identity(REPORT, first.SeriesInstanceUID),
    )
    place_in_study(taken, headers)
    return repr([(one.tag, one.value) for one in taken]).encode()


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


def place_in_study(instance: SOPClass, headers: Sequence[Dataset]) -> None:
    """Give an object the patient and the study of its images, all that they say of both."""
    instance.copy_patient_and_study_information(distinct_images(headers)[0])
    name_persons(instance, headers[0])
    date_as_study(instance)


def name_persons(instance: Dataset, header: Dataset) -> None:
    """Give an object the names of its images, as they stand there.

    highdicom, which would quote an unusual name in a warning, does not see them.
    """
    for keyword in NAMES:
        if keyword in header:
            instance[keyword] = header[keyword]


def date_as_study(instance: Dataset) -> None:
    """Replace the time of writing by that of the study; without a date, by a fixed one.

    With the UIDs, the same result is then the same bytes whenever it is written.
    """
    date = text(instance, "StudyDate")
    instance.ContentDate = date or UNDATED
    instance.ContentTime = (date and text(instance, "StudyTime")) or "000000"
    for keyword in TIMES_OF_WRITING:
        instance.pop(keyword, None)
    for equipment in instance.get("ContributingEquipmentSequence", []):
        equipment.pop("ContributionDateTime", None)
