"""DICOM files written anew in another lossless transfer syntax."""

from __future__ import annotations

from pathlib import Path

import gdcm
import numpy as np
import pydicom
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

BY_PYDICOM = (RLELossless, JPEGLSLossless)
BY_GDCM = {
    JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
    JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    JPEG2000Lossless: gdcm.TransferSyntax.JPEG2000Lossless,
}
UNCOMPRESSED = (
    ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian
)  # fmt: skip
LOSSLESS = (*UNCOMPRESSED, *BY_PYDICOM, *BY_GDCM)
"""All that are read but HTJ2K, which none of the pinned libraries writes."""


def recode(path: Path, syntax: UID) -> None:
    """Write an explicit little endian file anew, in place, in a syntax of ``LOSSLESS``."""
    if syntax in BY_GDCM:
        _recode_by_gdcm(path, syntax)
        return
    instance = pydicom.dcmread(path)
    if syntax in BY_PYDICOM:
        instance.compress(syntax, generate_instance_uid=False)
        instance.save_as(path)
        return
    instance.file_meta.TransferSyntaxUID = syntax
    is_big = syntax == ExplicitVRBigEndian
    if is_big:
        words = np.frombuffer(instance.PixelData, "<u2").astype(">u2")
        instance.PixelData = words.tobytes()
    pydicom.dcmwrite(
        path,
        instance,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=not is_big,
        force_encoding=True,
    )


def _recode_by_gdcm(path: Path, syntax: UID) -> None:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(BY_GDCM[syntax]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
