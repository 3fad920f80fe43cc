"""A synthetic patient on disk: the same bytes, honest headers, numbered marks, valid DICOM."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.cohort.manifest import Manifest, read_manifest, write_manifest
from osteoscreen.cohort.mask_labels import MaskLabel, Part
from osteoscreen.cohort.patient import (
    number_marks,
    read_patient,
    series_header,
    write_patient,
)
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.cohort.slices import read_slices
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.marked_slices import lay_on, read_segmentation
from osteoscreen.dicom.series import read_series
from osteoscreen.phantom import SliceImage, draw_patient, draw_scan
from osteoscreen.phantom.anatomy import streams
from osteoscreen.texts import IN_SENTENCE

ONE = CohortPlan(Preset.COHORT, cases=1, seed=5, slices=1)


def test_a_patient_is_the_same_bytes_whatever_the_size_of_the_cohort(
    cohort_folder: Path, cohort_plan: CohortPlan, tmp_path: Path
) -> None:
    write_patient(tmp_path, replace(cohort_plan, cases=99), 4)
    name = "SYN-0005-000004"
    files = [one.relative_to(tmp_path) for one in (tmp_path / name).rglob("*") if one.is_file()]
    assert len(files) == 4
    for file in files:
        assert (tmp_path / file).read_bytes() == (cohort_folder / file).read_bytes()


def test_another_seed_makes_other_pixels(cohort_folder: Path, tmp_path: Path) -> None:
    write_patient(tmp_path, replace(ONE, seed=6), 0)
    other = pydicom.dcmread(tmp_path / "SYN-0006-000000" / "ct" / "0000.dcm")
    first = pydicom.dcmread(cohort_folder / "SYN-0005-000000" / "ct" / "0000.dcm")
    assert other.PixelData != first.PixelData


def test_a_finished_patient_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = write_patient(tmp_path, ONE, 0)
    assert read_patient(tmp_path, ONE, 0) == record
    assert read_patient(tmp_path, replace(ONE, slices=2), 0) is None
    assert read_patient(tmp_path, ONE, 1) is None


def test_a_damaged_patient_is_made_again(tmp_path: Path) -> None:
    record = write_patient(tmp_path, ONE, 0)
    home = tmp_path / "SYN-0005-000000"
    truth = (home / "truth.json").read_bytes()
    told = json.loads(truth)
    texts = {
        name: json.dumps({key: one for key, one in told.items() if key != name})
        for name in ("made_by", "rows", "levels", "slices", "bone", "scan", "spine")
    }
    texts |= {
        "cut short": truth.decode()[:-9],
        "empty": "",
        "foreign": "[1, 2]",
        "no vertebrae": json.dumps(told | {"spine": {}}),
        "no rows": json.dumps(told | {"rows": []}),
        "of another patient": truth.decode().replace("000000", "000001"),
    }
    for name, text in texts.items():
        (home / "truth.json").write_text(text)
        assert read_patient(tmp_path, ONE, 0) is None, name
    (home / "truth.json").write_bytes(b"\xff\xfe")
    assert read_patient(tmp_path, ONE, 0) is None
    assert write_patient(tmp_path, ONE, 0) == record
    assert (home / "truth.json").read_bytes() == truth


@pytest.mark.parametrize("file", ["ct/0001.dcm", "marks.dcm", "truth.json"])
def test_a_patient_without_one_of_its_files_is_made_again(file: str, tmp_path: Path) -> None:
    plan = replace(ONE, slices=2)
    record = write_patient(tmp_path, plan, 0)
    lost = tmp_path / "SYN-0005-000000" / file
    before = lost.read_bytes()
    lost.unlink()
    assert read_patient(tmp_path, plan, 0) is None
    assert write_patient(tmp_path, plan, 0) == record
    assert lost.read_bytes() == before


def test_another_plan_in_the_same_folder_leaves_no_image_of_the_old_one(tmp_path: Path) -> None:
    write_patient(tmp_path, replace(ONE, slices=2), 0)
    (tmp_path / "SYN-0005-000000.part").mkdir()  # what a stopped run leaves
    write_patient(tmp_path, ONE, 0)
    assert len(list(tmp_path.rglob("ct/*.dcm"))) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["SYN-0005-000000"]


def test_the_truth_stands_beside_the_images(tmp_path: Path) -> None:
    record = write_patient(tmp_path, ONE, 0)
    told = json.loads((tmp_path / "SYN-0005-000000" / "truth.json").read_text())
    bone = draw_patient(5, 0).bone
    assert told["bone"]["t_score"] == record.rows[0].t_score == bone.t_score
    image = pydicom.dcmread(tmp_path / record.rows[0].image)
    assert_allclose(told["slices"][0]["z_mm"], float(image.ImagePositionPatient[2]), atol=1e-6)
    assert told["slices"][0]["level"] == record.rows[0].level


def test_a_slice_without_a_vertebra_has_no_mask(tmp_path: Path) -> None:
    plan = CohortPlan(Preset.RANDOMISED, cases=1, seed=5, slices=1)
    number = next(one for one in range(999) if _is_below_the_spine(plan, one))
    (case,) = write_patient(tmp_path, plan, number).rows
    assert (case.mask, case.mask_labels) == ("", "")
    (one,) = read_slices(Manifest(tmp_path, (case,), ""), (case,))
    assert not one.vertebra.any()


def test_a_randomised_patient_has_no_class_in_the_manifest(tmp_path: Path) -> None:
    record = write_patient(tmp_path, replace(ONE, preset=Preset.RANDOMISED), 0)
    (case,) = record.rows
    assert (case.condition, case.t_score, case.vbmd_mg_cm3) == (None, None, None)
    assert case.age is not None
    assert isinstance(record.truth["bone"], dict)
    assert "t_score" in record.truth["bone"]
    write_manifest([case], tmp_path / "manifest.csv")
    assert read_manifest(tmp_path / "manifest.csv").cases == (case,)


def _is_below_the_spine(plan: CohortPlan, number: int) -> bool:
    """Guess from the stream alone whether the only slice lies deep in the pelvis."""
    return bool(streams(plan.seed, number)["slices"].random() < 0.05)


def test_parts_are_numbered_from_1_without_gaps() -> None:
    drawn = np.array([[[0, 3], [4, 4]], [[0, 0], [3, 17]]], np.uint8)
    levels = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5", "L6")
    images = [SliceImage(np.zeros((2, 2), np.float32), one, levels, 0.0) for one in drawn]
    marks, labels = number_marks(np.stack([image.labels for image in images]), images[0].levels)
    assert_array_equal(marks, [[[0, 1], [2, 2]], [[0, 0], [1, 3]]])
    assert labels == (
        MaskLabel(1, Part.BODY, "T11"),
        MaskLabel(2, Part.REST, "T11"),
        MaskLabel(3, Part.BODY, "L6"),
    )


def test_the_manifest_names_the_segments_of_the_mask(tmp_path: Path) -> None:
    case = write_patient(tmp_path, replace(ONE, slices=3), 0).rows[0]
    names = {Part.BODY: "body", Part.REST: "posterior elements"}
    segments = pydicom.dcmread(tmp_path / case.mask).SegmentSequence
    assert [(one.SegmentNumber, one.SegmentLabel) for one in segments] == [
        (label.value, f"{label.level} {names[label.part]}") for label in case.labels()
    ]
    assert {label.level for label in case.labels()} >= {"L1", "L2", "L3"}


def test_wanted_settings_stand_in_the_header(tmp_path: Path) -> None:
    plan = replace(ONE, scanner="ingenuity-flex", thickness_mm=1.5, field_of_view_mm=120.0)
    (case,) = write_patient(tmp_path, plan, 0).rows
    image = pydicom.dcmread(tmp_path / case.image)
    assert image.ManufacturerModelName == case.scanner == "Ingenuity Flex"
    assert float(image.SliceThickness) == pytest.approx(1.5)
    assert float(image.PixelSpacing[0]) * image.Rows == pytest.approx(120)
    (one,) = read_slices(Manifest(tmp_path, (case,), ""), (case,))
    columns = np.flatnonzero(one.levels["L1"].any(axis=0))
    assert 0 < columns.min() < columns.max() < 511  # a small field lies around the spine


def test_a_thinner_slice_is_noisier(tmp_path: Path) -> None:
    noises = []
    for thickness_mm in (1.25, 5.0):
        truth = write_patient(tmp_path, replace(ONE, thickness_mm=thickness_mm), 0).truth
        assert isinstance(truth["scan"], dict)
        noises.append(float(str(truth["scan"]["noise_hu"])))
    assert_allclose(noises[0] / noises[1], 2.0, rtol=1e-9)


def _written(folder: Path, number: int) -> tuple[list[pydicom.Dataset], Path]:
    home = folder / f"SYN-0005-{number:06d}"
    return [pydicom.dcmread(file) for file in sorted((home / "ct").iterdir())], home


def _numbers(instance: pydicom.Dataset) -> set[float]:
    """Every number that a header states, alone or inside a text; identifiers and times are none."""
    found = set()
    for element in instance.iterall():
        if element.VR not in ("UI", "DT", "TM", "DA", "OB", "OW", "SQ"):
            stated = re.findall(r"-?\d+\.\d+", str(element.value))
            found |= {round(float(number), 3) for number in stated}
    return found


def test_headers_say_that_they_are_synthetic_and_keep_the_truth_out(
    cohort_folder: Path, manifest: Manifest
) -> None:
    for case in manifest.cases[::2]:
        images, home = _written(cohort_folder, int(case.patient_id[-6:]))
        for instance in (*images, pydicom.dcmread(home / "marks.dcm")):
            del instance.PixelData
            said = str(instance).lower()
            assert "synthetic" in said
            assert case.condition is not None
            for word in (case.condition.value, IN_SENTENCE[case.condition], "osteopo", "bone mass",
                         "t-score"):  # fmt: skip
                assert word not in said
            assert case.t_score is not None
            assert case.vbmd_mg_cm3 is not None
            assert not _numbers(instance) & {round(case.t_score, 3), round(case.vbmd_mg_cm3, 3)}
        assert images[0].PatientAge == f"{case.age:03d}Y"
        assert images[0].PatientSex == case.sex
        assert images[0].ManufacturerModelName == case.scanner


def test_images_of_other_plans_have_identifiers_of_their_own(tmp_path: Path) -> None:
    plans = (
        ONE,
        replace(ONE, slices=2),
        replace(ONE, scanner="ge"),
        replace(ONE, preset=Preset.RANDOMISED),
        replace(ONE, age=60),
        replace(ONE, age=61),
    )
    series, studies, frames, names = set(), [], [], []
    for index, plan in enumerate(plans):
        case = write_patient(tmp_path / str(index), plan, 0).rows[0]
        image = pydicom.dcmread(tmp_path / str(index) / case.image)
        series.add(image.SeriesInstanceUID)
        studies.append(image.StudyInstanceUID)
        frames.append(image.FrameOfReferenceUID)
        names.append((str(image.PatientID), str(image.PatientName)))
    assert len(series) == 6
    # The same calibrated person, cut otherwise; the randomised one and those of another age are
    # somebody else.
    for known in (studies, frames):
        assert known[0] == known[1] == known[2]
        assert len(set(known)) == 4
    assert names[0] == names[3] == ("SYN-0005-000000", "SYN-0005-000000^SYNTHETIC")
    assert names[4] == ("SYN-0005-000000-60Y", "SYN-0005-000000-60Y^SYNTHETIC")
    assert names[5] == ("SYN-0005-000000-61Y", "SYN-0005-000000-61Y^SYNTHETIC")


def test_a_header_can_be_made_without_writing() -> None:
    patient = draw_patient(5, 1)
    scan = draw_scan(streams(5, 1)["scan"], is_randomised=False, trunk_half_width_mm=165)
    header = series_header("somebody", patient, scan)
    assert (header.patient_id, header.age, header.kvp) == ("somebody", patient.person.age, 120)


PRESETS = [
    replace(ONE, slices=3),
    CohortPlan(Preset.RANDOMISED, cases=1, seed=5, slices=3),
    CohortPlan(Preset.PAPER, cases=1, seed=5, slices=3),
]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("plan", PRESETS, ids=lambda plan: plan.preset.value)
def test_dciodvfy_finds_no_error_in_a_patient(plan: CohortPlan, tmp_path: Path) -> None:
    write_patient(tmp_path, plan, 0)
    files = sorted(tmp_path.rglob("*.dcm"))
    assert len(files) == 4
    for file in files:
        checked = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "Error" not in checked.stderr


@pytest.mark.skipif(shutil.which("dcentvfy") is None, reason="dcentvfy is not installed")
def test_dcentvfy_finds_one_patient_and_one_study_in_the_files(cohort_folder: Path) -> None:
    files = sorted(map(str, (cohort_folder / "SYN-0005-000000").rglob("*.dcm")))
    checked = subprocess.run(["dcentvfy", *files], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_series_is_read_as_one_regular_series(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    plan = replace(ONE, slices=None, is_series=True, thickness_mm=10.0)
    record = write_patient(tmp_path, plan, 2, done=lambda n, of: steps.append((n, of)))
    (case,) = record.rows
    series = read_series(find_series(tmp_path / case.image).series[0])
    assert isinstance(record.truth["slices"], list)
    heights = [float(str(one["z_mm"])) for one in record.truth["slices"] if isinstance(one, dict)]
    count = len(series.headers)
    assert count == len(heights)
    assert steps == [(n, count) for n in range(1, count + 1)]
    # Sixteen letters of a decimal string hold a height to far less than a micrometre.
    assert_allclose(sorted(series.volume.slice_positions_mm), sorted(heights), rtol=0, atol=1e-6)
    labels = lay_on(read_segmentation(tmp_path / case.mask), series.headers)
    slices = list(read_slices(Manifest(tmp_path, (case,), ""), (case,)))
    assert np.mean([one.body.any() for one in slices]) > 0.5
    assert {"T12", "L1", "L2", "L3", "L4", "L5"} <= {
        level for one in slices for level in one.levels
    }
    for one, wanted in zip(slices, labels, strict=True):
        assert_array_equal(one.vertebra, wanted > 0)
        assert_array_equal(one.vertebra, np.any([*one.levels.values(), wanted < 0], axis=0))
