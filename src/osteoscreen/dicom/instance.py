"""CT instances, written: a volume in HU as a series of CT Image objects (PS3.3 section A.3).

Pixels hold -1024 to 3071 HU with slope 1, explicit VR little endian; by default unsigned, 12 bits
stored in 16, intercept -1024, as most scanners write them. Identifiers are derived from the series
UID, so that the same series is written the same way every time.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from osteoscreen.volume import Affine, Volume

STORED_RANGE_HU = (-1024, 3071)
"""Twelve bits with an intercept of -1024, the classic CT scale."""


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """How HU become stored values (PS3.3 sections C.7.5.1.1.2, C.7.6.3 and C.8.2.1).

    Args:
        intercept_hu: Rescale intercept.
        is_signed: Whether stored values are signed.
        bits: Bits stored, 12 to 16.
        padding_value: Stored value that marks pixels outside the scanned circle; what has exactly
            its HU is padding.
    """

    intercept_hu: int = -1024
    is_signed: bool = False
    bits: int = 12
    padding_value: int | None = None


@dataclass(frozen=True)
class PrivateElement:
    """One private attribute (PS3.5 section 7.8): odd group, creator, last byte of its element."""

    group: int
    creator: str
    element: int
    vr: str
    value: str


@dataclass(frozen=True, kw_only=True)
class SeriesHeader:
    """What a CT series says about itself, besides its pixels and geometry.

    Args:
        patient_id: Patient ID.
        study_uid: Study Instance UID.
        series_uid: Series Instance UID; the instances' UIDs are derived from it.
        frame_of_reference_uid: Frame of Reference UID.
        patient_name: Patient's name, as DICOM writes it.
        sex: Patient's sex; empty where it is unknown.
        age: Patient's age in years.
        study_date: YYYYMMDD; also the date of the series and the images.
        study_description: Free text, at most 64 letters.
        series_description: Free text, at most 64 letters.
        series_number: Number of the series in its study.
        manufacturer: Maker of the scanner.
        model: Model of the scanner.
        kernel: Reconstruction kernel.
        kvp: Tube voltage in kV; left empty where not given.
        tube_current_ma: Tube current in mA.
        thickness_mm: Slice thickness; the distance between slices where not given.
        image_type: Values of ImageType.
        body_part: Body part examined, a defined term of PS3.16 annex L.
        patient_position: Patient position, such as "HFS" or "FFS".
        contrast_agent: Contrast agent; without one, its attribute is left out.
        pixels: How HU become stored values.
        private: Private attributes; a block is reserved for each creator.
    """

    patient_id: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    patient_name: str = ""
    sex: Literal["F", "M", "O", ""] = ""
    age: int | None = None
    study_date: str = ""
    study_description: str = ""
    series_description: str = ""
    series_number: int = 1
    manufacturer: str = ""
    model: str = ""
    kernel: str = ""
    kvp: float | None = None
    tube_current_ma: float | None = None
    thickness_mm: float | None = None
    image_type: tuple[str, ...] = ("DERIVED", "SECONDARY", "AXIAL")
    body_part: str = "LSPINE"
    patient_position: str = "HFS"
    contrast_agent: str | None = None
    pixels: PixelFormat = PixelFormat()
    private: tuple[PrivateElement, ...] = ()


def derived_uid(name: str) -> UID:
    """Make a UID that depends on a name only (PS3.5 section B.2, from a version 5 UUID)."""
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}")


def write_ct_series(
    volume: Volume, header: SeriesHeader, folder: Path, *, names: Sequence[str] | None = None
) -> tuple[Path, ...]:
    """Write a volume as one CT series, a file a slice.

    Args:
        volume: CT in HU; values are rounded and clipped to -1024 to 3071, padding excepted.
        header: What the series says about itself.
        folder: Where the files go; made if it does not exist.
        names: File names, one a slice; by default 0000.dcm and so on.
    Returns: The files, in slice order.
    """
    return write_ct_slices(slices_of(volume), header, folder, names=names)


def write_ct_slices(
    slices: Iterable[Volume],
    header: SeriesHeader,
    folder: Path,
    *,
    names: Sequence[str] | None = None,
) -> tuple[Path, ...]:
    """Write single slices, wherever they lie, as one CT series.

    Args:
        slices: Volumes of one slice each, written one by one; values are rounded and clipped to
            -1024 to 3071 HU, padding excepted.
        header: What the series says about itself.
        folder: Where the files go; made if it does not exist.
        names: File names, one a slice; by default 0000.dcm and so on.
    Returns: The files, in the order of the slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbered = (f"{index:04d}.dcm" for index in count())
    named = zip(slices, numbered) if names is None else zip(slices, names, strict=True)
    files = []
    for index, (one, name) in enumerate(named):
        files.append(folder / name)
        _instance(one, header, index).save_as(files[-1], enforce_file_format=True)
    return tuple(files)


def slices_of(volume: Volume) -> list[Volume]:
    """Cut a volume into volumes of one slice, each at its own place."""
    slices = []
    for index in range(volume.hu.shape[0]):
        affine = volume.affine.copy()
        affine[:, 3] += index * affine[:, 0]
        slices.append(Volume(volume.hu[index : index + 1], affine))
    return slices


def _instance(one: Volume, header: SeriesHeader, index: int) -> Dataset:
    instance = Dataset()
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.SOPClassUID = CTImageStorage
    instance.SOPInstanceUID = derived_uid(f"{header.series_uid}/{index}")
    instance.InstanceNumber = index + 1
    _add_patient_and_study(instance, header)
    _add_series_and_equipment(instance, header)
    _add_plane(instance, one.affine)
    _add_acquisition(instance, header, one.spacing_mm[0])
    _add_pixels(instance, one.hu[0], header.pixels)
    for private in header.private:
        block = instance.private_block(private.group, private.creator, create=True)
        block.add_new(private.element, private.vr, private.value)
    return instance


def _add_patient_and_study(instance: Dataset, header: SeriesHeader) -> None:
    instance.SpecificCharacterSet = "ISO_IR 192"
    instance.PatientName = header.patient_name
    instance.PatientID = header.patient_id
    instance.PatientBirthDate = ""
    instance.PatientSex = header.sex
    if header.age is not None:
        instance.PatientAge = f"{header.age:03d}Y"
    instance.StudyInstanceUID = header.study_uid
    instance.StudyDate = header.study_date
    instance.StudyTime = "000000" if header.study_date else ""
    instance.ReferringPhysicianName = ""
    instance.StudyID = ""
    instance.AccessionNumber = ""
    if header.study_description:
        instance.StudyDescription = header.study_description


def _add_series_and_equipment(instance: Dataset, header: SeriesHeader) -> None:
    instance.Modality = "CT"
    instance.SeriesInstanceUID = header.series_uid
    instance.SeriesNumber = header.series_number
    instance.SeriesDescription = header.series_description
    instance.BodyPartExamined = header.body_part
    instance.PatientPosition = header.patient_position
    instance.FrameOfReferenceUID = header.frame_of_reference_uid
    instance.PositionReferenceIndicator = ""
    instance.Manufacturer = header.manufacturer
    instance.ManufacturerModelName = header.model
    if header.contrast_agent is not None:
        instance.ContrastBolusAgent = header.contrast_agent


def _add_plane(instance: Dataset, affine: Affine) -> None:
    row_step, column_step = affine[:3, 1], affine[:3, 2]
    spacing = float(np.linalg.norm(row_step)), float(np.linalg.norm(column_step))
    cosines = [*(column_step / spacing[1]), *(row_step / spacing[0])]
    instance.ImagePositionPatient = _decimals(affine[:3, 3])
    instance.ImageOrientationPatient = _decimals(cosines)
    instance.PixelSpacing = _decimals(spacing)
    instance.PatientOrientation = ""


def _add_acquisition(instance: Dataset, header: SeriesHeader, step_mm: float) -> None:
    instance.ImageType = list(header.image_type)
    instance.AcquisitionNumber = 1
    instance.ContentDate = header.study_date
    instance.ContentTime = "000000" if header.study_date else ""
    thickness = step_mm if header.thickness_mm is None else header.thickness_mm
    instance.SliceThickness = _decimals([thickness])[0]
    instance.KVP = None if header.kvp is None else _decimals([header.kvp])[0]
    if header.tube_current_ma is not None:
        instance.XRayTubeCurrent = round(header.tube_current_ma)
    if header.kernel:
        instance.ConvolutionKernel = header.kernel


def _add_pixels(instance: Dataset, hu: NDArray[np.float32], pixels: PixelFormat) -> None:
    stored = np.clip(np.rint(hu), *STORED_RANGE_HU) - pixels.intercept_hu
    if pixels.padding_value is not None:
        stored[hu == pixels.padding_value + pixels.intercept_hu] = pixels.padding_value
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = "MONOCHROME2"
    instance.Rows, instance.Columns = stored.shape
    instance.BitsAllocated, instance.BitsStored, instance.HighBit = 16, pixels.bits, pixels.bits - 1
    instance.PixelRepresentation = int(pixels.is_signed)
    instance.RescaleIntercept = pixels.intercept_hu
    instance.RescaleSlope = 1
    instance.RescaleType = "HU"
    if pixels.padding_value is not None:
        instance.PixelPaddingValue = pixels.padding_value
    instance.PixelData = stored.astype("<i2" if pixels.is_signed else "<u2").tobytes()


def _decimals(values: Sequence[float] | NDArray[np.float64]) -> list[DSfloat]:
    """Write numbers with as many digits as a decimal string holds (16 letters)."""
    return [DSfloat(float(value), auto_format=True) for value in values]
