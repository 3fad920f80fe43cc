"""Inputs that a department may meet, made in code, each with what must come of it.

The numbers are those of the project's list of bad inputs; what concerns services is not here.
``docs/bad_inputs.md`` is the table of what did come of them: ``test_bad_inputs.py`` compares it.
"""

from __future__ import annotations

import gzip
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nibabel
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
    ExplicitVRBigEndian,
    JPEGLSNearLossless,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    RLELossless,
)

from multi_frame import enhanced
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.instance import SeriesHeader, derived_uid, write_ct_series
from osteoscreen.dicom.segment import NumberedSegments
from osteoscreen.dicom.segmentation import write_segmentation
from osteoscreen.dicom.series import read_series
from osteoscreen.volume import Affine, Volume
from recoding import LOSSLESS, recode

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
        is_same: Whether the result must be that of the plain series, to the last digit.
    """

    number: str
    what: str
    make: Callable[[Path], Path]
    codes: tuple[str, ...] = ("screened",)
    told: frozenset[str] = field(default_factory=frozenset)
    skipped: int = 0
    is_same: bool = False


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


ZEROS = bytes(2**24)
REPEATS = 100
"""A bomb holds as many times 16 MiB: 1.6 GB in 1.6 MB."""


def deflate_bomb(folder: Path) -> Path:
    """One slice of 1.6 GB; what is deflated after a full flush repeats byte for byte."""
    file = series(folder)[0]
    instance = pydicom.dcmread(file)
    instance.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    instance.save_as(file)
    content = file.read_bytes()
    (length,) = struct.unpack_from("<I", content, 140)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    file.write_bytes(content[: 144 + length] + block * REPEATS + packer.flush())
    return file


def zip_bomb(folder: Path) -> Path:
    """An archive of eight files of 16 MiB, in 0.1 MB."""
    return _zip({str(index): ZEROS for index in range(8)})(folder)


def _nifti_parts(shape: tuple[int, int, int], extension: bytes) -> tuple[bytes, bytes]:
    """Header and voxels of the spine as NIfTI, the header claiming a shape."""
    affine = np.diag([-1.0, -1, 1, 1]) @ AFFINE[:, [2, 1, 0, 3]]
    made: Any = nibabel.Nifti1Image(spine().transpose(2, 1, 0).astype(np.int16), affine)
    made.header.set_data_shape(shape)
    made.header.set_xyzt_units("mm")
    made.header["vox_offset"] = 352 + len(extension)
    flag = b"\1\0\0\0" if extension else bytes(4)
    voxels = spine().astype("<i2").tobytes()
    return made.header.binaryblock + flag + extension, voxels


def nifti_bomb(folder: Path) -> Path:
    """A NIfTI file whose header and body make 1.6 GB of voxels."""
    head, voxels = _nifti_parts((4096, 4096, 48), b"")
    file = folder / "ct.nii.gz"
    file.write_bytes(gzip.compress(head + voxels) + gzip.compress(ZEROS) * REPEATS)
    return file


def extension_bomb(folder: Path) -> Path:
    """A good NIfTI file whose header extension claims all of 1.6 GB that follows."""
    head, voxels = _nifti_parts((SIZE, SIZE, SLICES), struct.pack("<2i8x", 100 * 2**24, 6))
    file = folder / "ct.nii.gz"
    file.write_bytes(gzip.compress(head + voxels) + gzip.compress(ZEROS) * REPEATS)
    return file


def _label_file(folder: Path) -> Path:
    head, _ = _nifti_parts((SIZE, SIZE, SLICES), b"")
    labels = (spine() > 200).astype("<i2")
    (folder / "labels.nii").write_bytes(head + labels.tobytes())
    return folder / "labels.nii"


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


def _zipped_link(folder: Path) -> Path:
    _zipped_series("plain")(folder)
    link = zipfile.ZipInfo("0009.dcm")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(folder / "a.zip", "a") as archive:
        archive.writestr(link, "/etc/passwd")
    return folder / "a.zip"


def _tar(folder: Path) -> Path:
    files = series(folder / "ct")
    with tarfile.open(folder / "a.tar", "w") as archive:
        for file in files:
            archive.add(file, file.name)
    return folder / "a.tar"


def _link_out(folder: Path) -> Path:
    series(folder / "given")
    (other,) = series(folder / "other", "B", hu=spine()[:1])
    (folder / "given" / "0009.dcm").symlink_to(other)
    return folder / "given"


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


def _with_loss(
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


def _recoded(syntax: UID) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for file in series(folder):
            recode(file, syntax)
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


def _tilted(deg: float, *, step_mm: float = 4) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        tilt = np.radians(deg)
        affine = AFFINE.copy()
        affine[:3, 1] = (0, 1.5 * np.cos(tilt), 1.5 * np.sin(tilt))
        affine[2, 0] = step_mm
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


def _decubitus(folder: Path) -> Path:
    """The patient lies on the right side: rows run to the right, columns to the back."""
    affine = AFFINE @ np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, SIZE - 1.0], [0, 0, 0, 1]])
    series(folder, hu=np.rot90(spine(), axes=(1, 2)), affine=affine)
    return folder


def _thin(folder: Path) -> Path:
    affine = AFFINE.copy()
    affine[2, 0] = 0.5
    series(folder, affine=affine, thickness_mm=0.5)
    return folder


def _fine_matrix(folder: Path) -> Path:
    """The same field of view in 1,024 x 1,024 pixels."""
    affine = AFFINE @ np.diag([1, SIZE / 1024, SIZE / 1024, 1])
    wide = np.arange(1024) * SIZE // 1024
    series(folder, hu=spine()[:, wide][:, :, wide], affine=affine)
    return folder


def _beyond_memory(folder: Path) -> Path:
    """Just more voxels than are held, by the headers; nothing is decoded."""
    edit(series(folder, hu=np.repeat(spine(), 43, axis=0)), put(Rows=2048, Columns=2048))
    return folder


def _table(folder: Path) -> Path:
    """A table behind the body and a wire on it."""
    hu = spine()
    hu[:, 69:71] = 120
    hu[:, 3, 30] = 2500
    series(folder, hu=hu)
    return folder


def _own_segmentation(folder: Path) -> Path:
    series(folder)
    ct = read_series(find_series(folder).series[0])
    labels = (ct.volume.hu > 200).astype(np.uint8)
    path = folder / "segmentation.dcm"
    marks = NumberedSegments(labels)
    write_segmentation(marks, ct.headers, path, algorithm="osteoscreen MS-Net", version="1")
    return path


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


def _enhanced(*changes: Callable[[Dataset], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        files = series(folder)
        image = enhanced(files, folder / "enhanced.dcm")
        for file in files:
            file.unlink()
        for change in changes:
            edit([image], change)
        return folder

    return make


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
    Bad("4", "labels as NIfTI", _label_file, ("NOT_HU",)),
    Bad("5", "DICOMDIR whose file IDs leave the folder", _dicomdir, is_same=True),
    Bad("6", "truncated in the pixel data", _bytes(lambda content: content[:-3000]), ("TRUNCATED",)),
    Bad("7", "truncated in the header", _bytes(lambda content: content[:400]), ("TRUNCATED", "screened"), told("GAP")),
    Bad("8", "pixel data shorter than rows times columns", _changed(lambda one: put(PixelData=one.PixelData[:-200])(one)), ("TRUNCATED",)),
    Bad("9", "bytes behind the pixel data", _changed(lambda one: put(PixelData=one.PixelData + bytes(64))(one)), is_same=True),
    Bad("10", "pixel data of length 0xFFFFFFFE", _bytes(_pixel_length), ("TRUNCATED",)),
    Bad("11", "65535 rows and columns", _changed(put(Rows=65535, Columns=65535)), ("TOO_LARGE",)),
    Bad("12", "no rows", _changed(put(Rows=0)), ("TRUNCATED",)),
    Bad("13", "more bits stored than allocated", _changed(put(BitsStored=18, HighBit=17)), ("NOT_HU",)),
    Bad("14", "deflate bomb, 1.6 MB for 1.6 GB", deflate_bomb, ("TOO_LARGE",)),
    Bad("15", "`.nii.gz` bomb, 1.6 MB for 1.6 GB of voxels", nifti_bomb, ("TOO_LARGE",)),
    Bad("15", "`.nii.gz` bomb, 1.6 MB for 1.6 GB behind its header", extension_bomb),
    Bad("15", "zip bomb", zip_bomb, ("TOO_LARGE",)),
    Bad("15", "zip within a zip", _nested_zip, ("NO_INPUT",)),
    Bad("15", "zip of 20,001 entries", _zip({str(i): b"" for i in range(20_001)}), ("TOO_LARGE",)),
    Bad("16", "zip entry `../../x`", _zipped_series("../../x"), ("UNSAFE_NAME", "screened")),
    Bad("16", "zip entry with an absolute path", _zipped_series("/etc/x"), ("UNSAFE_NAME", "screened")),
    Bad("16", "link in a zip archive", _zipped_link, ("UNSAFE_NAME", "screened"), is_same=True),
    Bad("16", "link in a folder to another patient's slice", _link_out, ("UNSAFE_NAME", "screened"), is_same=True),
    Bad("16", "tar archive", _tar, ("NOT_DICOM",)),
    Bad("17", "3,000 nested sequences", _nested, ("TRUNCATED", "screened")),
    Bad("18", "path traversal in patient ID and study UID", _changed(put(PatientID="../../x", StudyInstanceUID="../../../etc/x")), ("screened",), told("NO_IDENTIFIERS")),
    Bad("18", "path traversal in an instance UID", _changed(put(SOPInstanceUID="../../x"), at=slice(1)), ("screened",), told("NO_IDENTIFIERS")),
    Bad("19", "UIDs of letters", _changed(raw("StudyInstanceUID", "UI", b"1.2.abc!"), raw("SeriesInstanceUID", "UI", b"x" * 80)), ("screened",), told("NO_IDENTIFIERS")),
    Bad("19", "empty study UID", _changed(put(StudyInstanceUID="")), ("screened",), told("NO_IDENTIFIERS")),
    Bad("20", "terminal codes, line breaks and HTML in a name", _changed(raw("PatientName", "PN", FOREIGN), raw("Manufacturer", "LO", FOREIGN))),
    Bad("21", "Japanese name", _changed(put(SpecificCharacterSet=["", "ISO 2022 IR 87"]), raw("PatientName", "PN", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B")), is_same=True),
    Bad("21", "Chinese name", _changed(put(SpecificCharacterSet="GB18030"), raw("PatientName", "PN", "Wang^XiaoDong=王^小东".encode("gb18030"))), is_same=True),
    Bad("21", "Greek name in UTF-8", _changed(put(SpecificCharacterSet="ISO_IR 192"), raw("PatientName", "PN", "Διονυσιος".encode())), is_same=True),
    Bad("22", "unknown character set", _changed(raw("SpecificCharacterSet", "CS", b"NOWHERE 77")), is_same=True),
    Bad("23", "private attributes with a name in them", _changed(lambda one: one.private_block(0x11, "SECRET", create=True).add_new(1, "LO", "Jane Doe")), is_same=True),
    Bad("24", "no pixel spacing", _changed(put(PixelSpacing=None)), ("NO_SPACING",)),
    Bad("25", "pixel spacing that is no number", _changed(raw("PixelSpacing", "DS", b"abc\\abc ")), ("NO_SPACING",)),
    Bad("25", "pixel spacing NaN", _changed(raw("PixelSpacing", "DS", b"NaN\\NaN ")), ("NO_SPACING",)),
    Bad("25", "pixel spacing 0", _changed(put(PixelSpacing=[0, 0])), ("NO_SPACING",)),
    Bad("25", "negative pixel spacing", _changed(put(PixelSpacing=[-1, 1])), ("NO_SPACING",)),
    Bad("25", "pixels that are not square", _changed(put(PixelSpacing=[1.5, 1.2]))),
    Bad("26", "no rescale slope", _changed(put(RescaleSlope=None)), ("NO_HU",)),
    Bad("26", "no rescale intercept", _changed(put(RescaleIntercept=None)), ("NO_HU",)),
    Bad("27", "rescale slope 0", _changed(put(RescaleSlope=0)), ("NO_HU",)),
    Bad("27", "a rescale of its own in every other slice", _rescaled, is_same=True),
    Bad("28", "MONOCHROME1", _changed(put(PhotometricInterpretation="MONOCHROME1")), ("NOT_HU",)),
    Bad("29", "signed values said to be unsigned", _changed(_unsigned_read_as_signed), ("NOT_HU",)),
    Bad("30", "padding of -2000", _changed(_padded)),
    Bad("31", "values at the end of the 12-bit scale", _metal, ("screened",), told("SATURATED")),
    Bad("32", "rescale type US", _changed(put(RescaleType="US")), ("NOT_HU",)),
    Bad("33", "big endian", _recoded(ExplicitVRBigEndian), is_same=True),
    *(Bad("34", syntax.name, _recoded(syntax), is_same=True) for syntax in LOSSLESS if syntax != ExplicitVRBigEndian),
    Bad("35", "JPEG-LS near-lossless", _with_loss(JPEGLSNearLossless, jls_error=3), ("screened",), told("LOSSY")),
    Bad("35", "JPEG 2000 with loss", _with_loss(JPEG2000, j2k_cr=[8]), ("screened",), told("LOSSY")),
    Bad("35", "once compressed with loss", _changed(put(LossyImageCompression="01")), ("screened",), told("LOSSY")),
    Bad("36", "unknown transfer syntax", _changed(lambda one: setattr(one.file_meta, "TransferSyntaxUID", "1.2.3.4.5")), ("UNSUPPORTED_SYNTAX",)),
    Bad("37", "pixel data in fragments without an offset table", _fragmented, is_same=True),
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
    Bad("48", "shuffled, repeated and huge instance numbers", _shuffled, is_same=True),
    Bad("49", "gantry tilted by 12 degrees", _tilted(12), ("screened",), told("GANTRY_TILT")),
    Bad("49", "gantry tilted by 12 degrees, slices 4 km apart", _tilted(12, step_mm=4e6), ("TOO_LARGE",)),
    Bad("49", "stack that leans by 35 degrees", _tilted(35), ("NEED_AXIAL",)),
    Bad("50", "prone", _turned(1, -1, -1)),
    Bad("50", "feet first", _turned(-1, 1, -1)),
    Bad("50", "on the right side", _decubitus),
    Bad("51", "slices 0.5 mm thick", _thin, ("screened",), told("THICKNESS_OTHER")),
    Bad("51", "slices 10 mm thick", _changed(put(SliceThickness=10)), ("screened",), told("THICKNESS_OTHER", "ABSTAINED")),
    Bad("52", "258 slices of 2,048 x 2,048 pixels", _beyond_memory, ("TOO_LARGE",)),
    Bad("52", "slices of 1,024 x 1,024 pixels", _fine_matrix),
    Bad("53", "vertebra at the edge of the field of view", _cut_off, ("screened",), told("FIELD_OF_VIEW_CUT")),
    Bad("56", "MR and SEG in the study", _study_of_many, ("screened",), skipped=2),
    Bad("57", "attenuation-correction CT by its name", _changed(put(SeriesDescription="CT AC 5.0 B30f")), ("screened",), told("LOW_DOSE")),
    Bad("57", "CTDIvol of 2.5 mGy", _changed(put(CTDIvol=2.5)), ("screened",), told("LOW_DOSE")),
    Bad("58", "iodine map", _changed(put(ImageType=["DERIVED", "PRIMARY", "AXIAL", "IODINE"])), ("NOT_CONVENTIONAL",)),
    Bad("58", "virtual monoenergetic image", _changed(put(ImageType=["DERIVED", "PRIMARY", "AXIAL", "VMI_40KEV"])), ("NOT_CONVENTIONAL",)),
    Bad("59", "80 kV", _changed(put(KVP=80)), ("screened",), told("KVP_OTHER")),
    Bad("59", "no tube voltage", _changed(put(KVP=None)), ("screened",), told("KVP_UNKNOWN")),
    Bad("60", "contrast agent", _changed(put(ContrastBolusAgent="IOHEXOL")), ("screened",), told("CONTRAST")),
    Bad("63", "table behind the body and a wire on it", _table),
    Bad("64", "bone kernel", _changed(put(ConvolutionKernel="B70f")), ("screened",), told("KERNEL")),
    Bad("65", "Enhanced CT, several frames in a file", _enhanced(), is_same=True),
    Bad("65", "Enhanced CT without functional groups", _enhanced(put(PerFrameFunctionalGroupsSequence=None)), ("TRUNCATED",)),
    Bad("66", "child", _changed(put(PatientAge="012Y")), ("OUT_OF_POPULATION",)),
    Bad("66", "no age, birth date 00000000", _changed(put(PatientAge=None), raw("PatientBirthDate", "DA", b"00000000"))),
    Bad("67", "sex O", _changed(put(PatientSex="O"))),
    Bad("67", "pregnant", _changed(put(PregnancyStatus=3)), is_same=True),
    Bad("67", "animal", _changed(put(PatientSpeciesDescription="Canis lupus familiaris")), ("OUT_OF_POPULATION",)),
    Bad("68", "two patients in one study", _two_patients, ("MIXED_PATIENTS", "MIXED_PATIENTS")),
    Bad("68", "two patients in one series", _changed(put(PatientID="B"), at=slice(3, None)), ("MIXED_PATIENTS",)),
    Bad("69", "8-bit picture that calls itself CT", _changed(_eight_bit), ("NOT_HU",)),
    Bad("69", "annotation that is burned in, by the header", _changed(put(BurnedInAnnotation="YES")), ("NOT_HU",)),
    Bad("70", "quality control image, by the header", _changed(put(QualityControlImage="YES")), ("OUT_OF_POPULATION",)),
    Bad("70", "water phantom", _water, ("NO_LUMBAR",)),
    Bad("71", "study of the future, no date", _changed(put(StudyDate="29991231", ContentDate=""))),
    Bad("75", "osteoscreen's own SEG beside its CT", lambda folder: _own_segmentation(folder).parent, skipped=1, is_same=True),
    Bad("75", "osteoscreen's own SEG alone", _own_segmentation, ("NOT_CT",)),
)  # fmt: skip
