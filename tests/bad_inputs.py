"""Inputs that a department may meet, made in code, each with what must come of it.

The numbers are those of the project's list of bad inputs; what concerns services is not here.
``docs/bad_inputs.md`` is the table of what did come of them: ``test_bad_inputs.py`` compares it.
"""

from __future__ import annotations

import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, fragment_frame
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    RLELossless,
)

from osteoscreen.dicom.instance import SeriesHeader, derived_uid, write_ct_series
from osteoscreen.volume import Affine, Volume

SIZE, SLICES = 72, 6
AFFINE: Affine = np.array([[0, 0, 1.5, -54], [0, 1.5, 0, -54], [4, 0, 0, 100], [0, 0, 0, 1.0]])


def spine() -> NDArray[np.float32]:
    """A column of bone off the middle of a body in air."""
    steps = np.arange(SIZE)
    hu = np.full((SLICES, SIZE, SIZE), -1000, np.float32)
    hu[:, 5:68, 4:69] = 40
    hu[:, np.hypot(steps[:, None] - 42, steps[None, :] - 30) <= 14] = 300
    return hu


def header(name: str = "A", **changes: object) -> SeriesHeader:
    """Header of a series of a patient."""
    plain = SeriesHeader(
        patient_id=name,
        patient_name=f"{name}^TEST",
        sex="F",
        age=61,
        study_uid=derived_uid(f"{name}/study"),
        series_uid=derived_uid(f"{name}/ct"),
        frame_of_reference_uid=derived_uid(f"{name}/frame"),
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        kernel="B30f",
        kvp=120,
        thickness_mm=4,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def series(
    folder: Path, name: str = "A", hu: NDArray[np.float32] | None = None, **changes: object
) -> list[Path]:
    """Write a good series; its files from the lowest slice up."""
    affine = changes.pop("affine", AFFINE)
    assert isinstance(affine, np.ndarray)
    volume = Volume(spine() if hu is None else hu, affine)
    return list(write_ct_series(volume, header(name, **changes), folder))


def edit(files: Sequence[Path], change: Callable[[Dataset], object]) -> None:
    """Change files in place, whatever pydicom thinks of the values."""
    with disable_value_validation():
        for file in files:
            instance = pydicom.dcmread(file)
            change(instance)
            instance.save_as(file)


def put(**values: object) -> Callable[[Dataset], object]:
    """Set attributes; ``None`` removes one."""

    def change(instance: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                if keyword in instance:
                    delattr(instance, keyword)
            else:
                setattr(instance, keyword, value)

    return change


def raw(keyword: str, vr: str, value: bytes) -> Callable[[Dataset], object]:
    """Set the bytes of an attribute, malformed or not."""
    tag = pydicom.datadict.tag_for_keyword(keyword)
    assert tag is not None

    def change(instance: Dataset) -> None:
        instance[tag] = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag(tag), vr, len(value), value, 0, False, True
        )

    return change


@dataclass(frozen=True)
class Bad:
    """One input and what must come of it.

    Args:
        number: In the list.
        what: The input in words.
        make: Writes it into an empty folder; returns what to screen.
        codes: Code of each row that is not skipped, ``"screened"`` or of a refusal, sorted.
        told: Reservations that a screened row must carry.
        skipped: Number of rows that are skipped.
    """

    number: str
    what: str
    make: Callable[[Path], Path]
    codes: tuple[str, ...] = ("screened",)
    told: frozenset[str] = field(default_factory=frozenset)
    skipped: int = 0


def _changed(
    *changes: Callable[[Dataset], object], at: slice = slice(None)
) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        files = series(folder)[at]
        for change in changes:
            edit(files, change)
        return folder

    return make


def _beside(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        series(folder / "ct")
        (folder / name).write_bytes(content)
        return folder

    return make


def _alone(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """Change the bytes of the third file."""

    def make(folder: Path) -> Path:
        file = series(folder)[2]
        file.write_bytes(change(file.read_bytes()))
        return folder

    return make


def _pixel_length(content: bytes) -> bytes:
    """Write the length 0xFFFFFFFE over that of the pixel data."""
    at = content.index(b"\xe0\x7f\x10\x00")
    return content[: at + 8] + struct.pack("<I", 0xFFFFFFFE) + content[at + 12 :]


def _nested(folder: Path) -> Path:
    file = series(folder)[0]
    content = file.read_bytes()
    at = content.index(b"\x28\x00\x02\x00US")  # before the image pixel module
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff"
    file.write_bytes(content[:at] + (sequence + item) * 3000 + content[at:])
    return folder


def _deflate_bomb(folder: Path) -> Path:
    file = series(folder)[0]
    instance = pydicom.dcmread(file)
    instance.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    instance.save_as(file)
    content = file.read_bytes()
    (length,) = struct.unpack_from("<I", content, 140)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(2**20)
    body = b"".join(packer.compress(zeros) for _ in range(1536)) + packer.flush()
    file.write_bytes(content[: 144 + length] + body)
    return file


def _zip(entries: dict[str, bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return folder / "a.zip"

    return make


def _zipped_series(extra: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        files = series(folder / "ct")
        with zipfile.ZipFile(folder / "a.zip", "w") as archive:
            for file in files:
                archive.write(file, file.name)
            archive.writestr(extra, b"x")
        return folder / "a.zip"

    return make


def _nested_zip(folder: Path) -> Path:
    _zip({"inner": b"x"})(folder)
    inner = (folder / "a.zip").read_bytes()
    return _zip({"inner.zip": inner})(folder)


def _dicomdir(folder: Path) -> Path:
    files = series(folder)
    instance = pydicom.dcmread(files[0])
    instance.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    record = Dataset()
    record.ReferencedFileID = ["..", "..", "etc", "passwd"]
    instance.DirectoryRecordSequence = Items([record])
    instance.save_as(folder / "DICOMDIR")
    return folder / "DICOMDIR"


def _compressed(
    syntax: str, *, jls_error: int | None = None, j2k_cr: list[float] | None = None
) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for file in series(folder):
            instance = pydicom.dcmread(file)
            instance.compress(
                syntax, generate_instance_uid=False, jls_error=jls_error, j2k_cr=j2k_cr
            )
            instance.save_as(file)
        return folder

    return make


def _rewritten(syntax: UID, *, implicit: bool, little: bool) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for file in series(folder):
            instance = pydicom.dcmread(file)
            instance.file_meta.TransferSyntaxUID = syntax
            if not little:
                words = np.frombuffer(instance.PixelData, "<u2").astype(">u2")
                instance.PixelData = words.tobytes()
            pydicom.dcmwrite(
                file, instance, implicit_vr=implicit, little_endian=little, force_encoding=True
            )
        return folder

    return make


def _fragmented(folder: Path) -> Path:
    for file in series(folder):
        instance = pydicom.dcmread(file)
        instance.compress(RLELossless, generate_instance_uid=False)
        (frame,) = pydicom.encaps.generate_frames(instance.PixelData, number_of_frames=1)
        parts = list(fragment_frame(frame, 3))
        instance.PixelData = encapsulate([frame], fragments_per_frame=len(parts), has_bot=False)
        instance.save_as(file)
    return folder


def _localizer(folder: Path) -> Path:
    edit(series(folder)[5:], put(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    return folder


def _sagittal_in_series(folder: Path) -> Path:
    edit(series(folder)[5:], put(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]))
    return folder


def _sagittal(folder: Path) -> Path:
    hu = spine().transpose(2, 0, 1)[:, ::-1]
    affine = np.array([[1.5, 0, 0, -54], [0, 0, 1.5, -54], [0, -4, 0, 120], [0, 0, 0, 1.0]])
    series(folder, hu=np.ascontiguousarray(hu), affine=affine)
    return folder


def _copies(folder: Path) -> Path:
    for file in series(folder / "a"):
        (folder / "b").mkdir(exist_ok=True)
        shutil.copy(file, folder / "b")
    return folder


def _same_uid(folder: Path) -> Path:
    files = series(folder)
    uid = pydicom.dcmread(files[0]).SOPInstanceUID
    edit(files[3:4], put(SOPInstanceUID=uid))
    return folder


def _two_at_one_place(**apart: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        series(folder / "a")
        files = series(folder / "b")
        for index, file in enumerate(files):
            edit([file], put(SOPInstanceUID=f"2.25.77{index}", **apart))
        return folder

    return make


def _without(*gone: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        files = series(folder)
        for index in gone:
            files[index].unlink()
        return folder

    return make


def _long_with_gaps(folder: Path) -> Path:
    files = series(folder, hu=np.concatenate([spine(), spine()]))
    for index in (2, 5, 8):
        files[index].unlink()
    return folder


def _equal_positions(folder: Path) -> Path:
    files = series(folder)
    edit(files, put(ImagePositionPatient=pydicom.dcmread(files[0]).ImagePositionPatient))
    return folder


def _shuffled(folder: Path) -> Path:
    files = series(folder)
    for file, number in zip(files, (2_000_000_000, 3, 3, 1, 0, 7)):
        edit([file], put(InstanceNumber=number))
    return folder


def _tilted(deg: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        tilt = np.radians(deg)
        affine = AFFINE.copy()
        affine[:3, 1] = (0, 1.5 * np.cos(tilt), 1.5 * np.sin(tilt))
        series(folder, affine=affine)
        return folder

    return make


def _turned(*signs: float) -> Callable[[Path], Path]:
    """Columns, rows and slices that run the other way in the patient."""

    def make(folder: Path) -> Path:
        affine = AFFINE @ np.diag([*signs, 1.0])
        series(folder, affine=affine)
        return folder

    return make


def _cut_off(folder: Path) -> Path:
    hu = np.roll(spine(), -30, axis=2)
    hu[:, :, 60:] = -1000
    series(folder, hu=hu)
    return folder


def _water(folder: Path) -> Path:
    hu = np.full((SLICES, SIZE, SIZE), -1000, np.float32)
    hu[:, 10:60, 10:60] = 0
    series(folder, hu=hu)
    return folder


def _study_of_many(folder: Path) -> Path:
    series(folder / "ct")
    for number, (modality, uid) in enumerate(
        (("MR", MRImageStorage), ("SEG", "1.2.840.10008.5.1.4.1.1.66.4"))
    ):
        files = series(folder / modality, series_uid=f"2.25.8{number}")
        edit(files, put(Modality=modality, SOPClassUID=uid))
    return folder


def _two_patients(folder: Path) -> Path:
    series(folder / "a", "A")
    series(folder / "b", "B", study_uid=header("A").study_uid)
    return folder


def _enhanced(folder: Path) -> Path:
    file = series(folder)[0]
    for other in folder.glob("*"):
        if other != file:
            other.unlink()
    edit([file], put(SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=6))
    return folder


def _eight_bit(instance: Dataset) -> None:
    instance.BitsAllocated, instance.BitsStored, instance.HighBit = 8, 8, 7
    instance.PixelData = bytes(SIZE * SIZE)


def _metal(folder: Path) -> Path:
    hu = spine()
    hu[2:4, 40:44, 28:32] = 3071
    series(folder, hu=hu)
    return folder


def _unsigned_read_as_signed(instance: Dataset) -> None:
    stored = np.frombuffer(instance.PixelData, "<u2").astype(np.int64) - 1024
    instance.PixelData = (stored & 0xFFFF).astype("<u2").tobytes()
    instance.RescaleIntercept, instance.PixelRepresentation = 0, 0
    instance.BitsStored, instance.HighBit = 16, 15


def _padded(instance: Dataset) -> None:
    stored = np.frombuffer(instance.PixelData, "<u2").astype("<i2")
    picture = stored.reshape(SIZE, SIZE).copy()
    picture[:3] = -2000
    instance.PixelRepresentation, instance.PixelData = 1, picture.tobytes()
    instance.BitsStored, instance.HighBit = 16, 15
    instance.add_new("PixelPaddingValue", "SS", -2000)


def _rescaled(folder: Path) -> Path:
    for index, file in enumerate(series(folder)):
        instance = pydicom.dcmread(file)
        stored = np.frombuffer(instance.PixelData, "<u2").astype(np.int64)
        if index % 2:
            instance.RescaleIntercept = -1524
            instance.PixelData = (stored + 500).astype("<u2").tobytes()
        instance.save_as(file)
    return folder


def told(*codes: str) -> frozenset[str]:
    """Reservations by code."""
    return frozenset(codes)


FOREIGN = b"\x1b[31m\nEVIL^<script>alert(1)</script>"

BAD = (
    Bad("1", "empty folder", lambda folder: folder, ("NO_INPUT",)),
    Bad("2", "a zero-byte `.dcm` beside a good series", _beside("a.dcm", b""), ("NOT_DICOM", "screened")),
    Bad("3", "no preamble", _bytes(lambda content: content[132:]), ("NOT_DICOM", "screened"), told("GAP")),
    Bad("4", "PNG as `.dcm`", _alone("a.dcm", b"\x89PNG\r\n\x1a\n" + bytes(300)), ("NOT_DICOM",)),
    Bad("4", "random bytes", _alone("a", bytes(range(256)) * 4), ("NOT_DICOM",)),
    Bad("4", "PDF", _alone("a.pdf", b"%PDF-1.7" + bytes(300)), ("NOT_DICOM",)),
    Bad("4", "PNG by name", _alone("a.png", b"\x89PNG\r\n\x1a\n"), ("UNSUPPORTED_FORMAT",)),
    Bad("5", "DICOMDIR whose file IDs leave the folder", _dicomdir),
    Bad("6", "truncated in the pixel data", _bytes(lambda content: content[:-3000]), ("TRUNCATED",)),
    Bad("7", "truncated in the header", _bytes(lambda content: content[:400]), ("TRUNCATED", "screened"), told("GAP")),
    Bad("8", "pixel data shorter than rows times columns", _changed(lambda one: put(PixelData=one.PixelData[:-200])(one)), ("TRUNCATED",)),
    Bad("9", "bytes behind the pixel data", _changed(lambda one: put(PixelData=one.PixelData + bytes(64))(one))),
    Bad("10", "pixel data of length 0xFFFFFFFE", _bytes(_pixel_length), ("TRUNCATED",)),
    Bad("11", "65535 rows and columns", _changed(put(Rows=65535, Columns=65535)), ("TOO_LARGE",)),
    Bad("12", "no rows", _changed(put(Rows=0)), ("TRUNCATED",)),
    Bad("13", "more bits stored than allocated", _changed(put(BitsStored=18, HighBit=17)), ("NOT_HU",)),
    Bad("14", "deflate bomb, 1.5 MB for 1.6 GB", _deflate_bomb, ("TOO_LARGE",)),
    Bad("15", "zip bomb", _zip({str(i): bytes(2**24) for i in range(8)}), ("TOO_LARGE",)),
    Bad("15", "zip within a zip", _nested_zip, ("NO_INPUT",)),
    Bad("15", "zip of 20,001 entries", _zip({str(i): b"" for i in range(20_001)}), ("TOO_LARGE",)),
    Bad("16", "zip entry `../../x`", _zipped_series("../../x"), ("UNSAFE_NAME", "screened")),
    Bad("16", "zip entry with an absolute path", _zipped_series("/etc/x"), ("UNSAFE_NAME", "screened")),
    Bad("17", "3,000 nested sequences", _nested, ("TRUNCATED", "screened")),
    Bad("18", "path traversal in patient ID and study UID", _changed(put(PatientID="../../x", StudyInstanceUID="../../../etc/x")), ("screened",), told("NO_IDENTIFIERS")),
    Bad("19", "UIDs of letters", _changed(raw("StudyInstanceUID", "UI", b"1.2.abc!"), raw("SeriesInstanceUID", "UI", b"x" * 80)), ("screened",), told("NO_IDENTIFIERS")),
    Bad("19", "empty study UID", _changed(put(StudyInstanceUID="")), ("screened",), told("NO_IDENTIFIERS")),
    Bad("20", "terminal codes, line breaks and HTML in a name", _changed(raw("PatientName", "PN", FOREIGN), raw("Manufacturer", "LO", FOREIGN))),
    Bad("21", "Japanese, Chinese and Unicode names", _changed(put(SpecificCharacterSet=["", "ISO 2022 IR 87"]), raw("PatientName", "PN", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"))),
    Bad("22", "unknown character set", _changed(raw("SpecificCharacterSet", "CS", b"NOWHERE 77"))),
    Bad("23", "private attributes with a name in them", _changed(lambda one: one.private_block(0x11, "SECRET", create=True).add_new(1, "LO", "Jane Doe"))),
    Bad("24", "no pixel spacing", _changed(put(PixelSpacing=None)), ("NO_SPACING",)),
    Bad("25", "pixel spacing that is no number", _changed(raw("PixelSpacing", "DS", b"abc\\abc ")), ("NO_SPACING",)),
    Bad("25", "pixel spacing NaN", _changed(raw("PixelSpacing", "DS", b"NaN\\NaN ")), ("NO_SPACING",)),
    Bad("25", "pixel spacing 0", _changed(put(PixelSpacing=[0, 0])), ("NO_SPACING",)),
    Bad("25", "negative pixel spacing", _changed(put(PixelSpacing=[-1, 1])), ("NO_SPACING",)),
    Bad("25", "pixels that are not square", _changed(put(PixelSpacing=[1.5, 1.2]))),
    Bad("26", "no rescale slope", _changed(put(RescaleSlope=None)), ("NO_HU",)),
    Bad("26", "no rescale intercept", _changed(put(RescaleIntercept=None)), ("NO_HU",)),
    Bad("27", "rescale slope 0", _changed(put(RescaleSlope=0)), ("NO_HU",)),
    Bad("27", "a rescale of its own in every other slice", _rescaled),
    Bad("28", "MONOCHROME1", _changed(put(PhotometricInterpretation="MONOCHROME1")), ("NOT_HU",)),
    Bad("29", "signed values said to be unsigned", _changed(_unsigned_read_as_signed), ("NOT_HU",)),
    Bad("30", "padding of -2000", _changed(_padded)),
    Bad("31", "values at the end of the 12-bit scale", _metal, ("screened",), told("SATURATED")),
    Bad("32", "rescale type US", _changed(put(RescaleType="US")), ("NOT_HU",)),
    Bad("33", "big endian", _rewritten(ExplicitVRBigEndian, implicit=False, little=False)),
    Bad("34", "implicit little endian", _rewritten(ImplicitVRLittleEndian, implicit=True, little=True)),
    Bad("34", "JPEG 2000 lossless", _compressed(JPEG2000Lossless)),
    Bad("34", "JPEG-LS lossless", _compressed(JPEGLSLossless)),
    Bad("34", "RLE", _compressed(RLELossless)),
    Bad("35", "JPEG-LS near-lossless", _compressed(JPEGLSNearLossless, jls_error=3), ("screened",), told("LOSSY")),
    Bad("35", "JPEG 2000 with loss", _compressed(JPEG2000, j2k_cr=[8]), ("screened",), told("LOSSY")),
    Bad("35", "once compressed with loss", _changed(put(LossyImageCompression="01")), ("screened",), told("LOSSY")),
    Bad("36", "unknown transfer syntax", _changed(lambda one: setattr(one.file_meta, "TransferSyntaxUID", "1.2.3.4.5")), ("UNSUPPORTED_SYNTAX",)),
    Bad("37", "pixel data in fragments without an offset table", _fragmented),
    Bad("38", "localizer within the series", _localizer, ("screened",), skipped=1),
    Bad("39", "sagittal slice within the series", _sagittal_in_series, ("screened",), skipped=1),
    Bad("40", "sagittal series alone, regular", _sagittal),
    Bad("41", "MIP", _changed(put(ImageType=["DERIVED", "SECONDARY", "MIP"])), ("DERIVED",)),
    Bad("42", "every file twice", _copies, ("screened",), told("COPIES")),
    Bad("43", "one instance UID for two slices", _same_uid, ("DUPLICATE_SLICES",)),
    Bad("44", "two reconstructions in one series", _two_at_one_place(ConvolutionKernel="B70f"), ("screened",), skipped=1),
    Bad("44", "two slices at each place that nothing tells apart", _two_at_one_place(), ("DUPLICATE_SLICES",)),
    Bad("45", "a slice is missing", _without(1), ("screened",), told("GAP")),
    Bad("45", "gaps on both sides of each pair", _long_with_gaps, ("MISSING_SLICES",)),
    Bad("46", "slices that overlap", _changed(put(SliceThickness=7)), ("screened",), told("THICKNESS_OTHER")),
    Bad("47", "no position", _changed(put(ImagePositionPatient=None)), ("NO_GEOMETRY",)),
    Bad("47", "equal positions", _equal_positions, ("DUPLICATE_SLICES",)),
    Bad("48", "shuffled, repeated and huge instance numbers", _shuffled),
    Bad("49", "gantry tilted by 12 degrees", _tilted(12), ("screened",), told("GANTRY_TILT")),
    Bad("49", "stack that leans by 35 degrees", _tilted(35), ("NEED_AXIAL",)),
    Bad("50", "prone", _turned(1, -1, -1)),
    Bad("50", "feet first", _turned(-1, 1, -1)),
    Bad("51", "slices 10 mm thick", _changed(put(SliceThickness=10)), ("screened",), told("THICKNESS_OTHER", "ABSTAINED")),
    Bad("53", "vertebra at the edge of the field of view", _cut_off, ("screened",), told("FIELD_OF_VIEW_CUT")),
    Bad("56", "MR and SEG in the study", _study_of_many, ("screened",), skipped=2),
    Bad("58", "virtual monoenergetic image", _changed(put(ImageType=["DERIVED", "PRIMARY", "AXIAL", "VMI_40KEV"])), ("NOT_CONVENTIONAL",)),
    Bad("59", "80 kV", _changed(put(KVP=80)), ("screened",), told("KVP_OTHER")),
    Bad("59", "no tube voltage", _changed(put(KVP=None)), ("screened",), told("KVP_UNKNOWN")),
    Bad("60", "contrast agent", _changed(put(ContrastBolusAgent="IOHEXOL")), ("screened",), told("CONTRAST")),
    Bad("64", "bone kernel", _changed(put(ConvolutionKernel="B70f")), ("screened",), told("KERNEL")),
    Bad("65", "Enhanced CT, several frames in a file", _enhanced, ("UNSUPPORTED_FORMAT",)),
    Bad("66", "child", _changed(put(PatientAge="012Y")), ("OUT_OF_POPULATION",)),
    Bad("66", "no age, birth date 00000000", _changed(put(PatientAge=None), raw("PatientBirthDate", "DA", b"00000000"))),
    Bad("67", "sex O", _changed(put(PatientSex="O"))),
    Bad("67", "animal", _changed(put(PatientSpeciesDescription="Canis lupus familiaris")), ("OUT_OF_POPULATION",)),
    Bad("68", "two patients in one study", _two_patients, ("MIXED_PATIENTS", "MIXED_PATIENTS")),
    Bad("68", "two patients in one series", _changed(put(PatientID="B"), at=slice(3, None)), ("MIXED_PATIENTS",)),
    Bad("69", "8-bit picture that calls itself CT", _changed(_eight_bit), ("NOT_HU",)),
    Bad("70", "water phantom", _water, ("NO_LUMBAR",)),
    Bad("71", "study of the future, no date", _changed(put(StudyDate="29991231", ContentDate=""))),
)  # fmt: skip
