"""Reading CT series: exact values, exact geometry, and a refusal for every doubt."""

from __future__ import annotations

import logging
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from osteoscreen.dicom import header as header_module
from osteoscreen.dicom.discovery import SeriesFiles, find_series
from osteoscreen.dicom.frame import Frame
from osteoscreen.dicom.instance import (
    PixelFormat,
    SeriesHeader,
    slices_of,
    write_ct_series,
    write_ct_slices,
)
from osteoscreen.dicom.pixels import DECODERS, LOSSY_SYNTAXES
from osteoscreen.dicom.series import CTSeries, read_series
from osteoscreen.errors import GeometryError, InputError, RefusalCode
from osteoscreen.findings import ReservationCode
from osteoscreen.volume import Affine, Volume, stand
from recoding import LOSSLESS, recode

HEADER = SeriesHeader(
    patient_id="MRN-4711",
    patient_name="Canary^Caroline",
    study_uid="2.25.1",
    series_uid="2.25.2",
    frame_of_reference_uid="2.25.3",
    sex="F",
    age=70,
    study_date="20200102",
    kvp=120.0,
    kernel="B30f",
    manufacturer="Maker",
    model="Model",
)

REAL = Path(__file__).parents[2] / "shared" / "real"


def _affine(
    slice_axis: tuple[float, float, float] = (0, 0, 2.5),
    row_axis: tuple[float, float, float] = (0, 0.7, 0),
    column_axis: tuple[float, float, float] = (0.8, 0, 0),
) -> Affine:
    affine = np.eye(4)
    affine[:3] = np.stack([slice_axis, row_axis, column_axis, (-100.25, -80.5, 33.125)], axis=1)
    return affine


def _volume(affine: Affine | None = None, slices: int = 5) -> Volume:
    hu = np.random.default_rng(7).integers(-1024, 2000, (slices, 12, 10)).astype(np.float32)
    return Volume(hu, _affine() if affine is None else affine)


def _read(folder: Path) -> CTSeries:
    (files,) = find_series(folder).series
    return read_series(files)


def _edit(path: Path, **changes: object) -> None:
    """Set attributes of a file, or remove them where the new value is None."""
    with disable_value_validation():
        instance = pydicom.dcmread(path)
        for keyword, value in changes.items():
            if value is None:
                delattr(instance, keyword)
            else:
                setattr(instance, keyword, value)
        instance.save_as(path)


def _edit_all(folder: Path, **changes: object) -> None:
    for path in folder.iterdir():
        _edit(path, **changes)


def _raw_text(path: Path, tag: int, vr: str, value: bytes) -> None:
    """Put malformed bytes into an attribute, past pydicom's checks."""
    instance = pydicom.dcmread(path)
    element = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(tag), vr, len(value), value, 0, False, True
    )
    instance._dict[pydicom.tag.Tag(tag)] = element
    instance.save_as(path)


def test_a_written_series_is_read_back_exactly(tmp_path: Path) -> None:
    volume = _volume()
    files = write_ct_series(volume, HEADER, tmp_path)
    series = _read(tmp_path)
    assert_array_equal(series.volume.hu, volume.hu)
    # decimal strings hold 16 letters: better than a nanometre
    assert_allclose(series.volume.affine, volume.affine, rtol=0, atol=1e-9)
    assert [header.SOPInstanceUID for header in series.headers] == [
        pydicom.dcmread(file).SOPInstanceUID for file in files
    ]
    assert all("PixelData" not in header for header in series.headers)
    assert series.has_identifiers
    assert series.reservations == ()


def test_acquisition_and_subject_come_from_the_header(tmp_path: Path) -> None:
    write_ct_series(_volume(), HEADER, tmp_path)
    series = _read(tmp_path)
    acquisition = series.acquisition
    assert acquisition.kvp == pytest.approx(120)
    assert acquisition.thickness_mm == pytest.approx(2.5)
    assert (acquisition.kernel, acquisition.manufacturer, acquisition.model) == (
        "B30f",
        "Maker",
        "Model",
    )
    assert acquisition.contrast is None
    assert (series.subject.age, series.subject.sex, series.subject.study_date) == (
        70,
        "F",
        "20200102",
    )


def test_the_subject_key_depends_on_the_salt_and_hides_the_patient(tmp_path: Path) -> None:
    write_ct_series(_volume(), HEADER, tmp_path)
    (files,) = find_series(tmp_path).series
    plain, salted = read_series(files), read_series(files, salt=b"site")
    assert plain.subject.key != salted.subject.key
    assert re.fullmatch("[0-9a-f]{16}", plain.subject.key or "")
    assert "4711" not in repr(plain.subject)


def test_without_a_patient_id_there_is_no_key(tmp_path: Path) -> None:
    write_ct_series(_volume(), HEADER, tmp_path)
    _edit_all(tmp_path, PatientID="", PatientSex="X", StudyDate="2020")
    subject = _read(tmp_path).subject
    assert (subject.key, subject.sex, subject.study_date) == (None, None, None)


def test_instance_numbers_and_file_names_do_not_order_slices(tmp_path: Path) -> None:
    volume = _volume()
    names = ["c.dcm", "a", "e.dcm", "b.DCM", "d"]
    files = write_ct_series(volume, HEADER, tmp_path, names=names)
    for number, file in zip((5, 5, -1, 900000, 0), files):
        _edit(file, InstanceNumber=number)
    series = _read(tmp_path)
    assert_array_equal(series.volume.hu, volume.hu)
    assert_allclose(series.volume.affine, volume.affine, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "affine",
    [
        _affine(slice_axis=(0, 0, -2.5)),
        _affine(row_axis=(0, -0.7, 0), column_axis=(-0.8, 0, 0)),
        _affine(row_axis=(0, -0.7, 0)),
        _affine(slice_axis=(0, -0.5, 2.4), row_axis=(0, 0.48, 0.1)),
    ],
    ids=["slices from the head down", "prone", "rows to the front", "oblique"],
)
def test_every_value_stays_at_its_place_in_the_patient(affine: Affine, tmp_path: Path) -> None:
    volume = _volume(affine)
    write_ct_series(volume, HEADER, tmp_path)
    expected, _ = stand(volume)
    standing, _ = stand(_read(tmp_path).volume)
    assert_array_equal(standing.hu, expected.hu)
    assert_allclose(standing.affine, expected.affine, rtol=0, atol=1e-9)


def test_a_single_slice_stands_on_its_thickness(tmp_path: Path) -> None:
    volume = _volume(slices=1)
    write_ct_series(volume, HEADER, tmp_path)
    assert_allclose(_read(tmp_path).volume.affine, volume.affine, rtol=0, atol=1e-9)


def test_slice_thickness_does_not_change_the_step(tmp_path: Path) -> None:
    header = SeriesHeader(
        patient_id="1",
        study_uid="2.25.1",
        series_uid="2.25.2",
        frame_of_reference_uid="2.25.3",
        thickness_mm=5.0,
    )
    write_ct_series(_volume(), header, tmp_path)
    series = _read(tmp_path)
    assert series.volume.spacing_mm[0] == pytest.approx(2.5)
    assert series.acquisition.thickness_mm == pytest.approx(5)


def test_each_slice_keeps_its_own_rescale(tmp_path: Path) -> None:
    volume = _volume()
    files = write_ct_series(volume, HEADER, tmp_path)
    _edit(files[2], RescaleSlope="0.5", RescaleIntercept="-1000")
    hu = _read(tmp_path).volume.hu
    assert_allclose(hu[2], (volume.hu[2] + 1024) * 0.5 - 1000, rtol=0, atol=1e-3)
    assert_array_equal(hu[[0, 1, 3, 4]], volume.hu[[0, 1, 3, 4]])


def test_padding_becomes_air_and_nothing_else_is_clipped(tmp_path: Path) -> None:
    files = write_ct_series(_volume(), HEADER, tmp_path)
    for file in files:
        instance = pydicom.dcmread(file)
        instance.PixelRepresentation = 1
        instance.BitsStored, instance.HighBit = 16, 15
        instance.RescaleIntercept = 0
        stored = np.full((12, 10), 40, dtype="<i2")
        stored[0] = (-2000, -1999, -1500, -1024, -3000, 3100, 0, 1, 2, 3)
        instance.PixelData = stored.tobytes()
        instance.add_new("PixelPaddingValue", "SS", -2000)
        instance.add_new("PixelPaddingRangeLimit", "SS", -1999)
        instance.save_as(file)
    row = _read(tmp_path).volume.hu[0, 0]
    assert_array_equal(row, [-1024, -1024, -1500, -1024, -3000, 3100, 0, 1, 2, 3])


@pytest.mark.parametrize(("representation", "written"), [(1, 63536), (0, -2000 + 2**15)])
def test_padding_is_read_as_signed_as_the_pixels_are(
    representation: int, written: int, tmp_path: Path
) -> None:
    files = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    instance = pydicom.dcmread(files[0])
    instance.PixelRepresentation = representation
    instance.BitsStored, instance.HighBit = 16, 15
    instance.RescaleIntercept = 0 if representation else -(2**15)
    stored = np.full((12, 10), -1000 if representation else 2**15 - 1000, dtype="<i4")
    stored[0] = -2000 if representation else written
    stored[1] = 40 if representation else 2**15 + 40
    instance.PixelData = stored.astype("<u2").tobytes()
    instance.add_new("PixelPaddingValue", "US", written)
    instance.save_as(files[0])
    hu = _read(tmp_path).volume.hu[0]
    assert_array_equal(hu[:3, 0], [-1024, 40, -1000])


def test_bits_above_the_stored_ones_are_no_part_of_the_value(tmp_path: Path) -> None:
    volume = _volume(slices=1)
    (file,) = write_ct_series(volume, HEADER, tmp_path)
    instance = pydicom.dcmread(file)
    stored = np.frombuffer(instance.PixelData, dtype="<u2") | 0x8000  # an overlay in bit 15
    instance.PixelData = stored.tobytes()
    instance.save_as(file)
    assert_array_equal(_read(tmp_path).volume.hu, volume.hu)


def test_trailing_bytes_are_ignored(tmp_path: Path) -> None:
    volume = _volume()
    files = write_ct_series(volume, HEADER, tmp_path)
    instance = pydicom.dcmread(files[1])
    instance.PixelData += b"\0" * 64
    instance.save_as(files[1])
    assert_array_equal(_read(tmp_path).volume.hu, volume.hu)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_every_lossless_syntax_gives_the_same_values(syntax: UID, tmp_path: Path) -> None:
    volume = _volume()
    for file in write_ct_series(volume, HEADER, tmp_path):
        recode(file, syntax)
        assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == syntax
    series = _read(tmp_path)
    assert_array_equal(series.volume.hu, volume.hu)
    assert_allclose(series.volume.affine, volume.affine, rtol=0, atol=1e-9)
    assert series.reservations == ()


def test_every_pinned_decoder_but_htj2k_is_installed() -> None:
    missing = {
        syntax.name
        for syntax, plugin in DECODERS.items()
        if plugin and plugin not in get_decoder(syntax).available_plugins
    }
    assert all("High-Throughput" in name for name in missing)


def test_compression_with_loss_is_a_reservation(tmp_path: Path) -> None:
    files = write_ct_series(_volume(), HEADER, tmp_path)
    _edit(files[1], LossyImageCompression="01")
    assert [one.code for one in _read(tmp_path).reservations] == [ReservationCode.LOSSY]


def test_a_lossy_syntax_is_a_reservation(tmp_path: Path) -> None:
    volume = _volume()
    for file in write_ct_series(volume, HEADER, tmp_path):
        instance = pydicom.dcmread(file)
        instance.compress(JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)
        instance.save_as(file)
    series = _read(tmp_path)
    (lossy,) = series.reservations
    assert lossy.code is ReservationCode.LOSSY
    assert lossy.text.endswith("off by up to 2 HU.")
    assert np.abs(series.volume.hu - volume.hu).max() <= 2  # the promised error


def test_a_derived_axial_slice_is_accepted(tmp_path: Path) -> None:
    write_ct_series(_volume(), HEADER, tmp_path)
    assert _read(tmp_path).headers[0].ImageType == ["DERIVED", "SECONDARY", "AXIAL"]


@pytest.mark.parametrize(
    ("agent", "contrast"), [("IOPAMIDOL", True), ("", False), ("NONE", False), ("none", False)]
)
def test_the_contrast_agent_is_told(agent: str, contrast: bool, tmp_path: Path) -> None:
    write_ct_series(_volume(), HEADER, tmp_path)
    _edit_all(tmp_path, ContrastBolusAgent=agent)
    series = _read(tmp_path)
    assert series.acquisition.contrast is contrast
    codes = [one.code for one in series.reservations]
    assert codes == ([ReservationCode.CONTRAST] if contrast else [])


def test_a_coded_contrast_agent_is_told(tmp_path: Path) -> None:
    files = write_ct_series(_volume(), HEADER, tmp_path)
    agent = Dataset()
    agent.CodeMeaning = "Iopamidol"
    _edit(files[3], ContrastBolusAgentSequence=DicomSequence([agent]))
    assert _read(tmp_path).acquisition.contrast is True


@pytest.mark.parametrize(("kvp", "read"), [(None, None), ("0", None), ("70", 70.0)])
def test_a_tube_voltage_is_read_or_unknown(
    kvp: str | None, read: float | None, tmp_path: Path
) -> None:
    write_ct_series(_volume(), HEADER, tmp_path)
    _edit_all(tmp_path, KVP=kvp)
    assert _read(tmp_path).acquisition.kvp == read


def test_empty_identifiers_are_a_reservation(tmp_path: Path) -> None:
    volume = _volume()
    write_ct_series(volume, HEADER, tmp_path)
    _edit_all(
        tmp_path, SOPInstanceUID="", SOPClassUID="", StudyInstanceUID="", SeriesInstanceUID=""
    )
    series = _read(tmp_path)
    assert not series.has_identifiers
    assert [one.code for one in series.reservations] == [ReservationCode.NO_IDENTIFIERS]
    assert_array_equal(series.volume.hu, volume.hu)


def _refused(folder: Path, code: RefusalCode, match: str) -> InputError:
    with pytest.raises(InputError, match=match) as caught:
        _read(folder)
    assert caught.value.code is code
    assert caught.value.source is not None
    assert "Caroline" not in str(caught.value)
    assert "4711" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("changes", "code", "match"),
    [
        ({"Modality": "MR"}, RefusalCode.NOT_CT, "got MR"),
        ({"Modality": ""}, RefusalCode.NOT_CT, "got None"),
        (
            {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
            RefusalCode.DERIVED,
            "got LOCALIZER",
        ),
        (
            {"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE", "MIP"]},
            RefusalCode.DERIVED,
            "PROJECTION IMAGE",
        ),
        ({"ImageType": ["DERIVED", "SECONDARY", "REF_SURVIEW"]}, RefusalCode.DERIVED, "SURVIEW"),
        (
            {"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]},
            RefusalCode.DERIVED,
            "REFORMATTED",
        ),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, RefusalCode.DERIVED, "Secondary Capture"),
        ({"NumberOfFrames": 2}, RefusalCode.UNSUPPORTED_FORMAT, "a file of several frames"),
        ({"PixelSpacing": None}, RefusalCode.NO_SPACING, "got None"),
        ({"PixelSpacing": ["0", "0.7"]}, RefusalCode.NO_SPACING, "got"),
        ({"PixelSpacing": ["0.7", "-0.7"]}, RefusalCode.NO_SPACING, "got"),
        ({"RescaleSlope": None}, RefusalCode.NO_HU, "got None"),
        ({"RescaleIntercept": None}, RefusalCode.NO_HU, "None"),
        ({"RescaleSlope": "0"}, RefusalCode.NO_HU, "slope not 0"),
        ({"RescaleType": "US"}, RefusalCode.NOT_HU, "got US"),
        ({"ImagePositionPatient": None}, RefusalCode.NO_GEOMETRY, "position and orientation"),
        ({"ImageOrientationPatient": None}, RefusalCode.NO_GEOMETRY, "position and orientation"),
        (
            {"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]},
            RefusalCode.NO_GEOMETRY,
            "perpendicular",
        ),
        ({"PhotometricInterpretation": "MONOCHROME1"}, RefusalCode.NOT_HU, "MONOCHROME1"),
        ({"SamplesPerPixel": 3}, RefusalCode.NOT_HU, "1 sample"),
        ({"BitsAllocated": 8}, RefusalCode.NOT_HU, "16 bits allocated"),
        ({"BitsStored": 17}, RefusalCode.NOT_HU, "bits stored"),
        ({"HighBit": 15}, RefusalCode.NOT_HU, "high bit"),
        ({"PixelRepresentation": 2}, RefusalCode.NOT_HU, "pixel representation"),
        ({"Rows": 65535}, RefusalCode.TOO_LARGE, "65535"),
        ({"Rows": 0}, RefusalCode.TRUNCATED, "not zero"),
        ({"Rows": 24}, RefusalCode.TRUNCATED, "must hold 480 bytes, got 240"),
        ({"PixelData": None}, RefusalCode.TRUNCATED, "must hold 240 bytes, got 0"),
        ({"PatientAge": "017Y"}, RefusalCode.OUT_OF_POPULATION, "got 17"),
        ({"PatientAge": "200M"}, RefusalCode.OUT_OF_POPULATION, "got 16"),
        ({"PatientAge": "", "PatientBirthDate": "20020103"}, RefusalCode.OUT_OF_POPULATION, "17"),
    ],
)
def test_a_slice_that_cannot_be_trusted_is_refused(
    changes: dict[str, object], code: RefusalCode, match: str, tmp_path: Path
) -> None:
    write_ct_series(_volume(slices=1), HEADER, tmp_path)
    _edit_all(tmp_path, **changes)
    _refused(tmp_path, code, match)


@pytest.mark.parametrize("value", [b"abc\\abc ", b"NaN\\NaN ", b"0.7 ", b"0.7\\0.7\\0.7 "])
def test_malformed_spacing_is_refused(value: bytes, tmp_path: Path) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    _raw_text(file, 0x00280030, "DS", value)
    _refused(tmp_path, RefusalCode.NO_SPACING, "two positive numbers")


def test_a_message_holds_no_control_characters(tmp_path: Path) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    _raw_text(file, 0x00080008, "CS", b"ORIGINAL\\PRIMARY\\MIP\n\x1b[31mX ")
    _refused(tmp_path, RefusalCode.DERIVED, r"got MIP\[31MX$")


def test_a_single_slice_without_thickness_is_refused(tmp_path: Path) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    _edit(file, SliceThickness=None)
    _refused(tmp_path, RefusalCode.NO_SPACING, "positive thickness, got None")


def test_an_adult_by_birth_date_is_read(tmp_path: Path) -> None:
    write_ct_series(_volume(), HEADER, tmp_path)
    _edit_all(tmp_path, PatientAge="", PatientBirthDate="20020102")
    assert _read(tmp_path).subject.age == 18


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientAge": "", "PatientBirthDate": "00000000"},
        {"PatientAge": "999Y"},
        {"PatientAge": "", "PatientBirthDate": "20300101"},
    ],
)
def test_an_impossible_age_is_unknown(changes: dict[str, object], tmp_path: Path) -> None:
    write_ct_series(_volume(), HEADER, tmp_path)
    _edit_all(tmp_path, **changes)
    assert _read(tmp_path).subject.age is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageOrientationPatient": ["1", "0.02", "0", "-0.02", "1", "0"]},
        {"PixelSpacing": ["0.7", "0.9"]},
        {"FrameOfReferenceUID": "2.25.99"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_slices_that_do_not_match_are_refused(changes: dict[str, object], tmp_path: Path) -> None:
    files = write_ct_series(_volume(), HEADER, tmp_path)
    _edit(files[3], **changes)
    _refused(tmp_path, RefusalCode.MIXED_ORIENTATION, "must (agree|share)")


def test_two_patients_in_one_series_are_refused(tmp_path: Path) -> None:
    files = write_ct_series(_volume(), HEADER, tmp_path)
    _edit(files[3], PatientID="MRN-4712")
    _refused(tmp_path, RefusalCode.MIXED_PATIENTS, "one patient, got 2")


def test_two_slices_at_one_position_are_refused(tmp_path: Path) -> None:
    slices = slices_of(_volume())
    write_ct_slices([*slices, Volume(slices[2].hu + 1, slices[2].affine)], HEADER, tmp_path)
    _refused(tmp_path, RefusalCode.DUPLICATE_SLICES, "0002.dcm and 0005.dcm")


def test_a_copy_of_a_file_counts_once(tmp_path: Path) -> None:
    volume = _volume()
    files = write_ct_series(volume, HEADER, tmp_path)
    (tmp_path / "copy").mkdir()
    for file in files:
        shutil.copy(file, tmp_path / "copy")
    series = _read(tmp_path)
    assert_array_equal(series.volume.hu, volume.hu)
    (copies,) = (one for one in series.reservations if one.code is ReservationCode.COPIES)
    assert copies.text.endswith("left out: 5.")


def test_one_instance_uid_for_two_slices_is_refused(tmp_path: Path) -> None:
    files = write_ct_series(_volume(), HEADER, tmp_path)
    _edit(files[3], SOPInstanceUID=pydicom.dcmread(files[0]).SOPInstanceUID)
    _refused(tmp_path, RefusalCode.DUPLICATE_SLICES, "its own SOP Instance UID")


@pytest.mark.parametrize(("gone", "kept"), [(1, slice(2, None)), (3, slice(0, 3))])
def test_of_a_series_with_a_gap_the_longest_part_is_read(
    gone: int, kept: slice, tmp_path: Path
) -> None:
    volume = _volume(slices=6)
    files = write_ct_series(volume, HEADER, tmp_path)
    files[gone].unlink()
    series = _read(tmp_path)
    assert_array_equal(series.volume.hu, volume.hu[kept])
    assert len(series.headers) == len(series.volume.hu)
    (gap,) = (one for one in series.reservations if one.code is ReservationCode.GAP)
    assert "a gap of 5.00 mm" in gap.text
    assert f"{5 - len(volume.hu[kept])} of 5 slices" in gap.text


def test_a_series_that_is_mostly_gaps_is_refused(tmp_path: Path) -> None:
    files = write_ct_series(_volume(slices=8), HEADER, tmp_path)
    for gone in (2, 5):
        files[gone].unlink()
    error = _refused(tmp_path, RefusalCode.MISSING_SLICES, "in half of the stack at least")
    assert isinstance(error, GeometryError)


def test_slices_beyond_a_change_of_step_are_left_out(tmp_path: Path) -> None:
    slices = slices_of(_volume())
    affine = slices[-1].affine.copy()
    affine[2, 3] += 0.06
    write_ct_slices([*slices[:-1], Volume(slices[-1].hu, affine)], HEADER, tmp_path)
    series = _read(tmp_path)
    assert len(series.volume.hu) == len(slices) - 1
    assert any("a step of 2.56 mm" in one.text for one in series.reservations)


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_read(tmp_path: Path) -> None:
    slices = slices_of(_volume(_affine(slice_axis=(0, 0, 1.25))))
    rounded = []
    for one in slices:
        affine = one.affine.copy()
        affine[2, 3] = round(affine[2, 3], 1)
        rounded.append(Volume(one.hu, affine))
    write_ct_slices(rounded, HEADER, tmp_path)
    assert _read(tmp_path).volume.spacing_mm[0] == pytest.approx(1.25, abs=0.03)


def test_a_tilted_gantry_is_read_as_it_leans(tmp_path: Path) -> None:
    tilt = np.radians(5)
    affine = _affine(row_axis=(0, 0.7 * float(np.cos(tilt)), 0.7 * float(np.sin(tilt))))
    write_ct_series(_volume(affine), HEADER, tmp_path)
    # six decimals of a direction cosine, and of a position
    assert_allclose(_read(tmp_path).volume.affine, affine, rtol=0, atol=1e-5)
    _, reorientation = stand(_read(tmp_path).volume)
    assert reorientation.shear_deg == pytest.approx(5, abs=1e-3)


def test_a_slice_beside_the_stack_is_refused(tmp_path: Path) -> None:
    slices = slices_of(_volume())
    affine = slices[2].affine.copy()
    affine[0, 3] += 1
    slices[2] = Volume(slices[2].hu, affine)
    write_ct_slices(slices, HEADER, tmp_path)
    _refused(tmp_path, RefusalCode.GANTRY_TILT, "1.00 mm beside it")


@pytest.mark.parametrize(
    ("low", "high"), [(0, 255), (0, 4095), (-29, 2000), (-1024, -300), (-1024, 50000)]
)
def test_values_that_are_no_hounsfield_units_are_refused(
    low: int, high: int, tmp_path: Path
) -> None:
    for file in write_ct_series(_volume(), HEADER, tmp_path):
        instance = pydicom.dcmread(file)
        stored = np.linspace(low, high, 120).astype(int)
        instance.BitsStored, instance.HighBit = 16, 15
        instance.RescaleIntercept = low
        instance.PixelData = (stored - low).astype("<u2").tobytes()
        instance.save_as(file)
    _refused(tmp_path, RefusalCode.NOT_HU, "values must be HU")


def test_a_truncated_file_is_refused_by_name(tmp_path: Path) -> None:
    files = write_ct_series(_volume(), HEADER, tmp_path)
    files[3].write_bytes(files[3].read_bytes()[:-50])
    error = _refused(tmp_path, RefusalCode.TRUNCATED, "0003.dcm")
    assert error.source == files[3]


def test_a_file_truncated_in_its_header_is_refused_by_name(tmp_path: Path) -> None:
    files = write_ct_series(_volume(), HEADER, tmp_path)
    content = files[3].read_bytes()
    files[3].write_bytes(content[: content.index(b"\xe0\x7f\x10\x00")])
    assert _refused(tmp_path, RefusalCode.TRUNCATED, "must hold 240").source == files[3]


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_damaged_compressed_pixels_are_refused(syntax: UID, tmp_path: Path) -> None:
    files = write_ct_series(_volume(), HEADER, tmp_path)
    recode(files[2], syntax)
    instance = pydicom.dcmread(files[2])
    instance.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
    instance.save_as(files[2])
    assert _refused(tmp_path, RefusalCode.TRUNCATED, "pixel data").source == files[2]


@pytest.mark.parametrize("syntax", [JPEGExtended12Bit, UID("1.2.3.4.5"), UID("")])
def test_an_unknown_syntax_is_refused(syntax: UID, tmp_path: Path) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    content = file.read_bytes()
    old = str(ExplicitVRLittleEndian).encode() + b"\0"
    place = content.index(old)
    new = str(syntax).encode() + b"\0" * (len(syntax) % 2)
    length = struct.pack("<H", len(new))
    body = content[: place - 2] + length + new + content[place + len(old) :]
    (group_length,) = struct.unpack_from("<I", body, 140)
    group_length += len(new) - len(old)
    file.write_bytes(body[:140] + struct.pack("<I", group_length) + body[144:])
    _refused(tmp_path, RefusalCode.UNSUPPORTED_SYNTAX, "transfer syntax")


def test_every_syntax_that_is_read_is_recoded_but_those_that_nothing_here_writes() -> None:
    exact = {syntax for syntax in DECODERS if syntax not in LOSSY_SYNTAXES}
    unwritten = {HTJ2KLossless, HTJ2KLosslessRPCL}
    assert exact == {ExplicitVRLittleEndian, *LOSSLESS, *unwritten}


def test_high_throughput_jpeg_2000_has_its_decoder() -> None:
    assert "pylibjpeg" in get_decoder(HTJ2KLossless).available_plugins


def _deflated(file: Path, body: bytes) -> None:
    """Write a file that claims to be deflated, around any body."""
    instance = pydicom.dcmread(file)
    instance.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    bare = Dataset()
    bare.file_meta = instance.file_meta
    bare.preamble = b"\0" * 128
    pydicom.dcmwrite(file, bare, implicit_vr=False, little_endian=True, force_encoding=True)
    content = file.read_bytes()
    (group_length,) = struct.unpack_from("<I", content, 140)
    file.write_bytes(content[: 144 + group_length] + body)


def test_a_deflate_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    deflator = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    _deflated(file, deflator.compress(b"\0" * 2**22) + deflator.flush())
    monkeypatch.setattr(header_module, "MAX_INFLATED_BYTES", 2**20)
    with pytest.raises(InputError, match="must not inflate") as caught:
        find_series(file)
    assert caught.value.code is RefusalCode.TOO_LARGE


def test_a_truncated_deflated_file_is_refused(tmp_path: Path) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    recode(file, DeflatedExplicitVRLittleEndian)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(InputError, match="ended in EOFError") as caught:
        find_series(file)
    assert caught.value.code is RefusalCode.TRUNCATED


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    monkeypatch.setattr(header_module, "MAX_FILE_BYTES", 100)
    with pytest.raises(InputError, match="larger than 100 bytes") as caught:
        find_series(file)
    assert caught.value.code is RefusalCode.TOO_LARGE


def test_nested_sequences_without_end_are_refused(tmp_path: Path) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    sequence = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    place = file.read_bytes().index(b"\x08\x00\x16\x00UI")
    content = file.read_bytes()
    file.write_bytes(content[:place] + sequence * 3000)
    with pytest.raises(InputError, match="ended in") as caught:
        find_series(file)
    assert caught.value.code in (RefusalCode.TRUNCATED, RefusalCode.NOT_DICOM)


def test_too_many_files_are_refused_before_reading(tmp_path: Path) -> None:
    files = SeriesFiles("2.25.2", "2.25.1", "CT", "", (Frame(tmp_path / "missing.dcm"),) * 5001)
    with pytest.raises(InputError, match="more than 5000 slices, got 5001") as caught:
        read_series(files)
    assert caught.value.code is RefusalCode.TOO_LARGE


def test_too_many_voxels_are_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ct_series(_volume(), HEADER, tmp_path)
    monkeypatch.setattr("osteoscreen.volume.MAX_VOXELS", 599)
    _refused(tmp_path, RefusalCode.TOO_LARGE, r"more than 599 voxels, got 5 x 12 x 10")


def test_malformed_and_private_attributes_are_left_out(tmp_path: Path) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    instance = pydicom.dcmread(file)
    instance.private_block(0x0009, "MAKER", create=True).add_new(1, "LO", "secret")
    instance.save_as(file)
    _raw_text(file, 0x00180021, "US", b"abc")
    _raw_text(file, 0x00080008, "CS", b"not a code string\\Caroline ")
    header = _read(tmp_path).headers[0]
    assert not any(tag.is_private for tag in header)
    assert 0x00180021 not in header


@pytest.mark.parametrize("character_set", [b"ISO-IR 192", b"NOWHERE 77"])
def test_an_odd_character_set_is_read_without_a_warning(
    character_set: bytes, tmp_path: Path
) -> None:
    (file,) = write_ct_series(_volume(slices=1), HEADER, tmp_path)
    file.write_bytes(file.read_bytes().replace(b"ISO_IR 192", character_set))
    assert _read(tmp_path).volume.hu.shape == (1, 12, 10)


def test_no_log_names_the_patient(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    files = write_ct_series(_volume(), HEADER, tmp_path)
    for file in files:
        _raw_text(file, 0x00100020, "LO", b"MRN-4711" + b"x" * 80)
        _raw_text(file, 0x00080018, "UI", b"Caroline")
    with pytest.raises(InputError):
        _read(tmp_path)
    for record in caplog.records:
        assert "Caroline" not in record.getMessage()
        assert "4711" not in record.getMessage()


def test_written_slices_differ_from_series_to_series_only_by_their_uid(tmp_path: Path) -> None:
    first = write_ct_series(_volume(), HEADER, tmp_path / "a")
    second = write_ct_series(_volume(), HEADER, tmp_path / "b")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_values_beyond_twelve_bits_are_clipped_when_written(tmp_path: Path) -> None:
    hu = np.array([[[-3000.0, 5000.0, 0.4, -1000.6]]], dtype=np.float32)
    write_ct_series(Volume(hu, _affine()), HEADER, tmp_path)
    assert_array_equal(_read(tmp_path).volume.hu[0, 0], [-1024, 3071, 0, -1001])


def test_as_many_names_as_slices_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_ct_series(_volume(), HEADER, tmp_path, names=["one.dcm"])


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_dciodvfy_finds_no_error_in_a_written_slice(tmp_path: Path) -> None:
    full = SeriesHeader(
        patient_id="1",
        study_uid="2.25.1",
        series_uid="2.25.2",
        frame_of_reference_uid="2.25.3",
        study_description="Abdomen",
        series_description="Phantom",
        tube_current_ma=180.4,
        contrast_agent="IOPAMIDOL",
        pixels=PixelFormat(padding_value=0),
    )
    for header, folder in ((HEADER, "a"), (full, "b")):
        file = write_ct_series(_volume(), header, tmp_path / folder)[0]
        checked = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "Error" not in checked.stderr


@pytest.mark.skipif(not REAL.exists(), reason="the real CT data is not here")
def test_a_real_jpeg_2000_series_without_identifiers_is_read() -> None:
    series = _read(REAL / "ts_dicom" / "ct")
    assert series.volume.hu.shape == (20, 512, 512)
    assert series.volume.spacing_mm == pytest.approx((2, 0.9765625, 0.9765625))
    assert not series.has_identifiers
    assert {one.code for one in series.reservations} == {
        ReservationCode.CONTRAST,
        ReservationCode.NO_IDENTIFIERS,
    }


@pytest.mark.skipif(not REAL.exists(), reason="the real CT data is not here")
def test_one_real_slice_reads_the_same_in_every_lossless_syntax() -> None:
    folder = REAL / "formats" / "one_slice_many_syntaxes"
    plain = _read(folder / "CTImage.dcm").volume
    tails = ("1.2.1", "1.2.2", "1.2.1.99", "1.2.4.57", "1.2.4.70", "1.2.4.80", "1.2.4.90", "1.2.5")
    for tail in tails:
        (file,) = folder.glob(f"CTImage.dcm_*_1.2.840.10008.{tail}.dcm")
        assert_array_equal(_read(file).volume.hu, plain.hu, err_msg=tail)


@pytest.mark.skipif(not REAL.exists(), reason="the real CT data is not here")
@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("broken_series/gantrytilting/001", RefusalCode.OUT_OF_POPULATION),
        ("broken_series/slicecount/001", RefusalCode.NOT_CT),
        ("broken_series/sliceincrement/001", RefusalCode.OUT_OF_POPULATION),
        ("broken_series/sliceincrement/002", RefusalCode.NOT_HU),
        ("philips_tilt/S1000", RefusalCode.DERIVED),
    ],
)
def test_real_broken_series_are_refused_for_the_right_reason(
    folder: str, code: RefusalCode
) -> None:
    with pytest.raises(InputError, match="must") as caught:
        _read(REAL / "formats" / folder)
    assert caught.value.code is code


@pytest.mark.skipif(not REAL.exists(), reason="the real CT data is not here")
@pytest.mark.parametrize(
    ("folder", "slices", "codes"),
    [("ge_tilt", 10, []), ("philips_tilt/S2010", 6, [ReservationCode.GAP])],
)
def test_a_real_tilted_gantry_is_read(
    folder: str, slices: int, codes: list[ReservationCode]
) -> None:
    series = _read(REAL / "formats" / folder)
    standing, reorientation = stand(series.volume)
    assert [one.code for one in series.reservations] == codes
    assert len(standing.hu) == slices
    # what GantryDetectorTilt says, which nothing reads
    assert reorientation.shear_deg == pytest.approx(18.5, abs=0.01)
