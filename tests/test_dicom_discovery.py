"""Finding DICOM series on disk and choosing the one to screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    MediaStorageDirectoryStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from multi_frame import enhanced
from osteoscreen.dicom.choice import choose_series
from osteoscreen.dicom.discovery import _grouping_header, find_series
from osteoscreen.dicom.frame import PER_FRAME
from osteoscreen.dicom.header import is_dicom
from osteoscreen.dicom.instance import SeriesHeader, write_ct_series
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.volume import Affine, Volume

AXIAL: Affine = np.array(
    [[0, 0, 0.8, -100], [0, 0.8, 0, -80], [2.5, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64
)
CORONAL: Affine = np.array(
    [[0, 0, 0.8, -100], [2.5, 0, 0, -80], [0, -0.8, 0, 0], [0, 0, 0, 1]], dtype=np.float64
)


def _write(
    folder: Path, *, series: str = "2.25.10", study: str = "2.25.1", slices: int = 3
) -> tuple[Path, ...]:
    header = SeriesHeader(
        patient_id="1",
        study_uid=study,
        series_uid=series,
        frame_of_reference_uid="2.25.3",
        series_description=f"series {series}",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    )
    hu = np.zeros((slices, 4, 5), dtype=np.float32)
    hu[:, 0] = -1000
    return write_ct_series(Volume(hu, AXIAL), header, folder)


def _edit(files: tuple[Path, ...], **changes: object) -> None:
    for file in files:
        instance = pydicom.dcmread(file)
        for keyword, value in changes.items():
            if value is None:
                delattr(instance, keyword)
            else:
                setattr(instance, keyword, value)
        instance.save_as(file)


def test_files_are_grouped_by_study_and_series(tmp_path: Path) -> None:
    first = _write(tmp_path / "a", series="2.25.10")
    second = _write(tmp_path / "b" / "deep", series="2.25.11", slices=2)
    third = _write(tmp_path / "c", series="2.25.10", study="2.25.2")
    found = find_series(tmp_path)
    assert found.problems == ()
    assert [(one.study_uid, one.series_uid, one.files) for one in found.series] == [
        ("2.25.1", "2.25.10", first),
        ("2.25.1", "2.25.11", second),
        ("2.25.2", "2.25.10", third),
    ]
    assert found.series[0].modality == "CT"
    assert found.series[0].description == "series 2.25.10"


def test_a_series_may_lie_in_several_folders(tmp_path: Path) -> None:
    files = _write(tmp_path / "a")
    (tmp_path / "b").mkdir()
    files[0].rename(tmp_path / "b" / "moved")
    (series,) = find_series(tmp_path).series
    assert len(series.files) == 3


def test_one_file_is_one_series(tmp_path: Path) -> None:
    files = _write(tmp_path)
    (series,) = find_series(files[1]).series
    assert series.files == (files[1],)


def test_files_without_identifiers_are_grouped_by_folder_and_frame(tmp_path: Path) -> None:
    first = _write(tmp_path / "a")
    second = _write(tmp_path / "b")
    third = _write(tmp_path / "b" / "c")
    _edit(first + second, StudyInstanceUID="", SeriesInstanceUID="")
    _edit(third, StudyInstanceUID="", SeriesInstanceUID="")
    _edit(second[:1], FrameOfReferenceUID="2.25.77")
    found = find_series(tmp_path).series
    assert [one.files for one in found] == [first, second[:1], second[1:], third]
    assert {one.series_uid for one in found} == {""}
    assert all(len(one.key) == 16 for one in found)


def test_the_key_of_a_series_is_its_uid(tmp_path: Path) -> None:
    _write(tmp_path)
    assert find_series(tmp_path).series[0].key == "2.25.10"


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must exist") as caught:
        find_series(tmp_path / "nowhere")
    assert caught.value.code is RefusalCode.NO_INPUT


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="got none") as caught:
        find_series(tmp_path)
    assert caught.value.code is RefusalCode.NO_INPUT


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"x" * 500])
def test_one_file_that_is_not_dicom_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "image.dcm"
    file.write_bytes(content)
    with pytest.raises(InputError, match="preamble") as caught:
        find_series(file)
    assert caught.value.code is RefusalCode.NOT_DICOM
    assert caught.value.source == file


def test_other_files_of_a_folder_are_ignored(tmp_path: Path) -> None:
    files = _write(tmp_path)
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    (tmp_path / "empty").write_bytes(b"")
    found = find_series(tmp_path)
    assert found.series[0].files == files
    assert found.problems == ()


def test_a_dcm_file_that_is_not_dicom_is_a_problem(tmp_path: Path) -> None:
    _write(tmp_path)
    bad = tmp_path / "broken.DCM"
    bad.write_bytes(b"")
    found = find_series(tmp_path)
    assert len(found.series) == 1
    assert [(one.code, one.source) for one in found.problems] == [(RefusalCode.NOT_DICOM, bad)]


def test_problems_alone_are_returned(tmp_path: Path) -> None:
    (tmp_path / "broken.dcm").write_bytes(b"nothing")
    found = find_series(tmp_path)
    assert found.series == ()
    assert len(found.problems) == 1


@pytest.mark.parametrize("tag", [b"\x02\x00\x10\x00", b"\x08\x00\x60\x00", b"\x20\x00\x0d\x00"])
def test_a_header_that_breaks_off_is_a_problem(tag: bytes, tmp_path: Path) -> None:
    files = _write(tmp_path)
    content = files[0].read_bytes()
    files[0].write_bytes(content[: content.index(tag)])
    found = find_series(tmp_path)
    assert found.series[0].files == files[1:]
    assert [one.code for one in found.problems] == [RefusalCode.TRUNCATED]


def test_a_file_that_cannot_be_opened_is_refused() -> None:
    memory = Path("/proc/self/mem")
    if not memory.exists():
        pytest.skip("needs a file whose start cannot be read")
    with pytest.raises(InputError, match="must be readable") as caught:
        is_dicom(memory)
    assert caught.value.code is RefusalCode.NO_INPUT


def test_a_dicomdir_stands_for_its_folder(tmp_path: Path) -> None:
    files = _write(tmp_path)
    instance = pydicom.dcmread(files[0])
    instance.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    instance.save_as(tmp_path / "DICOMDIR")
    assert find_series(tmp_path).series[0].files == files
    assert find_series(tmp_path / "DICOMDIR").series[0].files == files


def test_a_dicomdir_alone_holds_nothing(tmp_path: Path) -> None:
    (file, *others) = _write(tmp_path)
    _edit((file,), SOPInstanceUID="2.25.9")
    instance = pydicom.dcmread(file)
    instance.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    instance.save_as(tmp_path / "DICOMDIR")
    for one in (file, *others):
        one.unlink()
    with pytest.raises(InputError, match="got none"):
        find_series(tmp_path / "DICOMDIR")


def test_a_localizer_within_a_series_is_a_stack_of_its_own(tmp_path: Path) -> None:
    files = _write(tmp_path, slices=4)
    _edit(files[3:], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    large, small = sorted(find_series(tmp_path).series, key=lambda one: one.part)
    assert (large.files, small.files) == (files[:3], files[3:])
    assert (large.key, small.key) == ("2.25.10", "2.25.10 part 2")


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]},
        {"ImageOrientationPatient": None},
        {"Rows": 5, "Columns": 4},
        {"SOPClassUID": SecondaryCaptureImageStorage},
    ],
)
def test_slices_of_another_kind_are_a_stack_of_their_own(
    changes: dict[str, object], tmp_path: Path
) -> None:
    files = _write(tmp_path, slices=5)
    _edit(files[3:], **changes)
    assert {one.files for one in find_series(tmp_path).series} == {files[:3], files[3:]}


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("ConvolutionKernel", ("B30f", "B70f")),
        ("AcquisitionNumber", (1, 2)),
        ("ImageType", (["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "AXIAL"])),
        ("SliceThickness", (1, 2)),
        ("KVP", (80, 120)),
    ],
)
def test_two_reconstructions_at_one_place_are_two_stacks(
    keyword: str, values: tuple[object, object], tmp_path: Path
) -> None:
    halves = _write(tmp_path / "a"), _write(tmp_path / "b")
    for files, value, letter in zip(halves, values, "12"):
        _edit(files, **{keyword: value})
        for index, file in enumerate(files):
            _edit((file,), SOPInstanceUID=f"2.25.{letter}{index}")
    found = find_series(tmp_path).series
    assert [one.files for one in found] == [*halves]
    assert [one.part for one in found] == [0, 1]


def test_what_nothing_tells_apart_stays_one_stack(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    for index, file in enumerate(_write(tmp_path / "b")):
        _edit((file,), SOPInstanceUID=f"2.25.9{index}")
    (series,) = find_series(tmp_path).series
    assert len(series.files) == 6


def test_copies_do_not_part_a_series(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    _write(tmp_path / "b")
    (series,) = find_series(tmp_path).series
    assert len(series.files) == 6


def test_a_series_is_described_by_its_headers(tmp_path: Path) -> None:
    files = _write(tmp_path)
    _edit(
        files,
        ConvolutionKernel="B30f",
        BodyPartExamined="ABDOMEN",
        SliceThickness=2.5,
        ContrastBolusAgent="agent",
    )
    (series,) = find_series(tmp_path).series
    assert series.kernel == "B30f"
    assert series.body_part == "ABDOMEN"
    assert series.thickness_mm == 2.5
    assert series.has_contrast
    assert series.length_mm == pytest.approx(5)
    assert series.patients == ("1",)


def test_a_capture_that_calls_itself_ct_is_skipped(tmp_path: Path) -> None:
    _edit(_write(tmp_path), SOPClassUID=SecondaryCaptureImageStorage)
    choice = choose_series(find_series(tmp_path).series)
    assert choice.chosen is None
    assert choice.skipped == {"2.25.10": "Secondary Capture Image Storage, not CT slices"}


def test_the_frames_of_a_segmentation_are_left_unread(tmp_path: Path) -> None:
    """A multi-frame CT is parted by its frames; a segmentation has more, and is never screened."""
    files = _write(tmp_path)
    ct = enhanced(files, tmp_path / "enhanced.dcm")
    assert PER_FRAME in _grouping_header(ct)
    _edit((ct,), SOPClassUID=SegmentationStorage, Modality="SEG")
    assert PER_FRAME not in _grouping_header(ct)
    (series,) = find_series(ct).series
    assert (series.modality, len(series.frames)) == ("SEG", 1)


def test_the_orientation_on_disk_decides_what_is_axial(tmp_path: Path) -> None:
    _write(tmp_path / "axial")
    header = SeriesHeader(
        patient_id="1", study_uid="2.25.1", series_uid="2.25.11", frame_of_reference_uid="2.25.3"
    )
    write_ct_series(Volume(np.zeros((9, 4, 5), np.float32), CORONAL), header, tmp_path / "coronal")
    found = find_series(tmp_path).series
    assert [one.is_axial for one in found] == [True, False]
    assert choose_series(found).chosen is found[0]


def test_without_an_orientation_a_series_is_not_axial(tmp_path: Path) -> None:
    files = _write(tmp_path)
    for file in files:
        instance = pydicom.dcmread(file)
        del instance.ImageOrientationPatient
        instance.save_as(file)
    assert not find_series(tmp_path).series[0].is_axial


def test_links_are_followed_within_the_folder_and_never_out_of_it(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "links").mkdir(parents=True)
    files = _write(inside / "store")
    _write(outside, series="2.25.99")
    (inside / "links" / "slice.dcm").symlink_to(files[0])
    (inside / "links" / "loop").symlink_to(inside / "links" / "loop")
    (inside / "links" / "nowhere").symlink_to(inside / "nothing")
    leaks = [inside / "links" / name for name in ("other", "slice_of_others.dcm")]
    leaks[0].symlink_to(outside)
    leaks[1].symlink_to(outside / "0000.dcm")
    found = find_series(inside)
    (one,) = found.series
    assert len(one.files) == len(files) + 1
    assert [problem.source for problem in found.problems] == leaks
    assert {problem.code for problem in found.problems} == {RefusalCode.UNSAFE_NAME}


def test_a_link_of_which_nothing_can_be_told_is_a_problem_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    """Where it leads, the system answers with an error, as of a folder that may not be read."""
    files = _write(tmp_path)
    link = tmp_path / "link.dcm"
    link.symlink_to("x" * 300)  # longer than a name may be
    found = find_series(tmp_path)
    assert [len(one.files) for one in found.series] == [len(files)]
    (problem,) = found.problems
    assert (problem.code, problem.source) == (RefusalCode.NO_INPUT, link)
    assert problem.reason == "the file must be readable, opening it ended in OSError"


def test_a_folder_that_is_a_link_is_followed(tmp_path: Path) -> None:
    files = _write(tmp_path / "ct")
    (tmp_path / "link").symlink_to(tmp_path / "ct")
    found = find_series(tmp_path / "link")
    assert len(found.series[0].files) == len(files)
    assert found.problems == ()
