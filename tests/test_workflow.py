"""Whole inputs in, whole results out, bad inputs among them."""

from __future__ import annotations

import csv
import errno
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal
from pydicom.config import disable_value_validation

from bundles import threshold_bundle
from osteoscreen.bundle import Bundle, load_bundle
from osteoscreen.dicom.instance import SeriesHeader, derived_uid, write_ct_series
from osteoscreen.dicom.marked_slices import read_segmentation
from osteoscreen.errors import InputError, RefusalCode, ServerError
from osteoscreen.findings import ReservationCode, ScreeningResult
from osteoscreen.nifti import read_labels
from osteoscreen.reporting import write_report
from osteoscreen.summary import SUMMARY, Row
from osteoscreen.volume import Affine, Volume
from osteoscreen.workflow import screen_inputs, screen_path
from pdf_words import words

REAL = Path(__file__).parents[2] / "shared" / "real"

SIZE = 72
SLICES = 4

NAME = "DOE^JANE"
"""What no line may tell."""


class Watcher:
    """Counts what a command line would show."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.marked = 0
        self.rows: list[Row] = []

    def begin(self, name: str, slices: int) -> None:
        assert name.startswith("series-")
        self.begun.append(slices)

    def advance(self, slices: int) -> None:
        self.marked += slices

    def end(self, row: Row) -> None:
        self.rows.append(row)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


def _affine() -> Affine:
    return np.array([[0, 0, 1.5, -54], [0, 1.5, 0, -54], [4, 0, 0, 100], [0, 0, 0, 1.0]])


def _hu() -> np.ndarray:
    """A bone off the middle, so that a mirrored mark would be seen."""
    steps = np.arange(SIZE)
    hu = np.full((SLICES, SIZE, SIZE), -1000, np.float32)
    hu[:, 5:68, 4:69] = 40
    disc = np.hypot(steps[:, None] - 44, steps[None, :] - 28) <= 14
    hu[:, disc] = np.linspace(300, 420, SLICES)[:, None]
    return hu


def _header(name: str = "A") -> SeriesHeader:
    return SeriesHeader(
        patient_id=f"SECRET-{name}",
        patient_name="DOE^JANE",
        sex="F",
        age=63,
        study_date="20240131",
        study_uid=derived_uid(f"{name}/study"),
        series_uid=derived_uid(f"{name}/series"),
        frame_of_reference_uid=derived_uid(f"{name}/frame"),
        kvp=120,
        manufacturer="MAKER",
        model="MODEL",
        kernel="soft",
    )


def _series(folder: Path, name: str = "A") -> Path:
    write_ct_series(Volume(_hu(), _affine()), _header(name), folder)
    return folder


def _edit(file: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    dataset = pydicom.dcmread(file)
    change(dataset)
    dataset.save_as(file)


def _run(inputs: list[Path], out: Path, bundle: Bundle) -> list[dict[str, str]]:
    rows = screen_inputs(inputs, out, bundle, Watcher())
    with (out / SUMMARY).open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert len(written) == len(rows)
    return written


def _result(out: Path, row: dict[str, str]) -> ScreeningResult:
    return ScreeningResult.model_validate_json((out / row["folder"] / "result.json").read_text())


def test_a_dicom_series_gives_every_output(tmp_path: Path, bundle: Bundle) -> None:
    (row,) = _run([_series(tmp_path / "ct")], tmp_path / "out", bundle)
    assert row["status"] == "screened"
    folder = tmp_path / "out" / row["folder"]
    assert {path.name for path in folder.iterdir()} == {
        "result.json", "report.html", "report.pdf", "pie.png", "overlay.png", "looked.png",
        "segmentation.dcm", "measurements.dcm", "capture.dcm", "report.dcm",
        "fhir.json",
    }  # fmt: skip
    result = _result(tmp_path / "out", row)
    assert result.condition == row["condition"]
    assert result.subject.age == 63
    assert result.subject.sex == "F"
    assert result.acquisition.kvp == 120
    assert set(result.timing_s) == {
        "read",
        "marks",
        "levels",
        "classify",
        "measure",
        "report",
        "objects",
    }


def test_the_segmentation_lies_on_the_source_slices(tmp_path: Path, bundle: Bundle) -> None:
    (row,) = _run([_series(tmp_path / "ct")], tmp_path / "out", bundle)
    marks = read_segmentation(tmp_path / "out" / row["folder"] / "segmentation.dcm")
    for uid, label in zip(marks.sources, marks.labels):
        source = next(
            file for file in (tmp_path / "ct").iterdir()
            if pydicom.dcmread(file).SOPInstanceUID == uid
        )  # fmt: skip
        assert_array_equal(label > 0, pydicom.dcmread(source).pixel_array > 1224)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2)])
def test_nifti_marks_come_back_on_the_files_own_grid(
    tmp_path: Path, bundle: Bundle, axes: tuple[int, int, int], flips: tuple[int, ...]
) -> None:
    lps_to_ras = np.diag([-1.0, -1, 1, 1])
    image: Any = nibabel.Nifti1Image(
        _hu().transpose(2, 1, 0), lps_to_ras @ _affine()[:, [2, 1, 0, 3]]
    )
    orientation = np.array([[axis, -1 if axis in flips else 1] for axis in axes])
    file = tmp_path / "ct.nii.gz"
    nibabel.save(image.as_reoriented(orientation), file)
    (row,) = _run([file], tmp_path / "out", bundle)
    folder = tmp_path / "out" / row["folder"]
    stored: Any = nibabel.load(folder / "segmentation.nii.gz")
    source: Any = nibabel.load(file)
    assert_array_equal(np.asarray(stored.dataobj) > 0, source.get_fdata() > 200)
    np.testing.assert_allclose(stored.affine, source.affine, atol=1e-4)
    assert (read_labels(folder / "segmentation.nii.gz") <= 2).all()


def test_nifti_and_dicom_of_one_volume_agree(tmp_path: Path, bundle: Bundle) -> None:
    affine = np.diag([-1.0, -1, 1, 1]) @ _affine()[:, [2, 1, 0, 3]]
    file = tmp_path / "ct.nii"
    nibabel.save(nibabel.Nifti1Image(_hu().transpose(2, 1, 0), affine), file)
    first, second = _run([_series(tmp_path / "ct"), file], tmp_path / "out", bundle)
    assert first["condition"] == second["condition"]
    # DICOM stores whole HU.
    assert float(first["osteoporosis"]) == pytest.approx(float(second["osteoporosis"]), abs=1e-3)


def test_a_single_slice_is_screened_as_in_the_paper(tmp_path: Path, bundle: Bundle) -> None:
    _series(tmp_path / "ct")
    (row,) = _run([tmp_path / "ct" / "0001.dcm"], tmp_path / "out", bundle)
    assert row["status"] == "screened"
    assert "SINGLE_SLICE" in row["reservations"]


def test_feet_first_slices_keep_their_index_in_the_input(tmp_path: Path, bundle: Bundle) -> None:
    hu, affine = _hu(), _affine()
    hu[0] = 40
    affine[2, 3] += 4 * (SLICES - 1)
    affine[2, 0] *= -1
    file = tmp_path / "down.nii.gz"
    lps_to_ras = np.diag([-1.0, -1, 1, 1])
    image = nibabel.Nifti1Image(hu.transpose(2, 1, 0), lps_to_ras @ affine[:, [2, 1, 0, 3]])
    nibabel.save(image, file)
    (row,) = _run([file], tmp_path / "out", bundle)
    found = _result(tmp_path / "out", row).slices
    assert [one.index for one in found] == [3, 2, 1]
    assert [one.position_mm for one in found] == pytest.approx([100, 104, 108])


def test_the_page_and_the_names_of_files_hold_no_identity(tmp_path: Path, bundle: Bundle) -> None:
    (row,) = _run([_series(tmp_path / "ct")], tmp_path / "out", bundle)
    folder = tmp_path / "out" / row["folder"]
    printed = words((folder / "report.pdf").read_bytes())
    for text in (
        *((folder / name).read_text() for name in ("report.html", "result.json", "fhir.json")),
        printed,
    ):
        assert "SECRET" not in text
        assert "DOE" not in text
    assert "SECRET" not in row["folder"]
    key = _result(tmp_path / "out", row).subject.key
    assert key is not None


def test_a_volume_without_bone_is_refused_with_its_overlay(tmp_path: Path, bundle: Bundle) -> None:
    hu = np.minimum(_hu(), 40)
    write_ct_series(Volume(hu, _affine()), _header(), tmp_path / "ct")
    (row,) = _run([tmp_path / "ct"], tmp_path / "out", bundle)
    assert (row["status"], row["code"]) == ("refused", "NO_LUMBAR")
    names = {path.name for path in (tmp_path / "out" / row["folder"]).iterdir()}
    assert names == {
        "result.json", "report.html", "report.pdf", "overlay.png", "segmentation.nii.gz",
        "measurements.dcm", "capture.dcm", "report.dcm",
        "fhir.json",
    }  # fmt: skip
    assert not read_labels(tmp_path / "out" / row["folder"] / "segmentation.nii.gz").any()
    assert "%" not in (tmp_path / "out" / row["folder"] / "report.html").read_text().split(
        "</style>"
    )[1].replace("width:100%", "")


def _png(path: Path) -> Path:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    return path


def _broken(folder: Path, change: Callable[[pydicom.Dataset], object]) -> Path:
    for file in sorted(_series(folder).iterdir()):
        _edit(file, change)
    return folder


def _bad_inputs(home: Path) -> dict[str, tuple[Path, str, str]]:
    """Each bad input of the issue: where it lies, its code, and a word of its reason."""
    (home / "empty").mkdir()
    truncated = _series(home / "truncated", "T")
    file = truncated / "0002.dcm"
    file.write_bytes(file.read_bytes()[:-3000])
    twins = _series(home / "twins", "G")
    shutil.copy(twins / "0001.dcm", twins / "twin.dcm")
    _edit(twins / "twin.dcm", lambda one: setattr(one, "SOPInstanceUID", "2.25.77"))
    mixed = _series(home / "mixed", "M")
    turned = [1, 0.02, 0, -0.02, 1, 0]
    _edit(mixed / "0003.dcm", lambda one: setattr(one, "ImageOrientationPatient", turned))
    labels = home / "labels.nii.gz"
    nibabel.save(
        nibabel.Nifti1Image((_hu() > 200).astype(np.uint8), np.diag([1.5, 1.5, 4, 1])), labels
    )

    def make_mr(one: pydicom.Dataset) -> None:
        one.Modality, one.SOPClassUID = "MR", pydicom.uid.MRImageStorage
        one.file_meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage

    return {
        "missing": (home / "nowhere", "NO_INPUT", "exist"),
        "empty": (home / "empty", "NO_INPUT", "DICOM"),
        "png": (_png(home / "picture.dcm"), "NOT_DICOM", "picture.dcm"),
        "truncated": (truncated, "TRUNCATED", "0002.dcm"),
        "mr": (_broken(home / "mr", make_mr), "NOT_CT", "MR"),
        "spacing": (_broken(home / "sp", lambda o: o.pop("PixelSpacing")), "NO_SPACING", "sp"),
        "slope": (_broken(home / "sl", lambda o: o.pop("RescaleSlope")), "NO_HU", "sl"),
        "twins": (twins, "DUPLICATE_SLICES", "twin"),
        "mixed": (mixed, "MIXED_ORIENTATION", "mixed"),
        "labels": (labels, "NOT_HU", "labels.nii.gz"),
    }


def test_each_bad_input_is_one_row_and_the_others_are_screened(
    tmp_path: Path, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    bad = _bad_inputs(tmp_path)
    good = [_series(tmp_path / "first", "F"), _series(tmp_path / "last", "L")]
    inputs = [good[0], *(path for path, _, _ in bad.values()), good[1]]
    with caplog.at_level(logging.ERROR):
        rows = _run(inputs, tmp_path / "out", bundle)
    assert [rows[0]["status"], rows[-1]["status"]] == ["screened", "screened"]
    assert len(rows) == len(inputs)
    for row, (path, code, word) in zip(rows[1:-1], bad.values()):
        assert (row["status"], row["code"]) == ("refused", code), row
        assert str(path) in row["reason"]
        assert word in row["reason"]
        assert "\n" not in row["reason"]
        assert row["osteoporosis"] == ""
    assert not caplog.records


def test_a_picture_or_what_only_looks_like_an_archive_is_refused(
    tmp_path: Path, bundle: Bundle
) -> None:
    picture = _png(tmp_path / "slice.png")
    archive = tmp_path / "study.zip"
    archive.write_bytes(b"PK")
    rows = _run([picture, archive], tmp_path / "out", bundle)
    assert [row["code"] for row in rows] == ["UNSUPPORTED_FORMAT", "UNSUPPORTED_FORMAT"]
    assert "Hounsfield" in rows[0]["reason"]


def _zip(path: Path, files: dict[str, Path]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, file in files.items():
            made.write(file, name)
    return path


def test_a_study_in_an_archive_is_screened_as_the_folder_is(tmp_path: Path, bundle: Bundle) -> None:
    files = sorted(_series(tmp_path / "ct").iterdir())
    archive = _zip(tmp_path / "study.zip", {f"ct/{file.name}": file for file in files})
    rows = _run([tmp_path / "ct", archive], tmp_path / "out", bundle)
    assert [row["status"] for row in rows] == ["screened", "screened"]
    folder, zipped = (_result(tmp_path / "out", row) for row in rows)
    unlike = {"timing_s"}
    assert folder.model_dump(exclude=unlike) == zipped.model_dump(exclude=unlike)
    assert rows[0]["folder"] != rows[1]["folder"]


def test_what_is_wrong_in_an_archive_is_named_as_it_lies_there(
    tmp_path: Path, bundle: Bundle
) -> None:
    files = sorted(_series(tmp_path / "ct").iterdir())
    files[1].write_bytes(files[1].read_bytes()[:-3000])
    (tmp_path / "note.dcm").write_text("no image")
    entries = {f"ct/{file.name}": file for file in files}
    entries |= {"../out.dcm": files[0], "note.dcm": tmp_path / "note.dcm"}
    archive = _zip(tmp_path / "study.zip", entries)
    rows = _run([archive], tmp_path / "out", bundle)
    assert {row["code"]: row["reason"].split(": ")[0] for row in rows} == {
        "UNSAFE_NAME": f"{archive}/../out.dcm",
        "NOT_DICOM": f"{archive}/note.dcm",
        "TRUNCATED": f"{archive}/ct/{files[1].name}",
    }


def test_a_bad_file_beside_a_good_series_is_a_row_of_its_own(
    tmp_path: Path, bundle: Bundle
) -> None:
    _series(tmp_path / "ct")
    _png(tmp_path / "ct" / "zz.dcm")
    (tmp_path / "ct" / "README").write_text("not an image")
    rows = _run([tmp_path / "ct"], tmp_path / "out", bundle)
    assert sorted(row["status"] for row in rows) == ["refused", "screened"]


def test_of_a_study_one_series_is_screened_and_the_others_are_skipped(
    tmp_path: Path, bundle: Bundle
) -> None:
    short = replace(_header("A"), series_uid=derived_uid("A/short"))
    _series(tmp_path / "study" / "long")
    write_ct_series(Volume(_hu()[:2], _affine()), short, tmp_path / "study" / "short")
    rows = _run([tmp_path / "study"], tmp_path / "out", bundle)
    assert {row["status"]: row["series"] for row in rows} == {
        "screened": _header("A").series_uid,
        "skipped": short.series_uid,
    }
    assert next(row for row in rows if row["status"] == "skipped")["reason"]
    asked = screen_inputs(
        [tmp_path / "study"], tmp_path / "o2", bundle, Watcher(), series_uid=short.series_uid
    )
    assert next(row for row in asked if row.status == "screened").series == short.series_uid


def test_a_study_of_two_patients_is_refused_whole(tmp_path: Path, bundle: Bundle) -> None:
    study = tmp_path / "study"
    _series(study / "one", "A")
    other = replace(_header("B"), study_uid=_header("A").study_uid)
    write_ct_series(Volume(_hu(), _affine()), other, study / "two")
    rows = _run([study], tmp_path / "out", bundle)
    assert [row["code"] for row in rows] == ["MIXED_PATIENTS", "MIXED_PATIENTS"]
    assert {row["series"] for row in rows} == {_header("A").series_uid, other.series_uid}


def test_an_unknown_series_uid_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    _series(tmp_path / "ct")
    rows = screen_inputs([tmp_path / "ct"], tmp_path / "o", bundle, Watcher(), series_uid="1.2.3")
    assert [row.status for row in rows] == ["refused"]
    assert "1.2.3" in rows[0].reason


def test_two_studies_in_one_folder_are_both_screened(tmp_path: Path, bundle: Bundle) -> None:
    _series(tmp_path / "all" / "a", "A")
    _series(tmp_path / "all" / "b", "B")
    rows = _run([tmp_path / "all"], tmp_path / "out", bundle)
    assert [row["status"] for row in rows] == ["screened", "screened"]
    assert rows[0]["folder"] != rows[1]["folder"]


def test_a_failure_of_our_own_is_a_row_and_the_others_go_on(
    tmp_path: Path,
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = _series(tmp_path / "a", "A"), _series(tmp_path / "b", "B")
    errors = iter([RuntimeError("broken")])

    def fail_once(result: ScreeningResult, folder: Path) -> bytes:
        for error in errors:
            raise error
        return write_report(result, folder)

    monkeypatch.setattr("osteoscreen.workflow.write_report", fail_once)
    rows = _run([first, second], tmp_path / "out", bundle)
    assert [row["status"] for row in rows] == ["failed", "screened"]
    assert rows[0]["code"] == "FAILED"
    assert "RuntimeError" in rows[0]["reason"]
    assert "RuntimeError" in caplog.text
    assert "broken" not in caplog.text, "a message may quote a header"


def _fail_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pydicom raise, on files of a name, what nobody foresaw."""

    def read(path: Path) -> pydicom.dataset.FileMetaDataset:
        if path.name == name:
            raise AssertionError(NAME)
        return pydicom.filereader.read_file_meta_info(path)

    monkeypatch.setattr("osteoscreen.dicom.header.read_file_meta_info", read)


def test_a_file_that_breaks_the_reader_is_a_row_and_nothing_else_is_lost(
    tmp_path: Path,
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _series(tmp_path / "in" / "a", "A")
    shutil.copy(_series(tmp_path / "b", "B") / "0000.dcm", tmp_path / "in" / "odd.dcm")
    _fail_on("odd.dcm", monkeypatch)
    rows = _run([tmp_path / "in", tmp_path / "in" / "odd.dcm"], tmp_path / "out", bundle)
    assert [row["status"] for row in rows] == ["failed", "screened", "failed"]
    assert {row["reason"] for row in rows if row["code"] == "FAILED"} == {
        f"{tmp_path}/in/odd.dcm: internal error (AssertionError), see the log"
    }
    assert NAME not in caplog.text


@pytest.mark.parametrize("broken", ["intake.choose_series", "dicom.discovery._stacks"])
def test_a_study_that_breaks_the_choice_is_a_row_and_the_others_go_on(
    broken: str, tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = broken.rsplit(".", 1)
    working = getattr(import_module(f"osteoscreen.{module}"), name)
    calls = count()

    def fail_once(found: object) -> object:
        if next(calls) == 0:
            raise AssertionError(NAME)
        return working(found)

    _series(tmp_path / "in" / "a", "A")
    _series(tmp_path / "in" / "b", "B")
    monkeypatch.setattr(f"osteoscreen.{broken}", fail_once)
    rows = _run([tmp_path / "in"], tmp_path / "out", bundle)
    assert [row["status"] for row in rows] == ["failed", "screened"]
    assert rows[0]["code"] == "FAILED"


def test_a_full_disk_ends_the_command_and_makes_no_rows(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_entry: zipfile.ZipExtFile, _count: int) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("0000.dcm", b"x")
    monkeypatch.setattr(zipfile.ZipExtFile, "read", read)
    with pytest.raises(ServerError, match=r"must take what is written, got: No space left on"):
        _run([tmp_path / "a.zip"], tmp_path / "out", bundle)


def test_the_package_tells_of_a_failure_of_our_own(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_on("0000.dcm", monkeypatch)
    with pytest.raises(InputError, match="internal error") as caught:
        screen_path(_series(tmp_path / "ct") / "0000.dcm", bundle=bundle)
    assert caught.value.code is RefusalCode.FAILED


def test_progress_counts_every_slice(tmp_path: Path, bundle: Bundle) -> None:
    watcher = Watcher()
    screen_inputs([_series(tmp_path / "ct")], tmp_path / "out", bundle, watcher)
    assert watcher.begun == [SLICES]
    assert watcher.marked == SLICES
    assert [row.status for row in watcher.rows] == ["screened"]


def test_every_output_says_research_use_only(tmp_path: Path, bundle: Bundle) -> None:
    (row,) = _run([_series(tmp_path / "ct")], tmp_path / "out", bundle)
    folder = tmp_path / "out" / row["folder"]
    for name in ("report.html", "result.json", "fhir.json"):
        text = (folder / name).read_text()
        assert "Research use only" in text
        assert "ot a medical device" in text
    document = pydicom.dcmread(folder / "report.dcm").EncapsulatedDocument
    measured = json.dumps(pydicom.dcmread(folder / "measurements.dcm").to_json_dict())
    for text in (words((folder / "report.pdf").read_bytes()), words(document), measured):
        assert "Research use only" in text
        assert "ot a medical device" in text
    # The notice is drawn into its pixels (test_report_capture.py); the PNG files carry none.
    assert "preliminary" in pydicom.dcmread(folder / "capture.dcm").SeriesDescription


def test_result_json_is_what_the_row_says(tmp_path: Path, bundle: Bundle) -> None:
    (row,) = _run([_series(tmp_path / "ct")], tmp_path / "out", bundle)
    raw = json.loads((tmp_path / "out" / row["folder"] / "result.json").read_text())
    assert raw["schema"] == "osteoscreen.result/1"
    for name in ("normal_bone_mass", "low_bone_mass", "osteoporosis"):
        assert float(row[name]) == pytest.approx(raw["probabilities"][name], abs=5e-5)


@pytest.mark.skipif(not REAL.is_dir(), reason="no real CT beside the project")
def test_real_ct_is_screened_level_by_level(tmp_path: Path) -> None:
    (row,) = _run([REAL / "ts_lumbar" / "ct.nii.gz"], tmp_path / "out", load_bundle())
    assert row["status"] == "screened"
    folder = tmp_path / "out" / row["folder"]
    result = _result(tmp_path / "out", row)
    assert [one.level for one in result.levels] == ["T12", "L1", "L2", "L3", "L4", "L5"]
    assert set(np.unique(read_labels(folder / "levels.nii.gz"))) == {0, *range(19, 25)}


@pytest.mark.skipif(not REAL.is_dir(), reason="no real CT beside the project")
def test_real_ct_without_a_lumbar_vertebra_is_refused_with_its_marks(tmp_path: Path) -> None:
    (row,) = _run([REAL / "ts_dicom" / "ct"], tmp_path / "out", load_bundle())
    assert (row["status"], row["code"]) == ("refused", "NO_LUMBAR")
    folder = tmp_path / "out" / row["folder"]
    assert (folder / "overlay.png").is_file()
    # The images have no identifiers: the marks are NIfTI. What is refused is not named.
    assert read_labels(folder / "segmentation.nii.gz").any()
    assert not (folder / "levels.nii.gz").exists()


def test_two_slices_of_one_series_get_a_report_each(tmp_path: Path, bundle: Bundle) -> None:
    _series(tmp_path / "ct")
    rows = _run([tmp_path / "ct/0000.dcm", tmp_path / "ct/0003.dcm"], tmp_path / "out", bundle)
    places = [_result(tmp_path / "out", row).slices[0].position_mm for row in rows]
    assert places == [100, 112]


def test_series_without_identifiers_are_never_taken_for_one_study(
    tmp_path: Path, bundle: Bundle
) -> None:
    def blank(one: pydicom.Dataset) -> None:
        one.StudyInstanceUID = one.SeriesInstanceUID = one.SOPInstanceUID = ""

    for name in ("x", "y"):
        _broken(tmp_path / "all" / name, blank)
    rows = _run([tmp_path / "all"], tmp_path / "out", bundle)
    assert [row["status"] for row in rows] == ["screened", "screened"]
    assert rows[0]["folder"] != rows[1]["folder"]
    assert (tmp_path / "out" / rows[0]["folder"] / "segmentation.nii.gz").is_file()


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Doe Jane"), ("PatientName", None), ("PatientID", None),
        ("PatientBirthDate", "DOE1950"), ("PatientBirthDate", None), ("PatientSex", "female"),
        ("PatientSex", None), ("AccessionNumber", None), ("StudyID", None),
        ("StudyDate", "2024.1.31"), ("StudyDate", None), ("StudyTime", "ab"), ("StudyTime", None),
        ("PatientAge", "sixty"), ("StudyDescription", "abdomen " * 12),
        ("OtherPatientIDs", "é" * 99),
        ("ReferringPhysicianName", "A^B^C^D^E^F^G=H=I=J"), ("FrameOfReferenceUID", None),
    ],
)  # fmt: skip
def test_a_header_that_was_anonymised_or_mistyped_is_screened_all_the_same(
    tmp_path: Path,
    bundle: Bundle,
    caplog: pytest.LogCaptureFixture,
    keyword: str,
    value: str | None,
) -> None:
    folder = _series(tmp_path / "ct")
    with disable_value_validation():
        for file in folder.iterdir():
            dataset = pydicom.dcmread(file)
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
            dataset.save_as(file)
    (row,) = _run([folder], tmp_path / "out", bundle)
    assert row["status"] == "screened", row
    has_frame = keyword != "FrameOfReferenceUID"
    names = {path.name for path in (tmp_path / "out" / row["folder"]).iterdir()}
    objects = {"segmentation.dcm", "measurements.dcm", "capture.dcm"}
    assert names & objects == (objects if has_frame else set())
    assert NAME not in caplog.text.upper()


def test_a_second_screening_leaves_nothing_of_the_first(tmp_path: Path, bundle: Bundle) -> None:
    (first,) = _run([_series(tmp_path / "ct")], tmp_path / "out", bundle)
    write_ct_series(Volume(np.minimum(_hu(), 40), _affine()), _header(), tmp_path / "ct")
    (second,) = _run([tmp_path / "ct"], tmp_path / "out", bundle)
    assert first["folder"] == second["folder"]
    names = {path.name for path in (tmp_path / "out" / second["folder"]).iterdir()}
    assert "pie.png" not in names
    assert "segmentation.dcm" not in names


def test_a_name_that_is_no_unicode_is_refused_in_a_readable_row(
    tmp_path: Path, bundle: Bundle
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.nii"))
    odd.write_bytes(b"nothing")
    rows = _run([odd, _series(tmp_path / "ct")], tmp_path / "out", bundle)
    assert [row["status"] for row in rows] == ["refused", "screened"]
    assert "caf\\xe9.nii" in rows[0]["reason"]


def test_a_tilted_nifti_is_straightened_and_its_marks_lie_on_its_own_grid(
    tmp_path: Path, bundle: Bundle
) -> None:
    straight, leaning = tmp_path / "straight.nii", tmp_path / "leaning.nii"
    affine = np.diag([-1.0, -1, 1, 1]) @ _affine()[:, [2, 1, 0, 3]]
    nibabel.save(nibabel.Nifti1Image(_hu().transpose(2, 1, 0), affine), straight)
    affine[1, 2] = 1.5  # a pixel further to the front with each slice
    moved = np.stack([np.roll(one, index, axis=0) for index, one in enumerate(_hu())])
    nibabel.save(nibabel.Nifti1Image(moved.transpose(2, 1, 0), affine), leaning)
    rows = _run([straight, leaning], tmp_path / "out", bundle)
    results = [_result(tmp_path / "out", row) for row in rows]
    codes = [{one.code for one in result.reservations} for result in results]
    assert ReservationCode.GANTRY_TILT in codes[1] - codes[0]
    marks = [read_labels(tmp_path / "out" / row["folder"] / "segmentation.nii.gz") for row in rows]
    for index, (one, other) in enumerate(zip(*marks)):
        expected, found = np.roll(one, index, axis=0) > 0, other > 0
        # The networks' grid lies half a pixel elsewhere in the padded stack.
        assert 2 * (expected & found).sum() > 0.9 * (expected.sum() + found.sum()) > 0


def test_a_nifti_that_leans_too_far_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    affine = np.diag([-1.0, -1, 1, 1]) @ _affine()[:, [2, 1, 0, 3]]
    affine[1, 2] = 2.6
    file = tmp_path / "tilted.nii"
    nibabel.save(nibabel.Nifti1Image(_hu().transpose(2, 1, 0), affine), file)
    (row,) = _run([file], tmp_path / "out", bundle)
    assert row["code"] == "GANTRY_TILT"


def _study(folder: Path, *series: tuple[str, np.ndarray, float]) -> Path:
    """Write series of one study: name, HU and thickness."""
    for name, hu, thickness in series:
        header = replace(_header("A"), series_uid=derived_uid(f"A/{name}"), thickness_mm=thickness)
        write_ct_series(Volume(hu, _affine()), header, folder / name)
    return folder


def _chest() -> np.ndarray:
    """A body without bone: nothing is marked in it."""
    hu = _hu()
    hu[hu > 40] = 40
    return hu


def _tall(hu: np.ndarray) -> np.ndarray:
    """Twice as many slices: the first choice of its study."""
    return np.concatenate([hu, hu])


def test_where_the_best_series_shows_no_lumbar_spine_the_next_is_screened(
    tmp_path: Path, bundle: Bundle
) -> None:
    study = _study(
        tmp_path / "study", ("abdomen", _hu(), 6), ("chest", _chest(), 2), ("other", _hu()[:3], 6)
    )
    rows = screen_inputs([study], tmp_path / "out", bundle, Watcher())
    chest, abdomen, other = rows
    assert [row.series for row in rows] == [
        derived_uid("A/chest"), derived_uid("A/abdomen"), derived_uid("A/other")
    ]  # fmt: skip
    assert [row.status for row in rows] == ["skipped", "screened", "skipped"]
    assert chest.code == "NO_LUMBAR"
    assert chest.reason.startswith("left after it was tried, another series was screened: ")
    assert (tmp_path / "out" / chest.folder / "overlay.png").is_file()
    assert other.reason.startswith("another series was chosen: ")
    result = ScreeningResult.model_validate_json(
        (tmp_path / "out" / abdomen.folder / "result.json").read_text()
    )
    assert result.series_choice == (
        "number 2 of 3 CT series: axial, derived, 4 slices over 12 mm, thickness 6 mm, kernel "
        "soft, contrast agent unknown; tried before and left: axial, derived, 4 slices over "
        "12 mm, thickness 2 mm, kernel soft, contrast agent unknown (NO_LUMBAR)"
    )
    alone = screen_path(study, bundle=bundle)
    assert (alone.series_choice, alone.slices) == (result.series_choice, result.slices)


def test_a_study_without_a_lumbar_spine_is_refused_after_three_series(
    tmp_path: Path, bundle: Bundle
) -> None:
    names = ("one", "two", "three", "four")
    study = _study(tmp_path / "study", *((name, _chest(), 2) for name in names))
    rows = screen_inputs([study], tmp_path / "out", bundle, Watcher())
    assert [(row.status, row.code) for row in rows] == [
        ("skipped", ""), *[("refused", "NO_LUMBAR")] * 3
    ]  # fmt: skip
    result = screen_path(study, bundle=bundle)
    assert result.refusal is not None
    assert result.refusal.code is RefusalCode.NO_LUMBAR
    assert (result.series_choice or "").count("(NO_LUMBAR)") == 2


def test_a_next_best_series_that_cannot_be_read_is_passed_over(
    tmp_path: Path, bundle: Bundle
) -> None:
    study = _study(
        tmp_path / "study", ("chest", _tall(_chest()), 2), ("broken", _hu(), 3), ("spine", _hu(), 6)
    )
    for file in (study / "broken").iterdir():
        _edit(file, lambda one: delattr(one, "RescaleSlope"))
    rows = screen_inputs([study], tmp_path / "out", bundle, Watcher())
    assert [(row.status, row.code) for row in rows] == [
        ("skipped", "NO_LUMBAR"), ("skipped", "NO_HU"), ("screened", "")
    ]  # fmt: skip
    choice = screen_path(study, bundle=bundle).series_choice or ""
    assert choice.startswith("number 3 of 3 CT series")
    assert choice.endswith("(NO_HU)")


def test_a_best_series_that_cannot_be_read_is_refused_as_such(
    tmp_path: Path, bundle: Bundle
) -> None:
    study = _study(tmp_path / "study", ("broken", _tall(_hu()), 2), ("spine", _hu(), 5))
    for file in (study / "broken").iterdir():
        _edit(file, lambda one: delattr(one, "RescaleSlope"))
    rows = screen_inputs([study], tmp_path / "out", bundle, Watcher())
    assert [(row.status, row.code) for row in rows] == [("refused", "NO_HU"), ("skipped", "")]
    with pytest.raises(InputError, match="rescale"):
        screen_path(study, bundle=bundle)


def test_two_studies_are_refused_before_anything_is_read(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    _series(tmp_path / "all" / "a", "A")
    _series(tmp_path / "all" / "b", "B")
    shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "all")

    def fail(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a series was read")

    monkeypatch.setattr("osteoscreen.workflow.read_series", fail)
    for path in (tmp_path / "all", tmp_path / "all.zip"):
        with pytest.raises(InputError, match="one study is screened at a time, got 2") as caught:
            screen_path(path, bundle=bundle)
        assert caught.value.code is RefusalCode.SEVERAL_STUDIES
