"""Vertebra marks as DICOM SEG: written, read back, laid on the CT, and validated."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Literal

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.instance import SeriesHeader, write_ct_series
from osteoscreen.dicom.marked_slices import MarkedSlices, lay_on, read_segmentation
from osteoscreen.dicom.segment import (
    Meaning,
    NumberedSegments,
    body_segment,
    number_vertebrae,
    read_meaning,
    rest_segment,
    whole_segment,
)
from osteoscreen.dicom.segmentation import write_segmentation
from osteoscreen.dicom.series import read_series
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.volume import Affine, Volume

AFFINE: Affine = np.array(
    [[0, 0, 0.8, -100], [0, 0.7, 0, -80], [2.5, 0, 0, 33], [0, 0, 0, 1]], dtype=np.float64
)


def _headers(folder: Path, slices: int = 6) -> tuple[Dataset, ...]:
    hu = np.zeros((slices, 20, 24), dtype=np.float32)
    hu[:, 0] = -1000
    header = SeriesHeader(
        patient_id="1",
        study_uid="2.25.1",
        series_uid="2.25.2",
        frame_of_reference_uid="2.25.3",
        sex="M",
        age=60,
        study_date="20200102",
        kvp=120.0,
    )
    write_ct_series(Volume(hu, AFFINE), header, folder)
    return read_series(find_series(folder).series[0]).headers


def _labels() -> NDArray[np.uint8]:
    labels = np.zeros((6, 20, 24), dtype=np.uint8)
    labels[1:4, 4:9, 6:14] = 1
    labels[2:5, 9:15, 8:12] = 2
    return labels


MARKS = NumberedSegments(_labels())


def _write(path: Path, headers: tuple[Dataset, ...], labels: NDArray[np.uint8]) -> Dataset | None:
    return write_segmentation(
        NumberedSegments(labels),
        headers,
        path,
        algorithm="test marks",
        version="1.0",
        series_uid="2.25.50",
    )


def test_marks_are_read_back_on_their_slices(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    assert _write(tmp_path / "seg.dcm", headers, _labels())
    marks = read_segmentation(tmp_path / "seg.dcm")
    assert_array_equal(lay_on(marks, headers), _labels())
    positions = {header.SOPInstanceUID: header.ImagePositionPatient for header in headers}
    for uid, position in zip(marks.sources, marks.positions):
        assert_allclose(position, [float(value) for value in positions[uid]], atol=1e-9)


def test_marks_land_on_the_right_slices_whatever_their_order(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    _write(tmp_path / "seg.dcm", headers[::-1], _labels()[::-1])
    assert_array_equal(lay_on(read_segmentation(tmp_path / "seg.dcm"), headers), _labels())


def test_one_marked_pixel_in_one_slice_is_enough(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct", slices=1)
    labels = np.zeros((1, 20, 24), dtype=np.uint8)
    labels[0, 19, 0] = 2
    _write(tmp_path / "seg.dcm", headers, labels)
    assert_array_equal(lay_on(read_segmentation(tmp_path / "seg.dcm"), headers), labels)


def test_without_a_mark_nothing_is_written(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    assert _write(tmp_path / "seg.dcm", headers, np.zeros((6, 20, 24), dtype=np.uint8)) is None
    assert not (tmp_path / "seg.dcm").exists()


def test_the_object_says_what_it_holds(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    _write(tmp_path / "seg.dcm", headers, _labels())
    instance = pydicom.dcmread(tmp_path / "seg.dcm")
    assert instance.SegmentationType == "BINARY"
    assert instance.StudyInstanceUID == headers[0].StudyInstanceUID
    assert instance.FrameOfReferenceUID == headers[0].FrameOfReferenceUID
    assert [
        (
            one.SegmentLabel,
            one.SegmentedPropertyTypeCodeSequence[0].CodeValue,
            one.SegmentAlgorithmType,
            one.SegmentAlgorithmName,
        )
        for one in instance.SegmentSequence
    ] == [
        ("Vertebral body", "3572006", "AUTOMATIC", "test marks"),
        ("Vertebra, other parts", "51282000", "AUTOMATIC", "test marks"),
    ]


def test_manual_marks_name_no_algorithm(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    path = tmp_path / "seg.dcm"
    write_segmentation(MARKS, headers, path, algorithm="phantom", version="1", made="MANUAL")
    for segment in pydicom.dcmread(path).SegmentSequence:
        assert segment.SegmentAlgorithmType == "MANUAL"
        assert "SegmentAlgorithmName" not in segment


def test_identifiers_depend_on_the_series_only(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")

    def uids(path: Path) -> set[str]:
        _write(path, headers, _labels())
        instance = pydicom.dcmread(path)
        return {str(element.value) for element in instance.iterall() if element.VR == "UI"}

    assert uids(tmp_path / "a.dcm") == uids(tmp_path / "b.dcm")


def test_the_same_marks_of_the_same_series_are_the_same_bytes(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    for name in ("a", "b"):
        _write(tmp_path / name, headers, _labels())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    instance = pydicom.dcmread(tmp_path / "a")
    assert (instance.ContentDate, instance.ContentTime) == ("20200102", "000000")
    times = [one.value for one in instance.iterall() if one.VR in ("DA", "TM", "DT") and one.value]
    assert set(times) == {"20200102", "000000"}


def test_without_a_date_of_the_study_the_time_is_fixed(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    for header in headers:
        header.StudyDate = ""
    _write(tmp_path / "seg.dcm", headers, _labels())
    instance = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (instance.ContentDate, instance.ContentTime) == ("19000101", "000000")


def test_the_name_of_the_patient_is_that_of_the_images(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    for header in headers:
        header.PatientName = "Nobody^SYNTHETIC"
    _write(tmp_path / "seg.dcm", headers, _labels())
    assert pydicom.dcmread(tmp_path / "seg.dcm").PatientName == "Nobody^SYNTHETIC"
    assert {str(header.PatientName) for header in headers} == {"Nobody^SYNTHETIC"}


def test_segments_name_the_level_and_the_part(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    labels = _labels()
    labels[5, 2:4, 2:4] = 3
    path = tmp_path / "seg.dcm"
    write_segmentation(
        NumberedSegments(labels, (body_segment("L3"), rest_segment("L3"), body_segment("L6"))),
        headers,
        path,
        algorithm="phantom",
        version="1",
        made="MANUAL",
    )
    assert [
        (
            one.SegmentNumber,
            one.SegmentLabel,
            one.SegmentedPropertyTypeCodeSequence[0].CodeMeaning,
            one.AnatomicRegionSequence[0].CodeMeaning,
        )
        for one in pydicom.dcmread(path).SegmentSequence
    ] == [
        (1, "L3 body", "Vertebral body", "L3 vertebra"),
        (2, "L3 posterior elements", "Arch of vertebra", "L3 vertebra"),
        (3, "L6 body", "Vertebral body", "Lumbar vertebra"),
    ]
    assert_array_equal(lay_on(read_segmentation(path), headers), labels)


def _overlapping(names: tuple[str, ...] = ("L3",)) -> NumberedSegments:
    marks = _labels()
    named = (marks > 0).astype(np.uint8) * (len(names) > 0)
    named[:, 10:] *= len(names)
    return number_vertebrae(marks, named, names)


@pytest.mark.parametrize("names", [(), ("L3",), ("L4", "L3"), ("L6",), ("S1",)])
def test_a_vertebra_and_the_body_within_it_overlap(tmp_path: Path, names: tuple[str, ...]) -> None:
    headers, marks = _headers(tmp_path / "ct"), _overlapping(names)
    path = tmp_path / "seg.dcm"
    write_segmentation(marks, headers, path, algorithm="marks", version="1")
    instance = pydicom.dcmread(path)
    assert instance.SegmentsOverlap == "YES"
    frames = instance.pixel_array.astype(bool)
    uids = [header.SOPInstanceUID for header in headers]
    found = np.zeros((len(marks.segments), *marks.labels.shape), bool)
    for frame, pixels in zip(instance.PerFrameFunctionalGroupsSequence, frames, strict=True):
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        at = uids.index(source)
        assert frame.FrameContentSequence[0].DimensionIndexValues[0] == number
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        assert place == headers[at].ImagePositionPatient
        assert pixels.any()
        found[number - 1, at] = pixels
    assert marks.within is not None
    for number, mask in enumerate(found, start=1):
        assert_array_equal(mask, (marks.labels == number) | (marks.within == number))
    laid = lay_on(read_segmentation(path), headers)
    assert_array_equal(laid, np.where(marks.within > 0, marks.within, marks.labels))


def test_a_body_without_another_part_is_its_whole_vertebra(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    marks = (_labels() == 1).astype(np.uint8)
    path = tmp_path / "seg.dcm"
    numbered = number_vertebrae(marks, marks, ("L2",))
    write_segmentation(numbered, headers, path, algorithm="marks", version="1")
    frames = pydicom.dcmread(path).pixel_array
    assert_array_equal(frames[:3], frames[3:])


def test_a_frame_of_no_whole_byte_is_packed_behind_the_one_before(tmp_path: Path) -> None:
    hu = np.zeros((2, 5, 5), np.float32)
    hu[:, 0] = -1000
    header = SeriesHeader(
        patient_id="1", study_uid="2.25.1", series_uid="2.25.2", frame_of_reference_uid="2.25.3"
    )
    write_ct_series(Volume(hu, AFFINE), header, tmp_path / "ct")
    headers = read_series(find_series(tmp_path / "ct").series[0]).headers
    marks = np.ones((2, 5, 5), np.uint8)
    marks[:, 3:] = 2
    numbered = number_vertebrae(marks, np.ones_like(marks), ("L1",))
    write_segmentation(numbered, headers, tmp_path / "seg.dcm", algorithm="marks", version="1")
    frames = pydicom.dcmread(tmp_path / "seg.dcm").pixel_array
    assert_array_equal(frames, [marks[0] > 0, marks[1] > 0, marks[0] == 1, marks[1] == 1])


def test_a_body_of_another_vertebra_may_not_overlap(tmp_path: Path) -> None:
    headers, path = _headers(tmp_path / "ct"), tmp_path / "seg.dcm"
    write_segmentation(_overlapping(), headers, path, algorithm="marks", version="1")
    instance = pydicom.dcmread(path)
    instance.SegmentSequence[1].AnatomicRegionSequence[0].CodeValue = "11994002"
    instance.save_as(path)
    with pytest.raises(InputError, match="must not overlap"):
        read_segmentation(path)


def test_a_level_without_a_code_is_a_vertebra() -> None:
    for part in (body_segment("T13"), rest_segment("T13")):
        assert part.region is not None
        assert part.region.meaning == "Vertebra"


@pytest.mark.parametrize("names", [("L3",), ("L4", "L3")])
def test_each_vertebra_is_the_type_of_one_segment(tmp_path: Path, names: tuple[str, ...]) -> None:
    headers, path = _headers(tmp_path / "ct"), tmp_path / "seg.dcm"
    write_segmentation(_overlapping(names), headers, path, algorithm="marks", version="1")
    types = [
        one.SegmentedPropertyTypeCodeSequence[0].CodeMeaning
        for one in pydicom.dcmread(path).SegmentSequence
    ]
    assert [types.count(f"{name} vertebra") for name in names] == [1] * len(names)
    assert set(types) == {"Vertebral body", *(f"{name} vertebra" for name in names)}


@pytest.mark.parametrize("part", ["body", "rest", "whole"])
def test_codes_are_read_whether_the_part_is_type_or_region(
    part: Literal["body", "rest", "whole"], tmp_path: Path
) -> None:
    segment = {"body": body_segment, "rest": rest_segment, "whole": whole_segment}[part]("L3")
    headers, path = _headers(tmp_path / "ct"), tmp_path / "seg.dcm"
    marks = NumberedSegments((_labels() == 1).astype(np.uint8), (segment,))
    write_segmentation(marks, headers, path, algorithm="marks", version="1")
    item = pydicom.dcmread(path).SegmentSequence[0]
    assert read_meaning(item) == Meaning(segment.label, "L3", part)
    if segment.region is not None:  # earlier segmentations had it so
        swapped = item.AnatomicRegionSequence, item.SegmentedPropertyTypeCodeSequence
        item.SegmentedPropertyTypeCodeSequence, item.AnatomicRegionSequence = swapped
        assert read_meaning(item) == Meaning(segment.label, "L3", part)


def test_without_a_series_every_object_is_new(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    uids = set()
    for name in ("a", "b"):
        path = tmp_path / name
        write_segmentation(MARKS, headers, path, algorithm="marks", version="1")
        uids.add(pydicom.dcmread(path).SOPInstanceUID)
    assert len(uids) == 2


def test_highdicom_reads_the_same_marks(tmp_path: Path) -> None:
    headers = _headers(tmp_path / "ct")
    _write(tmp_path / "seg.dcm", headers, _labels())
    segmentation = highdicom.seg.segread(tmp_path / "seg.dcm")
    pixels = segmentation.get_pixels_by_source_instance(
        [header.SOPInstanceUID for header in headers],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    assert_array_equal(pixels, _labels())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("made", ["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"])
def test_dciodvfy_finds_no_error_in_a_segmentation(
    made: Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"], tmp_path: Path
) -> None:
    path = tmp_path / "seg.dcm"
    headers = _headers(tmp_path / "ct")
    write_segmentation(MARKS, headers, path, algorithm="marks", version="1", made=made)
    checked = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "Error" not in checked.stderr


def test_a_ct_slice_is_no_segmentation(tmp_path: Path) -> None:
    _headers(tmp_path)
    with pytest.raises(InputError, match="binary DICOM Segmentation, got type None") as caught:
        read_segmentation(tmp_path / "0000.dcm")
    assert caught.value.code is RefusalCode.UNSUPPORTED_FORMAT


def _written(tmp_path: Path) -> tuple[Path, pydicom.Dataset]:
    path = tmp_path / "seg.dcm"
    _write(path, _headers(tmp_path / "ct"), _labels())
    return path, pydicom.dcmread(path)


def test_a_fractional_segmentation_is_refused(tmp_path: Path) -> None:
    path, instance = _written(tmp_path)
    instance.SegmentationType = "FRACTIONAL"
    instance.save_as(path)
    with pytest.raises(InputError, match="got type FRACTIONAL"):
        read_segmentation(path)


def test_overlapping_segments_are_refused(tmp_path: Path) -> None:
    path, instance = _written(tmp_path)
    frames = instance.PerFrameFunctionalGroupsSequence
    frames[1].PlanePositionSequence = frames[0].PlanePositionSequence
    frames[1].DerivationImageSequence = frames[0].DerivationImageSequence
    instance.save_as(path)
    with pytest.raises(InputError, match="must not overlap"):
        read_segmentation(path)


@pytest.mark.parametrize("keyword", ["PerFrameFunctionalGroupsSequence", "PixelData"])
def test_an_incomplete_segmentation_is_refused(keyword: str, tmp_path: Path) -> None:
    path, instance = _written(tmp_path)
    delattr(instance, keyword)
    instance.save_as(path)
    with pytest.raises(InputError, match="every frame") as caught:
        read_segmentation(path)
    assert caught.value.code is RefusalCode.TRUNCATED


def test_frames_without_a_source_keep_their_position(tmp_path: Path) -> None:
    path, instance = _written(tmp_path)
    for frame in instance.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    instance.save_as(path)
    marks = read_segmentation(path)
    assert set(marks.sources) == {""}
    assert sorted(marks.positions[:, 2]) == pytest.approx([35.5, 38, 40.5, 43])


def test_marks_of_another_series_are_refused(tmp_path: Path) -> None:
    headers = _headers(tmp_path)
    mark = np.ones((1, 20, 24), dtype=np.uint8)
    marks = MarkedSlices(mark, np.zeros((1, 3)), ("2.25.999",))
    with pytest.raises(InputError, match=r"must name slices of the series") as caught:
        lay_on(marks, headers)
    assert caught.value.code is RefusalCode.MASK_MISMATCH
