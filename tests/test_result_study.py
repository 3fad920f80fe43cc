"""Every DICOM object of a screening, on the grid of its CT, valid and of one study.

The geometry is read with pydicom alone: positions, directions and spacing as they stand in the
files, never by the reader under test.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from bad_inputs import AFFINE, edit, put, series, spine
from bundles import threshold_bundle
from made_results import made_marks, made_pdf, made_refusal, made_result, made_series
from multi_frame import converted, enhanced
from osteoscreen.bundle import Bundle
from osteoscreen.dicom import codes
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.result_object import REPORT as REPORT_SERIES
from osteoscreen.dicom.result_study import OBJECTS, write_documents, write_measurements
from osteoscreen.dicom.series import CTSeries, read_series
from osteoscreen.findings import BundleReference, ScreeningResult
from osteoscreen.volume import Affine
from osteoscreen.workflow import Silent, screen_inputs

BONE_HU = 200
"""The threshold bundle marks what is brighter."""

KNOWN_WARNING = "Different information entities for attribute - Element=<AccessionNumber>"
"""dcentvfy puts this attribute of an SR into the series, whatever its value."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


def _turned(angle_deg: float) -> Affine:
    """Slices that lean to the head, as those along a disc do."""
    angle = np.radians(angle_deg)
    lean = np.eye(4)
    lean[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return np.asarray(lean @ AFFINE)


def _flipped(*axes: int) -> Affine:
    """Run some axes of the body the other way, about the middle of the field."""
    flip = np.eye(4)
    for axis in axes:
        flip[axis, axis] = -1
    return np.asarray(flip @ AFFINE)


def _sheared() -> Affine:
    """Slices that stand axial but each further to the back, as a tilted gantry leaves them."""
    affine = AFFINE.copy()
    affine[1, 0] = 0.8
    return affine


GEOMETRIES: dict[str, tuple[str, Affine]] = {
    "head first, supine": ("HFS", AFFINE),
    "feet first, supine": ("FFS", _flipped(0, 2)),
    "head first, prone": ("HFP", _flipped(0, 1)),
    "feet first, prone": ("FFP", _flipped(1, 2)),
    "oblique": ("HFS", _turned(12)),
    "tilted gantry": ("HFS", _sheared()),
}


def _grid(instance: Dataset) -> NDArray[np.float64]:
    """Position, directions and spacing of one slice or frame, as its attributes say."""
    return np.array(
        [
            *(float(v) for v in instance.ImagePositionPatient),
            *(float(v) for v in instance.ImageOrientationPatient),
            *(float(v) for v in instance.PixelSpacing),
        ]
    )


def _frame_grid(segmentation: Dataset, frame: Dataset) -> NDArray[np.float64]:
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    plane = Dataset()
    plane.ImagePositionPatient = frame.PlanePositionSequence[0].ImagePositionPatient
    plane.ImageOrientationPatient = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    plane.PixelSpacing = shared.PixelMeasuresSequence[0].PixelSpacing
    return _grid(plane)


def _screened(source: Path, out: Path, bundle: Bundle) -> Path:
    (row,) = screen_inputs([source], out, bundle, Silent())
    assert row.status == "screened", row.reason
    return out / row.folder


@pytest.mark.parametrize("is_reversed", [False, True], ids=["rising files", "falling files"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_each_frame_lies_on_its_slice_and_marks_its_bone(
    tmp_path: Path, bundle: Bundle, name: str, is_reversed: bool
) -> None:
    position, affine = GEOMETRIES[name]
    hu = spine()
    hu[:, 50:56, 30] = 300
    hu[0, :, :] = np.where(hu[0] > BONE_HU, 40, hu[0])  # one end has no bone: a flip would be seen
    files = series(tmp_path / "ct", hu=hu, affine=affine, patient_position=position)
    if is_reversed:
        for number, file in enumerate(files):
            edit([file], put(InstanceNumber=len(files) - number))
            file.rename(file.with_name(f"z{len(files) - number:02d}.dcm"))
    folder = _screened(tmp_path / "ct", tmp_path / "out", bundle)
    slices = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, (tmp_path / "ct").iterdir())}
    segmentation = pydicom.dcmread(folder / "segmentation.dcm")
    drawn = {uid: np.zeros((72, 72), bool) for uid in slices}
    frames = segmentation.pixel_array
    for frame, pixels in zip(segmentation.PerFrameFunctionalGroupsSequence, frames, strict=True):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert_allclose(_frame_grid(segmentation, frame), _grid(slices[source]), atol=1e-6)
        drawn[source] |= pixels > 0
    for uid, one in slices.items():
        bone = one.pixel_array * one.RescaleSlope + one.RescaleIntercept > BONE_HU
        assert (drawn[uid] == bone).mean() > 0.99  # the net sees the slice resampled
        assert drawn[uid].any() == bone.any()
    assert segmentation.FrameOfReferenceUID == next(iter(slices.values())).FrameOfReferenceUID


def _objects(folder: Path, result: ScreeningResult) -> list[Path]:
    """Write a CT series and every object of a result on it."""
    return sorted(_written(folder / "out", made_series(folder / "ct"), result).iterdir())


def _written(folder: Path, ct: CTSeries, result: ScreeningResult) -> Path:
    """Write every object of a result on a series, the same picture and report each time."""
    picture = np.full((40, 60, 3), 200, np.uint8)
    folder.mkdir()
    write_documents(result, ct, folder, picture=picture, pdf=made_pdf())
    write_measurements(result, made_marks(), ct, folder)
    return folder


RESULTS: dict[str, Callable[[], ScreeningResult]] = {
    "screened": made_result,
    "refused": made_refusal,
    "marks given": lambda: made_result(
        reservations=(
            {"code": "DOUBTFUL", "text": "No class has a clear majority."},
            {"code": "MARKS_GIVEN", "text": "From a file."},
        )
    ),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_every_code_of_every_object_is_known(kind: str, tmp_path: Path) -> None:
    known = _ours() | _of_dicom() | ADDED_BY_HIGHDICOM
    for path in _objects(tmp_path, RESULTS[kind]()):
        items = _code_items(pydicom.dcmread(path))
        assert items
        told = {(x.CodingSchemeDesignator, x.CodeValue, x.CodeMeaning.lower()) for x in items}
        assert told <= known, path.name


ADDED_BY_HIGHDICOM = {("RFC5646", "en-US", "english (united states)")}
"""The language of a report (PS3.16 CID 5000), which pydicom does not have."""


def _ours() -> set[tuple[str, str, str]]:
    """The pinned table; values of one code may stand in it twice."""
    found: list[object] = list(vars(codes).values())
    found += [one for table in found if isinstance(table, dict) for one in table.values()]
    return {
        (one.scheme_designator, one.value, one.meaning.lower())
        for one in found
        if isinstance(one, Code)
    }


def _of_dicom() -> set[tuple[str, str, str]]:
    """Every code of PS3.16 in pydicom's dictionary."""
    dictionary: Any = concepts
    return {
        (scheme, value, meaning.lower())
        for scheme, names in dictionary.items()
        for values in names.values()
        for value, (meaning, _) in values.items()
    }


def _code_items(dataset: Dataset) -> list[Dataset]:
    found = [dataset] if "CodeValue" in dataset else []
    for element in dataset:
        if element.VR == "SQ":
            found += [one for item in element.value for one in _code_items(item)]
    return found


def _tool(name: str) -> str | None:
    """Find a program on the path or beside Python, where a package installs it."""
    return shutil.which(name) or shutil.which(name, path=Path(sys.executable).parent)


def _told(command: Sequence[str | Path]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def _check(paths: Sequence[Path], sources: Sequence[Path]) -> None:
    """Fail on any error of dciodvfy and on any contradiction that dcentvfy finds."""
    for path in paths:
        code, told = _told(["dciodvfy", path])
        assert code == 0, told
        assert "Error" not in told, told
    _, told = _told(["dcentvfy", *sources, *paths])
    assert not [line for line in told.splitlines() if line.strip() and KNOWN_WARNING not in line]


needs_dicom3tools = pytest.mark.skipif(
    shutil.which("dciodvfy") is None or shutil.which("dcentvfy") is None,
    reason="dicom3tools is not installed",
)


@needs_dicom3tools
@pytest.mark.parametrize("kind", RESULTS)
def test_every_object_is_valid_and_of_the_study_of_its_images(kind: str, tmp_path: Path) -> None:
    paths = _objects(tmp_path, RESULTS[kind]())
    assert {path.name for path in paths} == set(OBJECTS)
    _check(paths, sorted((tmp_path / "ct").iterdir()))


@needs_dicom3tools
def test_attributes_of_the_study_are_those_of_the_images(tmp_path: Path, bundle: Bundle) -> None:
    files = series(tmp_path / "ct", study_date="20240131", study_description="ABDOMEN")
    told = put(
        AccessionNumber="A-17", StudyID="S1", ReferringPhysicianName="REF^ER", PatientSize="1.7",
        PatientWeight="70", StudyTime="101112", PatientBirthDate="19620203",
        OtherPatientIDs="X1",
    )  # fmt: skip
    edit(files, told)
    folder = _screened(tmp_path / "ct", tmp_path / "out", bundle)
    _check(sorted(folder.glob("*.dcm")), files)
    for path in folder.glob("*.dcm"):
        assert pydicom.dcmread(path).ReferringPhysicianName == "REF^ER"


@needs_dicom3tools
@pytest.mark.parametrize("make", [enhanced, converted])
def test_a_multi_frame_image_has_valid_results(
    tmp_path: Path, bundle: Bundle, make: Callable[[Sequence[Path], Path], Path]
) -> None:
    (tmp_path / "ct").mkdir()
    image = make(series(tmp_path / "slices", study_date="20240131"), tmp_path / "ct" / "a.dcm")
    folder = _screened(tmp_path / "ct", tmp_path / "out", bundle)
    paths = sorted(folder.glob("*.dcm"))
    assert [path.name for path in paths] == [
        "capture.dcm",
        "measurements.dcm",
        "report.dcm",
        "segmentation.dcm",
    ]
    _check(paths, [])
    uid = pydicom.dcmread(image).SOPInstanceUID
    report = pydicom.dcmread(folder / "measurements.dcm")
    named = {
        str(one.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for one_series in study.ReferencedSeriesSequence
        for one in one_series.ReferencedSOPSequence
    }
    assert named == {uid, pydicom.dcmread(folder / "segmentation.dcm").SOPInstanceUID}


def test_the_report_of_a_screening_tells_the_numbers_of_its_result(
    tmp_path: Path, bundle: Bundle
) -> None:
    series(tmp_path / "ct")
    folder = _screened(tmp_path / "ct", tmp_path / "out", bundle)
    result = json.loads((folder / "result.json").read_text())
    (measured,) = [
        item
        for item in pydicom.dcmread(folder / "measurements.dcm").ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    ]
    patient = measured.ContentSequence[0]
    told = {
        item.ConceptNameCodeSequence[0].CodeValue: item.MeasuredValueSequence[0].FloatingPointValue
        for item in patient.ContentSequence
        if item.ValueType == "NUM"
    }
    shares = result["probabilities"]
    assert told["P_NORMAL"] == shares["normal_bone_mass"]
    assert told["P_LOW"] == shares["low_bone_mass"]
    assert told["P_OSTEOPOROSIS"] == shares["osteoporosis"]


def test_results_beside_the_images_are_not_screened(tmp_path: Path, bundle: Bundle) -> None:
    series(tmp_path / "ct")
    folder = _screened(tmp_path / "ct", tmp_path / "out", bundle)
    for path in folder.glob("*.dcm"):
        shutil.copy(path, tmp_path / "ct" / path.name)
    rows = screen_inputs([tmp_path / "ct"], tmp_path / "again", bundle, Silent())
    (screened,) = [row for row in rows if row.status == "screened"]
    assert {row.status for row in rows} == {"screened", "skipped"}
    for path in folder.glob("*.dcm"):
        again = tmp_path / "again" / screened.folder / path.name
        assert pydicom.dcmread(again).SOPInstanceUID == pydicom.dcmread(path).SOPInstanceUID


@pytest.mark.parametrize("date", ["20240131", ""], ids=["dated", "no date"])
def test_a_second_screening_gives_the_same_bytes(date: str, tmp_path: Path, bundle: Bundle) -> None:
    series(tmp_path / "ct", study_date=date)
    first, second = (_screened(tmp_path / "ct", tmp_path / name, bundle) for name in "ab")
    for path in first.glob("*.dcm"):
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    "change",
    [
        {"PatientID": "B"},
        {"PatientName": "B^TEST"},
        {"IssuerOfPatientID": "ELSEWHERE"},
        {"AccessionNumber": "A-18"},
        {"StudyInstanceUID": "2.25.77"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_after_a_correction_of_patient_or_study_every_object_is_another(
    change: dict[str, str], tmp_path: Path
) -> None:
    def identifiers(folder: Path) -> dict[str, tuple[str, str]]:
        objects = [(one.name, pydicom.dcmread(one)) for one in folder.iterdir()]
        return {name: (one.SOPInstanceUID, one.SeriesInstanceUID) for name, one in objects}

    ct = made_series(tmp_path / "ct")
    first, same = (identifiers(_written(tmp_path / name, ct, made_result())) for name in "ab")
    assert first == same
    edit(sorted((tmp_path / "ct").iterdir()), put(**change))
    corrected = read_series(find_series(tmp_path / "ct").series[0])
    again = identifiers(_written(tmp_path / "c", corrected, made_result()))
    assert set(first) == set(again) == set(OBJECTS)
    for name, uids in first.items():
        assert not set(uids) & set(again[name]), name


def test_the_description_of_a_series_tells_what_made_it(tmp_path: Path) -> None:
    paths = _objects(tmp_path, made_result())
    assert {path.name: pydicom.dcmread(path).SeriesDescription for path in paths} == {
        "capture.dcm": "osteoscreen 9.9: marked slices, preliminary; made 1.2",
        "measurements.dcm": "osteoscreen 9.9: measurements, preliminary; made 1.2",
        "report.dcm": "osteoscreen 9.9: report, preliminary; made 1.2",
        "segmentation.dcm": "osteoscreen 9.9: vertebra marks; made 1.2",
    }


def test_the_description_of_a_series_is_a_long_string() -> None:
    bundle = BundleReference(name="a\\b\n" + "c" * 80, version="1", sha256="")
    told = REPORT_SERIES.by("osteoscreen 9.9", bundle).description
    assert told == "osteoscreen 9.9: report, preliminary; a b " + "c" * 22
    assert len(told) == 64


def test_given_marks_are_declared_as_given(tmp_path: Path) -> None:
    ours = _objects(tmp_path / "ours", made_result())
    given = _objects(tmp_path / "given", RESULTS["marks given"]())
    for paths, kind, name in (
        (ours, "AUTOMATIC", "osteoscreen MS-Net"),
        (given, "SEMIAUTOMATIC", "marks given to osteoscreen"),
    ):
        objects = {path.name: pydicom.dcmread(path) for path in paths}
        is_ours = kind == "AUTOMATIC"
        for segment in objects["segmentation.dcm"].SegmentSequence:
            assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == (kind, name)
            assert ("SegmentationAlgorithmIdentificationSequence" in segment) is is_ours
        told = [one.value for one in objects["measurements.dcm"].iterall() if one.VR == "UT"]
        assert ("marks given to osteoscreen" in told) is not is_ours
        codes_told = {one.CodeValue for one in _code_items(objects["segmentation.dcm"])}
        assert (codes.ARTIFICIAL_INTELLIGENCE.value in codes_told) is is_ours


def test_other_software_makes_other_objects(tmp_path: Path) -> None:
    ct = made_series(tmp_path / "ct")
    folders = [
        _written(tmp_path / name, ct, made_result(software=f"osteoscreen {name}"))
        for name in ("1", "2")
    ]
    for name in OBJECTS:
        first, second = (pydicom.dcmread(folder / name) for folder in folders)
        assert first.SOPInstanceUID != second.SOPInstanceUID, name


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dcmtk is not installed")
def test_dcmtk_reads_the_measurement_report(tmp_path: Path) -> None:
    _objects(tmp_path, made_result())
    code, told = _told(["dsrdump", tmp_path / "out" / "measurements.dcm"])
    assert code == 0, told
    assert 'NUM:(,,"Attenuation Coefficient")="120.5"' in told
    code, told = _told(["dsr2html", tmp_path / "out" / "measurements.dcm", tmp_path / "a.html"])
    assert code == 0, told
    assert "Research use only" in (tmp_path / "a.html").read_text()


READER, SEGMENT_READER = _tool("tid1500reader"), _tool("segimage2itkimage")


@pytest.mark.skipif(READER is None, reason="dcmqi is not installed")
def test_dcmqi_reads_the_measurement_report(tmp_path: Path) -> None:
    assert READER is not None
    _objects(tmp_path, made_result())
    report, read = tmp_path / "out" / "measurements.dcm", tmp_path / "a.json"
    code, told = _told([READER, "--inputDICOM", report, "--outputMetadata", read])
    assert code == 0, told
    groups = {
        one["TrackingIdentifier"]: one for one in json.loads(read.read_text())["Measurements"]
    }
    assert set(groups) == {"Patient", "L1", "L2", "L3"}
    values = [float(one["value"]) for one in groups["L1"]["measurementItems"]]
    assert values == [120.5, 119.0, 31.7, 0.987, 0.25, 0.5, 0.25]


@pytest.mark.skipif(SEGMENT_READER is None, reason="dcmqi is not installed")
def test_dcmqi_reads_the_segments(tmp_path: Path) -> None:
    assert SEGMENT_READER is not None
    _objects(tmp_path, made_result())
    (tmp_path / "read").mkdir()
    command = [SEGMENT_READER, "-t", "nii", "--inputDICOM"]
    marks = tmp_path / "out" / "segmentation.dcm"
    code, told = _told([*command, marks, "--outputDirectory", tmp_path / "read"])
    assert code == 0, told
    meta = json.loads((tmp_path / "read" / "meta.json").read_text())
    labels = [one[0]["SegmentLabel"] for one in meta["segmentAttributes"]]
    assert labels == [one.label for one in made_marks().segments]


@pytest.mark.skipif(SEGMENT_READER is None, reason="dcmqi is not installed")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            one,
            marks=pytest.mark.xfail(
                one == "tilted gantry",
                reason="NIfTI as dcmqi writes it does not lean: it stacks the slices upright",
                strict=True,
            ),
        )
        for one in GEOMETRIES
    ],
)
def test_dcmqi_finds_the_marks_where_the_bone_is(tmp_path: Path, bundle: Bundle, name: str) -> None:
    assert SEGMENT_READER is not None
    position, affine = GEOMETRIES[name]
    hu = spine()
    hu[0] = np.where(hu[0] > BONE_HU, 40, hu[0])  # with the column off the middle: no flip fits
    files = series(tmp_path / "ct", hu=hu, affine=affine, patient_position=position)
    folder = _screened(tmp_path / "ct", tmp_path / "out", bundle)
    (tmp_path / "read").mkdir()
    command = [SEGMENT_READER, "-t", "nii", "--inputDICOM", str(folder / "segmentation.dcm")]
    code, told = _told([*command, "--outputDirectory", tmp_path / "read"])
    assert code == 0, told
    found = {one for path in (tmp_path / "read").glob("*.nii*") for one in _marked_places(path)}
    bone = {one for file in files for one in _bone_places(pydicom.dcmread(file))}
    assert bone
    assert len(found ^ bone) < 0.01 * len(bone), (len(found), len(bone), len(found & bone))


def _marked_places(path: Path) -> set[tuple[float, ...]]:
    """Places of the marked voxels of a NIfTI file, from its RAS to LPS."""
    image: Any = nibabel.load(path)
    voxels = np.argwhere(np.asarray(image.dataobj) > 0)
    return _rounded((voxels @ image.affine[:3, :3].T + image.affine[:3, 3]) * [-1, -1, 1])


def _bone_places(one: Dataset) -> set[tuple[float, ...]]:
    """Places of the bright pixels of a slice by its attributes (PS3.3 section C.7.6.2.1.1)."""
    bone = one.pixel_array * one.RescaleSlope + one.RescaleIntercept > BONE_HU
    rows, columns = np.nonzero(bone)
    along_row, along_column = np.array(one.ImageOrientationPatient, np.float64).reshape(2, 3)
    between_rows, between_columns = (float(value) for value in one.PixelSpacing)
    return _rounded(
        np.array(one.ImagePositionPatient, np.float64)
        + columns[:, None] * between_columns * along_row
        + rows[:, None] * between_rows * along_column
    )


def _rounded(places: NDArray[np.float64]) -> set[tuple[float, ...]]:
    """To 0.1 mm, off the places where float32 of NIfTI would tip it."""
    return {tuple(one) for one in np.floor(places * 10 + 0.37).astype(int).tolist()}
