"""Multi-frame CT images, made of the slices of a single-frame series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydicom
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian

from osteoscreen.dicom.instance import derived_uid

KEPT = (
    "SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "PatientAge", "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID",
    "AccessionNumber", "Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
    "BodyPartExamined", "PatientPosition", "FrameOfReferenceUID", "PositionReferenceIndicator",
    "Manufacturer", "ManufacturerModelName", "SamplesPerPixel", "PhotometricInterpretation", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
)  # fmt: skip
"""What an Enhanced CT image has outside its functional groups, as a CT slice does."""


def group(**values: object) -> list[Dataset]:
    """Make a functional group of one item."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return [item]


def enhanced(files: Sequence[Path], target: Path) -> Path:
    """Write slices as one Enhanced CT image (PS3.3 section A.38), in the order given.

    Everything that a frame may have of its own stands in its own groups, but for orientation,
    spacing and tube voltage.
    """
    slices = [pydicom.dcmread(file) for file in files]
    first = slices[0]
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = EnhancedCTImageStorage
    image.SOPInstanceUID = derived_uid(f"{first.SeriesInstanceUID}/{target.name}")
    for keyword in KEPT:
        if keyword in first:
            image[keyword] = first[keyword]
    image.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    image.InstanceNumber = 1
    image.NumberOfFrames = len(slices)
    shared = Dataset()
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=first.ImageOrientationPatient)
    shared.PixelMeasuresSequence = group(
        PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness
    )
    shared.CTXRayDetailsSequence = group(KVP=first.KVP, FocalSpots=[1.0])
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = [
        _frame(one, number) for number, one in enumerate(slices, start=1)
    ]
    image.PixelData = b"".join(one.PixelData for one in slices)
    image.save_as(target, enforce_file_format=True)
    return target


def _frame(one: Dataset, number: int) -> Dataset:
    frame = Dataset()
    frame.FrameContentSequence = group(
        FrameAcquisitionNumber=one.AcquisitionNumber, StackID="1", InStackPositionNumber=number
    )
    frame.PlanePositionSequence = group(ImagePositionPatient=one.ImagePositionPatient)
    frame.PixelValueTransformationSequence = group(
        RescaleSlope=one.RescaleSlope, RescaleIntercept=one.RescaleIntercept, RescaleType="HU"
    )
    frame.CTImageFrameTypeSequence = group(
        FrameType=list(one.ImageType),
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    frame.CTReconstructionSequence = group(ConvolutionKernel=one.get("ConvolutionKernel"))
    return frame


def converted(files: Sequence[Path], target: Path) -> Path:
    """Write slices as one Legacy Converted Enhanced CT image (PS3.3 section A.70), as highdicom."""
    slices = [pydicom.dcmread(file) for file in files]
    image = LegacyConvertedEnhancedCTImage(
        slices,
        series_instance_uid=slices[0].SeriesInstanceUID,
        series_number=1,
        sop_instance_uid=derived_uid(f"{slices[0].SeriesInstanceUID}/{target.name}"),
        instance_number=1,
    )
    image.save_as(target)
    return target
