"""What makes a DICOM file an adult's CT slice in HU; anything else is refused before decoding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage

from osteoscreen.dicom.acquisition import ADULT_YEARS, age_years
from osteoscreen.dicom.frame import slice_name
from osteoscreen.dicom.header import MULTI_FRAME_CLASSES, number, text, words
from osteoscreen.dicom.pixels import check_pixels
from osteoscreen.errors import GeometryError, InputError, RefusalCode

NOT_A_SLICE = frozenset(
    {
        "AVERAGE",
        "CPR",
        "IP",
        "LOCALIZER",
        "MAXIP",
        "MINIP",
        "MIP",
        "MPR",
        "PROJECTION",
        "REFORMATTED",
        "RENDER",
        "RENDERING",
        "SCANOGRAM",
        "SCOUT",
        "SCREENSHOT",
        "SSD",
        "SURVIEW",
        "TOPOGRAM",
        "VRT",
    }
)
"""Words of ImageType (PS3.3 sections C.8.2.1.1.1 and C.8.16.1, where MAX_IP is one, and vendors'
values) that name a projection, a reformat or a picture. DERIVED alone names none: anonymised and
compressed slices carry it."""

NOT_CONVENTIONAL = frozenset(
    {
        "CALCIUM",
        "EFFZ",
        "ELECTRON",
        "IODINE",
        "MONO",
        "MONOE",
        "MONOENERGETIC",
        "VIRTUALMONOENERGETIC",
        "VIRTUAL",
        "VMI",
        "VNC",
        "VUE",
        "WATER",
        "Z",
        "ZEFF",
    }
)
"""Words of ImageType (PS3.3 section C.8.15.2.1.1 and vendors' values) that name an image computed
from several energies: its values are no attenuation at a tube voltage. A blend like that of a
conventional scan carries none of them."""

CT_CLASSES = (CTImageStorage, *MULTI_FRAME_CLASSES)


def check_slice(header: Dataset, source: Path) -> None:
    """Refuse what is no CT slice in HU, a file or a frame, before anything is decoded."""
    modality = text(header, "Modality")
    if modality != "CT":
        raise InputError(RefusalCode.NOT_CT, f"the modality must be CT, got {modality}", source)
    named = projection_words(words(header, "ImageType"))
    if named:
        raise InputError(
            RefusalCode.DERIVED, f"the image type must be a CT slice, got {named[0]}", source
        )
    named = derived_words(words(header, "ImageType"))
    if named:
        raise InputError(
            RefusalCode.NOT_CONVENTIONAL,
            f"the image must be a conventional CT of one tube voltage, got {named[0]}",
            source,
        )
    sop_class = text(header, "SOPClassUID") or ""
    if (number(header, "NumberOfFrames") or 1) > 1:
        raise InputError(
            RefusalCode.UNSUPPORTED_FORMAT,
            "a file of several frames must be an Enhanced CT image with functional groups, got "
            f"{UID(sop_class).name or 'no class'}",
            source,
        )
    if sop_class not in ("", *CT_CLASSES):
        raise InputError(
            RefusalCode.DERIVED, f"the file must be a CT image, got {UID(sop_class).name}", source
        )
    if text(header, "BurnedInAnnotation") == "YES":
        raise InputError(
            RefusalCode.NOT_HU,
            "the pixels must hold HU alone, burned-in annotation is recorded",
            source,
        )
    check_pixels(header, source)


def projection_words(image_type: Iterable[str]) -> list[str]:
    """The values of ImageType that name a projection, a reformat or a picture."""
    return [value for value in image_type if NOT_A_SLICE & set(re.split(r"[^A-Z]+", value))]


def derived_words(image_type: Iterable[str]) -> list[str]:
    """The values of ImageType that name an image computed from several energies."""
    return [value for value in image_type if NOT_CONVENTIONAL & set(re.split(r"[^A-Z]+", value))]


def check_one_source(headers: Mapping[Path, Dataset]) -> None:
    """Refuse slices of different patients or frames of reference; ``headers`` by source."""
    folder = next(iter(headers)).parent
    patients = {text(header, "PatientID") for header in headers.values()}
    if len(patients) > 1:
        raise InputError(
            RefusalCode.MIXED_PATIENTS,
            f"the files of a series must name one patient, got {len(patients)}",
            folder,
        )
    frames = {text(header, "FrameOfReferenceUID") for header in headers.values()}
    if len(frames) > 1:
        raise GeometryError(
            RefusalCode.MIXED_ORIENTATION,
            f"the slices of a series must share a frame of reference, got {len(frames)}",
            folder,
        )


def check_unique(headers: Mapping[Path, Dataset]) -> None:
    """Refuse two different slices under one SOP Instance UID and frame; ``headers`` by source."""
    seen: dict[str, Path] = {}
    for path, header in headers.items():
        identifier = None if text(header, "SOPInstanceUID") is None else slice_name(header)
        if identifier is not None and identifier in seen:
            raise GeometryError(
                RefusalCode.DUPLICATE_SLICES,
                f"each slice must have its own SOP Instance UID, got that of "
                f"{seen[identifier].name} again",
                path,
            )
        if identifier is not None:
            seen[identifier] = path


HUMAN = "337915000"
"""SNOMED CT code of the species Homo sapiens (PS3.16 CID 7454)."""


def check_human(header: Dataset, source: Path) -> None:
    """Refuse an animal or a phantom, where it is told (PS3.3 sections C.7.1.1 and C.7.6.1)."""
    if text(header, "QualityControlImage") == "YES":
        raise InputError(
            RefusalCode.OUT_OF_POPULATION,
            "the image must be of a patient, it is recorded as one of quality control",
            source.parent,
        )
    species = text(header, "PatientSpeciesDescription")
    codes = [text(item, "CodeValue") for item in header.get("PatientSpeciesCodeSequence", [])]
    named = (species or "").lower()
    is_human = named in ("", "human", "homo sapiens") and all(
        code in (None, HUMAN) for code in codes
    )
    if not is_human:
        raise InputError(
            RefusalCode.OUT_OF_POPULATION,
            f"the patient must be human, got species {species or codes[0]}",
            source.parent,
        )


def check_adult(header: Dataset, source: Path) -> None:
    """Refuse a patient known to be under 18; an unknown age passes."""
    age = age_years(header)
    if age is not None and age < ADULT_YEARS:
        raise InputError(
            RefusalCode.OUT_OF_POPULATION,
            f"the patient must be {ADULT_YEARS} years old or more, got {int(age)}",
            source.parent,
        )
