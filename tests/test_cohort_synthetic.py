"""The synthetic cohort on disk: the same plan the same bytes, splits by patient, valid DICOM."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from osteoscreen.cohort.manifest import Case, Manifest, Split, read_manifest
from osteoscreen.cohort.slices import read_slices
from osteoscreen.cohort.synthetic import (
    BODY_MIDDLE,
    CohortPlan,
    Preset,
    series_header,
    slice_places,
    split_of,
    write_cohort,
    write_patient,
)
from osteoscreen.dicom.segmentation import lay_on, read_segmentation
from osteoscreen.dicom.series import find_series, read_series
from osteoscreen.findings import CONDITIONS
from osteoscreen.phantom import Mode, draw_patient, draw_scan
from osteoscreen.phantom.anatomy import streams

ONE = CohortPlan(Preset.COHORT, cases=1, seed=5, slices=1)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _pixels(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): pydicom.dcmread(file).PixelData
        for file in sorted(folder.rglob("*.dcm"))
    }


def _places(plan: CohortPlan, number: int) -> list[tuple[str | None, float]]:
    is_randomised = plan.preset is Preset.RANDOMISED
    mode = Mode.RANDOMISED if is_randomised else Mode.COHORT
    patient, rngs = draw_patient(plan.seed, number, mode), streams(plan.seed, number)
    scan = draw_scan(rngs["scan"], is_randomised=is_randomised, trunk_half_width_mm=165)
    return slice_places(patient, scan, plan, rngs["slices"])


def test_the_same_plan_makes_the_same_pixels_whatever_the_size_of_the_cohort(
    cohort_folder: Path, cohort_plan: CohortPlan, tmp_path: Path
) -> None:
    (case, *_) = write_patient(tmp_path, replace(cohort_plan, cases=99), 4)
    again, first = tmp_path / case.patient_id, cohort_folder / case.patient_id
    assert _pixels(again) == _pixels(first)
    assert (again / "truth.json").read_bytes() == (first / "truth.json").read_bytes()
    for file in (again / "ct").iterdir():  # all of the header, too
        assert file.read_bytes() == (first / "ct" / file.name).read_bytes()


def test_another_seed_makes_other_pixels(cohort_folder: Path, tmp_path: Path) -> None:
    write_patient(tmp_path, replace(ONE, seed=6), 0)
    other = pydicom.dcmread(tmp_path / "SYN-0006-000000" / "ct" / "0000.dcm")
    first = pydicom.dcmread(cohort_folder / "SYN-0005-000000" / "ct" / "0000.dcm")
    assert other.PixelData != first.PixelData


def test_an_interrupted_cohort_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    plan = replace(ONE, cases=3)
    manifest = write_cohort(tmp_path, plan)
    before = _contents(tmp_path)
    times = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.dcm")}
    shutil.rmtree(tmp_path / "SYN-0005-000000")
    (tmp_path / "SYN-0005-000002" / "truth.json").unlink()  # stopped before it was whole
    counts: list[int] = []
    assert write_cohort(tmp_path, plan, done=counts.append) == manifest
    assert counts == [1, 2, 3]
    made = {
        file.relative_to(tmp_path).parts[0]
        for file, time in times.items()
        if file.stat().st_mtime_ns != time
    }
    assert made == {"SYN-0005-000000", "SYN-0005-000002"}
    after = _contents(tmp_path)
    assert after.keys() == before.keys()
    assert after["manifest.csv"] == before["manifest.csv"]


def test_another_plan_in_the_same_folder_leaves_no_image_of_the_old_one(tmp_path: Path) -> None:
    write_patient(tmp_path, replace(ONE, slices=2), 0)
    write_patient(tmp_path, ONE, 0)
    assert len(list(tmp_path.rglob("ct/*.dcm"))) == 1
    rows = json.loads((tmp_path / "SYN-0005-000000" / "truth.json").read_text())["rows"]
    assert len(rows) == 1


@pytest.mark.slow  # two processes that each load everything
def test_two_workers_write_what_one_writes(tmp_path: Path) -> None:
    plan = replace(ONE, cases=2)
    counts: list[int] = []
    write_cohort(tmp_path / "two", plan, workers=2, done=counts.append)
    write_cohort(tmp_path / "one", plan)
    assert counts == [1, 2]
    assert _pixels(tmp_path / "two") == _pixels(tmp_path / "one")
    assert (tmp_path / "two" / "manifest.csv").read_bytes() == (
        tmp_path / "one" / "manifest.csv"
    ).read_bytes()


def test_every_split_holds_the_classes_alike() -> None:
    for preset, size in ((Preset.COHORT, 60), (Preset.RANDOMISED, 60), (Preset.PAPER, 213)):
        counts = Counter((split_of(preset, number), number % 3) for number in range(size))
        for split in Split:
            assert len({counts[split, index] for index in range(3)}) == 1
    shares = Counter(split_of(Preset.COHORT, number) for number in range(300))
    assert shares == {
        Split.TRAIN: 180, Split.VALIDATION: 30, Split.CALIBRATION: 30, Split.TEST: 60
    }  # fmt: skip


def test_the_paper_preset_has_the_numbers_of_table_2() -> None:
    counts = Counter((split_of(Preset.PAPER, number), number % 3) for number in range(213))
    assert counts == {
        (split, index): size
        for split, size in ((Split.TRAIN, 50), (Split.TEST, 21))
        for index in range(3)
    }


def test_the_class_of_a_patient_takes_turns_and_agrees_with_its_t_score(
    manifest: Manifest,
) -> None:
    for case in manifest.cases:
        assert case.condition is CONDITIONS[int(case.patient_id[-6:]) % 3]


def test_patients_are_never_shared_between_splits(manifest: Manifest) -> None:
    splits: dict[str, set[Split]] = {}
    for case in manifest.cases:
        splits.setdefault(case.patient_id, set()).add(case.split)
    assert len(splits) == 12
    assert all(len(found) == 1 for found in splits.values())


def test_slices_of_a_cohort_lie_near_the_middle_of_their_bodies() -> None:
    patient = draw_patient(5, 0)
    places = _places(replace(ONE, slices=6), 0)
    assert [level for level, _ in places] == ["L1", "L1", "L2", "L2", "L3", "L4"]
    for level, height_mm in places:
        assert level is not None
        vertebra = patient.vertebra(level)
        assert abs(height_mm - vertebra.centre_mm[2]) <= BODY_MIDDLE * vertebra.height_mm


@pytest.mark.parametrize(
    "plan",
    [replace(ONE, slices=6), replace(ONE, is_series=True), CohortPlan(Preset.RANDOMISED, 1, 5, 8)],
)
def test_slices_are_cut_from_the_head_down(plan: CohortPlan) -> None:
    heights = np.array([height_mm for _, height_mm in _places(plan, 0)])
    assert (np.diff(heights) < 0).all()


def test_a_slice_without_a_vertebra_has_no_mask(tmp_path: Path) -> None:
    # The only slice of this patient lies below the first sacral vertebra.
    plan = CohortPlan(Preset.RANDOMISED, cases=1, seed=5, slices=1)
    (case,) = write_patient(tmp_path, plan, 84)
    assert (case.mask, case.mask_labels) == ("", "")
    (one,) = read_slices(Manifest(tmp_path, (case,), ""), (case,))
    assert not one.vertebra.any()


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
            for word in (case.condition.value, case.condition.label.lower(), "osteopo", "bone mass",
                         "t-score"):  # fmt: skip
                assert word not in said
            assert case.t_score is not None
            assert case.vbmd_mg_cm3 is not None
            assert not _numbers(instance) & {round(case.t_score, 3), round(case.vbmd_mg_cm3, 3)}
        assert images[0].PatientAge == f"{case.age:03d}Y"
        assert images[0].PatientSex == case.sex
        assert images[0].ManufacturerModelName == case.scanner


def test_images_of_other_plans_have_identifiers_of_their_own(tmp_path: Path) -> None:
    plans = (ONE, replace(ONE, slices=2), replace(ONE, preset=Preset.RANDOMISED))
    series, studies = set(), []
    for index, plan in enumerate(plans):
        (case, *_) = write_patient(tmp_path / str(index), plan, 0)
        image = pydicom.dcmread(tmp_path / str(index) / case.image)
        series.add(image.SeriesInstanceUID)
        studies.append(image.StudyInstanceUID)
    assert len(series) == 3
    # The same calibrated person, cut otherwise; the randomised one is somebody else.
    assert studies[0] == studies[1] != studies[2]


def test_a_header_can_be_made_without_writing() -> None:
    patient = draw_patient(5, 1)
    scan = draw_scan(streams(5, 1)["scan"], is_randomised=False, trunk_half_width_mm=165)
    header = series_header("somebody", patient, scan)
    assert (header.patient_id, header.age, header.kvp) == ("somebody", patient.age, 120)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_dciodvfy_finds_no_error_in_a_patient(cohort_folder: Path) -> None:
    for file in sorted((cohort_folder / "SYN-0005-000000").rglob("*.dcm")):
        checked = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "Error" not in checked.stderr


def test_a_series_cohort_is_read_as_one_regular_series(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    plan = replace(ONE, is_series=True)
    (case,) = write_patient(tmp_path, plan, 2, done=lambda n, of: steps.append((n, of)))
    series = read_series(find_series(tmp_path / case.image).series[0])
    heights = [height_mm for _, height_mm in _places(plan, 2)]
    count = len(series.headers)
    assert count == len(heights)
    assert steps == [(n, count) for n in range(1, count + 1)]
    # Sixteen letters of a decimal string hold a height to far less than a micrometre.
    assert_allclose(sorted(series.volume.slice_positions_mm), sorted(heights), rtol=0, atol=1e-6)
    labels = lay_on(read_segmentation(tmp_path / case.mask), series.headers)
    assert (labels == 1).any(axis=(1, 2)).mean() > 0.5
    slices = list(read_slices(Manifest(tmp_path, (case,), ""), (case,)))
    for one, wanted in zip(slices, labels, strict=True):
        assert_array_equal(one.vertebra, wanted > 0)


def test_a_finished_cohort_is_a_valid_manifest(cohort_folder: Path) -> None:
    found = read_manifest(cohort_folder / "manifest.csv")
    assert len(found.cases) == 24
    assert {case.split for case in found.cases} == {Split.TRAIN}
    assert all(isinstance(case, Case) and case.level in ("L1", "L2") for case in found.cases)
