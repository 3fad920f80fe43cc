"""What a CT header says about the patient and the scan, without identity and without defaults."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import date

from pydicom.dataset import Dataset
from pydicom.uid import RE_VALID_UID

from osteoscreen import texts
from osteoscreen.dicom.contrast import contrast_of, phase_of
from osteoscreen.dicom.dose import low_dose_sign
from osteoscreen.dicom.header import number, text
from osteoscreen.dicom.kernel import Kernel, kernel_of
from osteoscreen.dicom.pixels import is_lossy
from osteoscreen.findings import Acquisition, Reservation, ReservationCode, Subject

ADULT_YEARS = 18
"""Age from which the WHO classes of bone density apply at all."""

MAX_UID_LETTERS = 64

OLDEST_YEARS = 150

STUDY_YEARS = range(1971, 2100)
"""Years that a study may be of: the first patient had a CT in October 1971. Anonymised headers tell
of the years 1, 1900, 1970 or 9999."""

AGE_PATTERN = re.compile(r"(\d{1,3})([YMWD])")
"""Age string, PS3.5 table 6.2-1."""

UNITS_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}

IDENTIFIERS = (
    "SOPInstanceUID",
    "SOPClassUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
)
"""What a segmentation or a report must name to point at its source images."""


def subject_of(header: Dataset, salt: bytes) -> Subject:
    """Describe the patient without identity; the key is a salted hash of the patient's ID.

    The date of the study is unknown outside ``STUDY_YEARS``: it stands in for one that was removed,
    and no time between studies follows from it.
    """
    identifier = text(header, "PatientID")
    key = None
    if identifier is not None:
        key = hashlib.sha256(salt + identifier.encode()).hexdigest()[:16]
    sex = text(header, "PatientSex")
    age = age_years(header)
    studied = _date(header, "StudyDate")
    return Subject(
        key=key,
        age=None if age is None else int(age),
        sex="F" if sex == "F" else "M" if sex == "M" else "O" if sex == "O" else None,
        study_date=(
            None
            if studied is None or studied.year not in STUDY_YEARS
            else studied.isoformat().replace("-", "")
        ),
    )


def age_years(header: Dataset) -> float | None:
    """Age at the study, from PatientAge or else the dates of birth and study."""
    match = AGE_PATTERN.fullmatch((text(header, "PatientAge") or "").upper())
    if match:
        age = int(match[1]) / UNITS_PER_YEAR[match[2]]
        return age if age <= OLDEST_YEARS else None
    born, studied = _date(header, "PatientBirthDate"), _date(header, "StudyDate")
    if born is None or studied is None:
        return None
    age = studied.year - born.year - ((studied.month, studied.day) < (born.month, born.day))
    return float(age) if 0 <= age <= OLDEST_YEARS else None


def acquisition_of(headers: Sequence[Dataset]) -> Acquisition:
    """Describe the scan; an agent recorded on any slice counts for all."""
    first = headers[0]
    phase, evidence = phase_of(headers)
    kvp, thickness = number(first, "KVP"), number(first, "SliceThickness")
    return Acquisition(
        kvp=kvp if kvp and kvp > 0 else None,
        kernel=text(first, "ConvolutionKernel"),
        thickness_mm=thickness if thickness and thickness > 0 else None,
        contrast=contrast_of(headers),
        phase=phase,
        phase_evidence=evidence,
        manufacturer=text(first, "Manufacturer"),
        model=text(first, "ManufacturerModelName"),
    )


def reservations_of(
    headers: Sequence[Dataset], acquisition: Acquisition, error_hu: float | None = None
) -> tuple[Reservation, ...]:
    """Reasons for caution that the headers alone give; the bundle knows the others.

    Args:
        headers: One dataset a slice.
        acquisition: What they say of the scan.
        error_hu: Largest error of a lossy compression, where it tells.
    """
    found: list[Reservation] = []
    if acquisition.contrast:
        found.append(texts.reservation(ReservationCode.CONTRAST))
    lossy = next((header for header in headers if is_lossy(header)), None)
    if lossy is not None:
        ratio = number(lossy, "LossyImageCompressionRatio")
        extent = texts.extent_of_loss(ratio, error_hu)
        found.append(texts.reservation(ReservationCode.LOSSY, extent=extent))
    kernel = acquisition.kernel or ""
    if kernel_of(kernel) is Kernel.SHARP:
        found.append(texts.reservation(ReservationCode.KERNEL, kernel=kernel))
    low_dose = low_dose_sign(headers)
    if low_dose:
        found.append(texts.reservation(ReservationCode.LOW_DOSE, sign=low_dose))
    if not has_identifiers(headers):
        found.append(texts.reservation(ReservationCode.NO_IDENTIFIERS))
    return tuple(found)


def has_identifiers(headers: Sequence[Dataset]) -> bool:
    """Whether every slice carries the identifiers that a result must name, in a valid form."""
    return all(
        _is_uid(text(header, keyword) or "") for header in headers for keyword in IDENTIFIERS
    )


def _is_uid(value: str) -> bool:
    """Whether a text is a UID (PS3.5 section 9.1); pydicom's own check quotes it in a warning."""
    return len(value) <= MAX_UID_LETTERS and re.fullmatch(RE_VALID_UID, value) is not None


def _date(header: Dataset, keyword: str) -> date | None:
    value = text(header, keyword) or ""
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:])) if len(value) == 8 else None
    except ValueError:
        return None
