"""What people read in the study: the report as Encapsulated PDF, the marked slices as a picture.

Neither shows an identity: that stands in the header, as in every object of the study.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import SOPClass
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from osteoscreen.dicom.codes import DIAGNOSTIC_IMAGING_REPORT
from osteoscreen.dicom.result_object import (
    CAPTURE,
    MANUFACTURER,
    REPORT,
    identity,
    place_in_study,
    series_uid_of,
)
from osteoscreen.dicom.source_image import distinct_images
from osteoscreen.findings import BundleReference

PDF_SIGNATURE = b"%PDF-"
MADE_HERE = "SYN"
"""Conversion type of an image that software made (PS3.3 section C.8.6.1)."""


def encapsulate(
    pdf: bytes,
    headers: Sequence[Dataset],
    *,
    software: str,
    bundle: BundleReference | None = None,
) -> Dataset:
    """Put a report as PDF into the study of its images (PS3.3 section A.45.1).

    Args:
        pdf: A whole PDF file that shows no identity.
        headers: One dataset a slice.
        software: What made the report, with its version.
        bundle: The networks that it was made with.
    Raises:
        ValueError: If the bytes are no PDF.
    """
    if not pdf.startswith(PDF_SIGNATURE):
        raise ValueError(f"a report must be a PDF, got bytes that begin with {pdf[:8]!r}")
    images = distinct_images(headers)
    first = images[0]
    series = REPORT.by(software, bundle)
    document = SOPClass(
        study_instance_uid=first.StudyInstanceUID,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=first.SpecificCharacterSet,
        manufacturer_model_name=MANUFACTURER,
        software_versions=software,
        **identity(series, series_uid_of(series, headers, pdf)),
    )
    document.ConversionType = MADE_HERE
    document.AcquisitionDateTime = ""
    document.BurnedInAnnotation = "NO"
    document.DocumentTitle = "Bone report, preliminary"
    document.VerificationFlag = "UNVERIFIED"
    document.ConceptNameCodeSequence = [CodedConcept.from_code(DIAGNOSTIC_IMAGING_REPORT)]
    document.SourceInstanceSequence = [_reference(image) for image in images]
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocumentLength = len(pdf)
    document.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    place_in_study(document, headers)
    return document


def capture(
    picture: NDArray[np.uint8],
    headers: Sequence[Dataset],
    *,
    software: str,
    bundle: BundleReference | None = None,
) -> Dataset:
    """Put a picture into the study of its images, as a Secondary Capture (PS3.3 section A.8.1).

    Args:
        picture: RGB, shape (rows, columns, 3); shows no identity.
        headers: One dataset a slice.
        software: What made the picture, with its version.
        bundle: The networks that it was made with.
    """
    images = distinct_images(headers)
    series = CAPTURE.by(software, bundle)
    image = SCImage.from_ref_dataset(
        images[0],
        picture,
        "RGB",
        8,
        "PATIENT",
        patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        manufacturer_model_name=MANUFACTURER,
        software_versions=software,
        **identity(series, series_uid_of(series, headers, repr(picture.shape).encode(), picture)),
    )
    image.ConversionType = MADE_HERE
    image.ImageType = ["DERIVED", "SECONDARY"]
    del image.PatientOrientation  # several slices and words: there is no one orientation
    image.add_new("PatientOrientation", "CS", "")
    image.BodyPartExamined = "LSPINE"
    image.BurnedInAnnotation = "NO"
    image.SourceImageSequence = [_reference(one) for one in images]
    place_in_study(image, headers)
    return image


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item
