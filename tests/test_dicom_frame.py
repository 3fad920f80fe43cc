"""Multi-frame CT images are read frame by frame, as the slices that they are made of."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEGLSLossless, JPEGLSNearLossless, RLELossless

from bad_inputs import AFFINE, SLICES, edit, put, series, spine
from bundles import threshold_bundle
from multi_frame import converted, enhanced, group
from osteoscreen.bundle import Bundle
from osteoscreen.dicom import header as header_module
from osteoscreen.dicom.discovery import SeriesFiles, find_series
from osteoscreen.dicom.frame import Frame
from osteoscreen.dicom.marked_slices import lay_on, read_segmentation
from osteoscreen.dicom.segment import NumberedSegments
from osteoscreen.dicom.segmentation import write_segmentation
from osteoscreen.dicom.series import CTSeries, read_series
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.findings import ContrastPhase, ReservationCode, ScreeningResult
from osteoscreen.nifti import LEVEL_NUMBERS
from osteoscreen.workflow import Silent, screen_inputs

Maker = Callable[[Sequence[Path], Path], Path]
MAKERS = pytest.mark.parametrize("make", [enhanced, converted])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


def _image(folder: Path, change: Callable[[Dataset], object] | None = None) -> Path:
    """Write an Enhanced CT image whose frames are in no order of height."""
    files = series(folder / "slices")
    (folder / "image").mkdir()
    image = enhanced([files[at] for at in (3, 0, 5, 1, 4, 2)], folder / "image" / "a.dcm")
    if change is not None:
        edit([image], change)
    return image


def _read(path: Path) -> CTSeries:
    (found,) = find_series(path).series
    return read_series(found)


def _frames(image: Dataset) -> Sequence[Dataset]:
    frames: Sequence[Dataset] = image.PerFrameFunctionalGroupsSequence
    return frames


@MAKERS
def test_frames_are_read_as_the_slices_that_they_were(make: Maker, tmp_path: Path) -> None:
    files = series(tmp_path / "slices")
    single = _read(tmp_path / "slices")
    multi = _read(make([files[at] for at in (3, 0, 5, 1, 4, 2)], tmp_path / "a.dcm"))
    assert_array_equal(multi.volume.hu, single.volume.hu)
    assert_array_equal(multi.volume.affine, single.volume.affine)
    assert multi.acquisition == single.acquisition
    assert multi.subject == single.subject
    assert multi.reservations == single.reservations
    assert multi.has_identifiers


def _named_spine(folder: Path) -> Path:
    """Write VerSe labels of a spine of three slices each of L3 and L2."""
    labels = np.zeros(spine().shape, np.uint8)
    for at, level in ((slice(0, 3), "L3"), (slice(3, 6), "L2")):
        labels[at][spine()[at] > 200] = LEVEL_NUMBERS[level]
    to_ras = np.diag([-1.0, -1, 1, 1]) @ AFFINE[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(labels.transpose(2, 1, 0), to_ras), folder / "marks.nii.gz")
    return folder / "marks.nii.gz"


def _screen(
    source: Path, out: Path, bundle: Bundle, mask: Path | None
) -> tuple[ScreeningResult, Path]:
    (row,) = screen_inputs([source], out, bundle, Silent(), mask=mask)
    folder = out / row.folder
    result = ScreeningResult.model_validate_json((folder / "result.json").read_text())
    alike = {"timing_s": {}, "subject": result.subject.model_copy(update={"key": None})}
    return result.model_copy(update=alike), folder / "segmentation.dcm"


@MAKERS
@pytest.mark.parametrize("is_named", [False, True])
def test_a_multi_frame_image_is_screened_as_its_slices_are(
    make: Maker, is_named: bool, tmp_path: Path, bundle: Bundle
) -> None:
    files = series(tmp_path / "slices")
    image = make(files[::-1], tmp_path / "a.dcm")
    mask = _named_spine(tmp_path) if is_named else None
    single, single_marks = _screen(tmp_path / "slices", tmp_path / "single", bundle, mask)
    multi, multi_marks = _screen(image, tmp_path / "multi", bundle, mask)
    assert single.status == "screened"
    assert [one.level for one in single.levels] == (["L2", "L3"] if is_named else [])
    assert (single.attenuation_hu is not None) == is_named
    assert multi == single
    assert_array_equal(
        lay_on(read_segmentation(multi_marks), _read(image).headers),
        lay_on(read_segmentation(single_marks), _read(tmp_path / "slices").headers),
    )


def _marked(found: CTSeries, path: Path) -> Dataset:
    labels = np.zeros(found.volume.hu.shape, np.uint8)
    labels[1:4, 10:20, 10:20] = 1
    labels[2, 30:40, 30:40] = 2
    marks = NumberedSegments(labels)
    write_segmentation(marks, found.headers, path, algorithm="marks", version="1")
    assert_array_equal(lay_on(read_segmentation(path), found.headers), labels)
    return pydicom.dcmread(path)


def _sources(marks: Dataset) -> set[tuple[str, int, float]]:
    """Image, frame and height of the source of each frame of a segmentation."""
    found = set()
    for frame in _frames(marks):
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        height = float(frame.PlanePositionSequence[0].ImagePositionPatient[2])
        found.add((source.ReferencedSOPInstanceUID, int(source.ReferencedFrameNumber), height))
    return found


def _referenced(marks: Dataset) -> list[str]:
    (one,) = marks.ReferencedSeriesSequence
    assert [image.ReferencedSOPInstanceUID for image in marks.SourceImageSequence] == [
        image.ReferencedSOPInstanceUID for image in one.ReferencedInstanceSequence
    ]
    return [image.ReferencedSOPInstanceUID for image in one.ReferencedInstanceSequence]


def test_a_segmentation_points_at_the_frames_that_it_lies_on(tmp_path: Path) -> None:
    image = pydicom.dcmread(_image(tmp_path))
    marks = _marked(_read(tmp_path / "image"), tmp_path / "seg.dcm")
    uid = image.SOPInstanceUID
    # frames hold slices 3, 0, 5, 1, 4, 2 of a stack that begins at 100 mm, 4 mm apart
    assert _sources(marks) == {(uid, 4, 104.0), (uid, 6, 108.0), (uid, 1, 112.0)}
    assert _referenced(marks) == [uid]
    read = highdicom.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_frame(
        uid, [4, 6, 1, 3], combine_segments=True, assert_missing_frames_are_empty=True
    )
    assert [int((one > 0).sum()) for one in read] == [100, 200, 100, 0]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_dciodvfy_finds_no_error_in_a_segmentation_of_frames(tmp_path: Path) -> None:
    _image(tmp_path)
    _marked(_read(tmp_path / "image"), tmp_path / "seg.dcm")
    checked = subprocess.run(
        ["dciodvfy", str(tmp_path / "seg.dcm")], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    assert "Error" not in checked.stderr


def _two_passes(folder: Path, change: Callable[[Dataset], object]) -> Path:
    """Write two passes over one place in one image; ``change`` tells the frames of the second."""
    files = series(folder / "slices")
    later = series(folder / "later", hu=spine() + 50)
    (folder / "image").mkdir()
    image = enhanced([*files, *later], folder / "image" / "a.dcm")
    edit([image], lambda one: [change(frame) for frame in _frames(one)[SLICES:]])
    return image


APART = {
    "acquisition": lambda frame: put(FrameAcquisitionNumber=2)(frame.FrameContentSequence[0]),
    "time": lambda frame: put(TemporalPositionIndex=2)(frame.FrameContentSequence[0]),
    "stack": lambda frame: put(StackID="2")(frame.FrameContentSequence[0]),
    "phase": lambda frame: put(
        ContrastBolusUsageSequence=group(ContrastBolusAgentPhase="PORTAL_VENOUS")
    )(frame),
    "kernel": lambda frame: put(ConvolutionKernel="B70f")(frame.CTReconstructionSequence[0]),
}


@pytest.mark.parametrize("name", APART)
def test_two_passes_in_one_image_are_two_stacks(name: str, tmp_path: Path) -> None:
    image = _two_passes(tmp_path, APART[name])
    first, second = find_series(image).series
    assert [one.number for one in first.frames] == [1, 2, 3, 4, 5, 6]
    assert [one.number for one in second.frames] == [7, 8, 9, 10, 11, 12]
    assert second.key == f"{first.key} part 2"
    assert_array_equal(read_series(first).volume.hu, spine())
    assert_array_equal(read_series(second).volume.hu, spine() + 50)
    marks = _marked(read_series(second), tmp_path / "seg.dcm")
    assert {frame for _, frame, _ in _sources(marks)} == {8, 9, 10}


def test_each_stack_of_an_image_has_its_own_phase(tmp_path: Path) -> None:
    first, second = find_series(_two_passes(tmp_path, APART["phase"])).series
    assert read_series(first).acquisition.phase is None
    assert read_series(second).acquisition.phase is ContrastPhase.VENOUS


def test_two_passes_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    _refused(
        _two_passes(tmp_path, lambda _: None), RefusalCode.DUPLICATE_SLICES, "share a position"
    )


def test_a_frame_that_lies_across_is_a_stack_of_its_own(tmp_path: Path) -> None:
    def turn(image: Dataset) -> None:
        shared = image.SharedFunctionalGroupsSequence[0]
        for frame in _frames(image):
            frame.PlaneOrientationSequence = shared.PlaneOrientationSequence
        del shared.PlaneOrientationSequence
        _frames(image)[2].PlaneOrientationSequence = group(
            ImageOrientationPatient=[0, 1, 0, 0, 0, -1]
        )

    large, small = find_series(_image(tmp_path, turn)).series
    assert [one.number for one in large.frames] == [1, 2, 4, 5, 6]
    assert [one.number for one in small.frames] == [3]
    assert (large.is_axial, small.is_axial) == (True, False)
    assert read_series(large).volume.hu.shape[0] == 5


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"FrameType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]}, "LOCALIZER"),
        ({"FrameType": ["DERIVED", "PRIMARY", "VOLUME", "MAX_IP"]}, "MAX_IP"),
        ({"VolumeBasedCalculationTechnique": "MPR"}, "MPR"),
    ],
)
def test_frames_that_are_no_slices_are_refused(
    change: dict[str, object], word: str, tmp_path: Path
) -> None:
    def name(image: Dataset) -> None:
        for frame in _frames(image):
            put(**change)(frame.CTImageFrameTypeSequence[0])

    _refused(_image(tmp_path, name), RefusalCode.DERIVED, word)


def test_two_images_may_hold_one_stack(tmp_path: Path) -> None:
    files = series(tmp_path / "slices")
    (tmp_path / "image").mkdir()
    low = pydicom.dcmread(enhanced(files[:2], tmp_path / "image" / "low.dcm"))
    high = pydicom.dcmread(enhanced(files[2:], tmp_path / "image" / "high.dcm"))
    found = _read(tmp_path / "image")
    assert_array_equal(found.volume.hu, spine())
    marks = _marked(found, tmp_path / "seg.dcm")
    assert _sources(marks) == {
        (low.SOPInstanceUID, 2, 104.0),
        (high.SOPInstanceUID, 1, 108.0),
        (high.SOPInstanceUID, 2, 112.0),
    }
    assert _referenced(marks) == [low.SOPInstanceUID, high.SOPInstanceUID]


def test_a_copy_of_an_image_counts_once(tmp_path: Path) -> None:
    image = _image(tmp_path)
    shutil.copy(image, image.with_name("b.dcm"))
    found = _read(image.parent)
    assert_array_equal(found.volume.hu, spine())
    assert [one.code for one in found.reservations] == [ReservationCode.COPIES]


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_frames_give_the_same_values(syntax: UID, tmp_path: Path) -> None:
    def compress(image: Dataset) -> None:
        image.compress(syntax, generate_instance_uid=False)

    assert_array_equal(_read(_image(tmp_path, compress)).volume.hu, spine())


def test_the_error_of_compressed_frames_is_told(tmp_path: Path) -> None:
    def compress(image: Dataset) -> None:
        image.compress(JPEGLSNearLossless, jls_error=3, generate_instance_uid=False)

    found = _read(_image(tmp_path, compress))
    (lossy,) = found.reservations
    assert lossy.text.endswith("off by up to 3 HU.")
    assert np.abs(found.volume.hu - spine()).max() <= 3


def _refused(path: Path, code: RefusalCode, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        _read(path)
    assert caught.value.code is code
    assert "\n" not in str(caught.value)
    assert "a.dcm" in str(caught.value)


def _drop(keyword: str) -> Callable[[Dataset], object]:
    """Remove a functional group wherever it stands."""

    def change(image: Dataset) -> None:
        for item in (*_frames(image), *image.SharedFunctionalGroupsSequence):
            item.pop(keyword, None)

    return change


def _beside(keyword: str, **values: object) -> Callable[[Dataset], object]:
    """Remove a functional group, and say the same beside the groups, where it does not count."""

    def change(image: Dataset) -> None:
        _drop(keyword)(image)
        put(**values)(image)

    return change


REFUSED: dict[str, tuple[Callable[[Dataset], object], RefusalCode, str]] = {
    "no groups": (
        put(PerFrameFunctionalGroupsSequence=None), RefusalCode.TRUNCATED, "its 6 frames, got 0"
    ),
    "no number of frames": (
        put(NumberOfFrames=None), RefusalCode.TRUNCATED, "an unknown number of frames, got 6"
    ),
    "more frames than groups": (
        put(NumberOfFrames=7), RefusalCode.TRUNCATED, "its 7 frames, got 6"
    ),
    "no position": (
        _drop("PlanePositionSequence"), RefusalCode.NO_GEOMETRY, "frame 1: image position"
    ),
    "a position beside the groups": (
        _beside("PlanePositionSequence", ImagePositionPatient=[0, 0, 0]),
        RefusalCode.NO_GEOMETRY, "frame 1: image position",
    ),
    "one frame without a position": (
        lambda image: put(PlanePositionSequence=None)(_frames(image)[4]),
        RefusalCode.NO_GEOMETRY, "frame 5: image position",
    ),
    "no orientation": (
        _drop("PlaneOrientationSequence"), RefusalCode.NO_GEOMETRY, "orientation must be given"
    ),
    "no spacing": (_drop("PixelMeasuresSequence"), RefusalCode.NO_SPACING, "pixel spacing must"),
    "no rescale": (
        _drop("PixelValueTransformationSequence"), RefusalCode.NO_HU, "rescale slope and intercept"
    ),
    "a rescale beside the groups": (
        _beside("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1024),
        RefusalCode.NO_HU, "rescale slope and intercept",
    ),
    "a frame without pixels": (
        lambda image: put(PixelData=image.PixelData[:-200])(image),
        RefusalCode.TRUNCATED, "must hold 62208 bytes, got 62008",
    ),
    "pixels of a seventh frame": (
        lambda image: put(PixelData=image.PixelData + image.PixelData[:10368])(image),
        RefusalCode.TRUNCATED, "must hold 6 frames, got 7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_image_whose_frames_are_not_fully_told_is_refused(name: str, tmp_path: Path) -> None:
    change, code, match = REFUSED[name]
    _refused(_image(tmp_path, change), code, match)


def test_each_frame_keeps_its_own_rescale(tmp_path: Path) -> None:
    def rescale(image: Dataset) -> None:
        own = _frames(image)[1].PixelValueTransformationSequence[0]
        put(RescaleSlope=0.5, RescaleIntercept=-1000)(own)

    hu = _read(_image(tmp_path, rescale)).volume.hu
    # frame 2 holds the lowest slice, stored with slope 1 and intercept -1024
    assert_allclose(hu[0], (spine()[0] + 1024) * 0.5 - 1000, rtol=0, atol=1e-3)  # float32
    assert_array_equal(hu[1:], spine()[1:])


def test_compressed_pixels_of_fewer_frames_are_refused(tmp_path: Path) -> None:
    def compress(image: Dataset) -> None:
        image.compress(RLELossless, generate_instance_uid=False)
        image.NumberOfFrames = SLICES - 1
        image.PerFrameFunctionalGroupsSequence = _frames(image)[: SLICES - 1]

    _refused(_image(tmp_path, compress), RefusalCode.TRUNCATED, "must hold 5 frames, got 6")


def test_damaged_compressed_frames_are_refused(tmp_path: Path) -> None:
    image = _image(tmp_path, lambda one: one.compress(RLELossless, generate_instance_uid=False))
    content = image.read_bytes()
    at = content.index(b"\xfe\xff\x00\xe0", content.index(b"\xe0\x7f\x10\x00"))
    image.write_bytes(content[:at] + bytes(4) + content[at + 4 :])
    _refused(image, RefusalCode.TRUNCATED, "complete")


def test_what_only_describes_frames_may_be_missing(tmp_path: Path) -> None:
    def bare(image: Dataset) -> None:
        for keyword in (
            "CTImageFrameTypeSequence", "FrameContentSequence", "CTReconstructionSequence",
            "CTXRayDetailsSequence",
        ):  # fmt: skip
            _drop(keyword)(image)
        for frame in _frames(image):
            frame.FrameAnatomySequence = group(AnatomicRegionSequence=group(CodeMeaning="Head"))

    image = _image(tmp_path, bare)
    (found,) = find_series(image).series
    assert found.image_types == (("ORIGINAL", "PRIMARY", "VOLUME", "NONE"),)
    assert found.body_part == "LSPINE"
    acquisition = read_series(found).acquisition
    assert (acquisition.kvp, acquisition.kernel) == (None, None)


def test_an_image_that_cannot_be_split_stands_beside_the_others(tmp_path: Path) -> None:
    series(tmp_path / "other")
    _image(tmp_path / "broken", put(NumberOfFrames=7))
    shutil.rmtree(tmp_path / "broken" / "slices")
    found = find_series(tmp_path)
    assert [len(one.frames) for one in found.series] == [SLICES]
    assert [one.code for one in found.problems] == [RefusalCode.TRUNCATED]


@pytest.mark.parametrize(
    ("given", "contrast"), [(("NO", "NO"), False), (("YES", "YES"), True), ((), True)]
)
def test_an_agent_counts_for_the_frames_that_it_was_given_in(
    given: tuple[str, ...], contrast: bool, tmp_path: Path
) -> None:
    def name(image: Dataset) -> None:
        image.ContrastBolusAgentSequence = group(CodeMeaning="Iohexol", ContrastBolusAgentNumber=1)
        for frame in _frames(image):
            frame.ContrastBolusUsageSequence = [
                group(ContrastBolusAgentNumber=1, ContrastBolusAgentAdministered=one)[0]
                for one in given
            ]

    found = _read(_image(tmp_path, name))
    assert found.acquisition.contrast is contrast


def test_the_region_of_the_frames_is_the_body_part(tmp_path: Path) -> None:
    def name(image: Dataset) -> None:
        del image.BodyPartExamined
        for frame in _frames(image):
            frame.FrameAnatomySequence = group(AnatomicRegionSequence=group(CodeMeaning="Head"))

    (found,) = find_series(_image(tmp_path, name)).series
    assert found.body_part == "HEAD"


def test_private_and_malformed_attributes_within_groups_are_left_out(tmp_path: Path) -> None:
    def name(image: Dataset) -> None:
        for frame in _frames(image):
            plane = frame.PlanePositionSequence[0]
            plane.private_block(0x11, "SECRET", create=True).add_new(1, "LO", "Jane Doe")
            plane[0x00180050] = pydicom.dataelem.RawDataElement(
                pydicom.tag.Tag(0x00180050), "DS", 4, b"abc ", 0, False, True
            )

    found = _read(_image(tmp_path, name))
    assert_array_equal(found.volume.hu, spine())
    assert all("Jane" not in str(one) for one in found.headers)


def test_a_huge_image_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = _image(tmp_path)
    monkeypatch.setattr(header_module, "MAX_FILE_BYTES", 100)
    assert _read(image).volume.hu.shape[0] == SLICES  # the limit of one slice is not its own
    monkeypatch.setattr(header_module, "MAX_MULTI_FRAME_BYTES", 101)
    _refused(image, RefusalCode.TOO_LARGE, "larger than 101 bytes")


def test_a_frame_is_named_as_if_its_file_were_a_folder() -> None:
    assert Frame(Path("a.dcm")).source == Path("a.dcm")
    assert Frame(Path("a.dcm"), 3).source == Path("a.dcm/frame 3")
    one = SeriesFiles("1", "2", "CT", "", (Frame(Path("a"), 1), Frame(Path("a"), 2)))
    assert one.files == (Path("a"),)
