"""Report and picture in the study: what goes in comes out, and says what it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from made_results import made_pdf, made_series
from osteoscreen.dicom.document import capture, encapsulate
from osteoscreen.dicom.series import CTSeries

SOFTWARE = "osteoscreen 9.9"


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> CTSeries:
    return made_series(tmp_path_factory.mktemp("ct"))


def _picture() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (31, 45, 3), np.uint8)


def _written(instance: Dataset, path: Path) -> Dataset:
    instance.save_as(path, enforce_file_format=True)
    return pydicom.dcmread(path)


@pytest.mark.parametrize("extra", [b"", b"\n"], ids=["as it is", "one byte longer"])
def test_a_pdf_comes_out_as_it_went_in(ct: CTSeries, tmp_path: Path, extra: bytes) -> None:
    pdf = made_pdf() + extra
    read = _written(encapsulate(pdf, ct.headers, software=SOFTWARE), tmp_path / "a.dcm")
    assert read.EncapsulatedDocument[: read.EncapsulatedDocumentLength] == pdf
    assert read.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert len(read.SourceInstanceSequence) == len(ct.headers)
    assert read.VerificationFlag == "UNVERIFIED"


@pytest.mark.skipif(shutil.which("dcm2pdf") is None, reason="dcmtk is not installed")
def test_dcmtk_takes_the_pdf_out(ct: CTSeries, tmp_path: Path) -> None:
    pdf = made_pdf()
    _written(encapsulate(pdf, ct.headers, software=SOFTWARE), tmp_path / "a.dcm")
    subprocess.run(["dcm2pdf", tmp_path / "a.dcm", tmp_path / "a.pdf"], check=True)
    assert (tmp_path / "a.pdf").read_bytes().rstrip(b"\0") == pdf


def test_what_is_no_pdf_is_not_encapsulated(ct: CTSeries) -> None:
    with pytest.raises(ValueError, match=r"must be a PDF, got bytes that begin with b'<html>'"):
        encapsulate(b"<html>", ct.headers, software=SOFTWARE)


def test_a_picture_comes_out_as_it_went_in(ct: CTSeries, tmp_path: Path) -> None:
    image = _written(capture(_picture(), ct.headers, software=SOFTWARE), tmp_path / "a.dcm")
    assert_array_equal(image.pixel_array, _picture())
    assert image.PhotometricInterpretation == "RGB"
    assert image.BurnedInAnnotation == "NO"
    assert not image.PatientOrientation


@pytest.mark.skipif(shutil.which("dcmj2pnm") is None, reason="dcmtk is not installed")
def test_dcmtk_shows_the_same_picture(ct: CTSeries, tmp_path: Path) -> None:
    _written(capture(_picture(), ct.headers, software=SOFTWARE), tmp_path / "a.dcm")
    subprocess.run(["dcmj2pnm", "+op", tmp_path / "a.dcm", tmp_path / "a.ppm"], check=True)
    pixels = (tmp_path / "a.ppm").read_bytes()[-_picture().size :]
    assert_array_equal(np.frombuffer(pixels, np.uint8).reshape(_picture().shape), _picture())


def test_both_carry_patient_study_and_equipment(ct: CTSeries) -> None:
    source = ct.headers[0]
    for instance in (
        encapsulate(made_pdf(), ct.headers, software=SOFTWARE),
        capture(_picture(), ct.headers, software=SOFTWARE),
    ):
        for keyword in (
            "PatientName", "PatientID", "PatientSex", "PatientAge", "StudyInstanceUID",
            "StudyDescription", "StudyDate",
        ):  # fmt: skip
            assert instance[keyword].value == source[keyword].value, keyword
        assert instance.SeriesInstanceUID != source.SeriesInstanceUID
        assert instance.Manufacturer == "osteoscreen"
        assert instance.SoftwareVersions == SOFTWARE


def test_content_names_the_object(ct: CTSeries, tmp_path: Path) -> None:
    def written(instance: Dataset) -> bytes:
        _written(instance, tmp_path / "a.dcm")
        return (tmp_path / "a.dcm").read_bytes()

    def report(words: str, series: CTSeries, count: int) -> Dataset:
        return encapsulate(made_pdf(words), series.headers[:count], software=SOFTWARE)

    def picture(words: str, series: CTSeries, count: int) -> Dataset:
        drawn = _picture() // len(words)
        return capture(drawn, series.headers[:count], software=SOFTWARE)

    for make in (report, picture):
        assert written(make("words", ct, 6)) == written(make("words", ct, 6))
        told = make("words", ct, 6), make("others", ct, 6), make("words", ct, 5)
        assert len({one.SOPInstanceUID for one in told}) == 3
        assert len({one.SeriesInstanceUID for one in told}) == 3
