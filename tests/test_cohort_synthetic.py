"""The synthetic cohort on disk: the same bytes after every stop, and never half a manifest."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from osteoscreen.cohort import synthetic
from osteoscreen.cohort.lock import locked
from osteoscreen.cohort.manifest import Case, Manifest, Split, read_manifest
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.cohort.synthetic import write_cohort
from osteoscreen.errors import CohortError
from osteoscreen.findings import CONDITIONS

ONE = CohortPlan(Preset.COHORT, cases=1, seed=5, slices=1)
THREE = replace(ONE, cases=3)

KILLED = """
import os, signal
from pathlib import Path
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.cohort.synthetic import write_cohort

if __name__ == "__main__":
    plan = CohortPlan(Preset.COHORT, cases=3, seed=5, slices=1)
    def stop(finished):
        if finished == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    write_cohort(Path({out!r}), plan, workers={workers}, done=stop)
"""


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients, made without a stop by one process."""
    folder = tmp_path_factory.mktemp("three")
    write_cohort(folder, THREE)
    return folder


def _copy(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "copy"))


def test_a_cohort_holds_its_plan_its_tables_and_its_patients(three: Path) -> None:
    assert sorted(one.name for one in three.iterdir()) == [
        ".lock", "SYN-0005-000000", "SYN-0005-000001", "SYN-0005-000002", "cohort.json",
        "latents.csv", "manifest.csv",
    ]  # fmt: skip
    known = json.loads((three / "cohort.json").read_text())
    assert known["cases"] == 3
    assert known["made_by"]["seed"] == 5


def test_the_tables_agree_with_each_other(three: Path) -> None:
    cases = read_manifest(three / "manifest.csv").cases
    with (three / "latents.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for case, row in zip(cases, rows, strict=True):
        assert (row["patient_id"], row["split"]) == (case.patient_id, case.split)
        assert float(row["bone.t_score"]) == pytest.approx(case.t_score)
        assert row["scan.model"] == case.scanner


def test_an_interrupted_cohort_goes_on_with_what_is_missing(three: Path, tmp_path: Path) -> None:
    folder = _copy(three, tmp_path)
    before = _contents(folder)
    shutil.rmtree(folder / "SYN-0005-000000")
    (folder / "SYN-0005-000002" / "truth.json").unlink()
    (folder / "SYN-0005-000000.part" / "ct").mkdir(parents=True)
    (folder / "manifest.csv").unlink()
    times = {file: file.stat().st_mtime_ns for file in folder.rglob("*.dcm")}
    counts: list[int] = []
    assert write_cohort(folder, THREE, done=counts.append) == folder / "manifest.csv"
    assert counts == [1, 2, 3]
    made = {
        file.relative_to(folder).parts[0]
        for file in folder.rglob("*.dcm")
        if file.stat().st_mtime_ns != times.get(file)
    }
    assert made == {"SYN-0005-000000", "SYN-0005-000002"}
    assert _contents(folder) == before


def test_a_cohort_that_grows_is_what_a_larger_one_would_be(three: Path, tmp_path: Path) -> None:
    write_cohort(tmp_path, replace(THREE, cases=2))
    write_cohort(tmp_path, THREE)
    assert _contents(tmp_path) == _contents(three)


@pytest.mark.slow  # processes that each load everything
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_leaves_no_process_and_goes_on_to_the_same_bytes(
    workers: int, three: Path, tmp_path: Path
) -> None:
    script = tmp_path / "run.py"
    script.write_text(KILLED.format(out=str(tmp_path / "out"), workers=workers))
    # Waits until nobody holds the output any more: until the workers have ended, too.
    killed = subprocess.run([sys.executable, str(script)], capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out" / "SYN-0005-000002").exists()
    read_manifest(tmp_path / "out" / "manifest.csv")
    write_cohort(tmp_path / "out", THREE, workers=3 - workers)
    assert _contents(tmp_path / "out") == _contents(three)


@pytest.mark.slow  # processes that each load everything
def test_a_worker_that_ends_abruptly_is_told() -> None:
    with pytest.raises(CohortError, match=r"one ended abruptly .*; the same command goes on"):
        list(synthetic._each(os._exit, [1, 2], 2))


def test_the_manifest_is_whole_while_the_cohort_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "REFRESH_S", 0.0)
    seen: list[int] = []

    def read(finished: int) -> None:
        if finished:
            cases = read_manifest(tmp_path / "manifest.csv").cases
            seen.append(len(cases))
            assert [case.patient_id for case in cases] == sorted(case.patient_id for case in cases)

    write_cohort(tmp_path, replace(THREE, cases=2), done=read)
    write_cohort(tmp_path, THREE, done=read)
    assert seen == [1, 2, 2, 3]


def test_a_folder_with_anything_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CohortError, match="needs an empty folder, it holds something"):
        write_cohort(tmp_path, ONE)
    assert [one.name for one in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "thesis.tex").rename(tmp_path / "thesis.part")
    with pytest.raises(CohortError, match="needs an empty folder, it holds something"):
        write_cohort(tmp_path, ONE)
    (tmp_path / "thesis.part").rename(tmp_path / "thesis.tex")
    with pytest.raises(CohortError, match="needs a folder, it is a file"):
        write_cohort(tmp_path / "thesis.tex", ONE)


def test_a_run_stopped_before_its_first_record_goes_on(tmp_path: Path) -> None:
    (tmp_path / "cohort.json.part").write_text("{")
    write_cohort(tmp_path, ONE)
    assert not list(tmp_path.glob("*.part"))


def test_a_second_run_in_one_folder_is_refused_before_any_work(three: Path, tmp_path: Path) -> None:
    folder = _copy(three, tmp_path)
    before = _contents(folder)
    with locked(folder), pytest.raises(CohortError, match="another one is at work"):
        write_cohort(folder, replace(THREE, cases=4))
    assert _contents(folder) == before


def test_a_run_stopped_right_after_its_lock_goes_on(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    write_cohort(tmp_path, ONE)
    assert read_manifest(tmp_path / "manifest.csv").cases


def test_a_cohort_of_another_plan_is_refused(three: Path, tmp_path: Path) -> None:
    folder = _copy(three, tmp_path)
    before = _contents(folder)
    with pytest.raises(CohortError, match="it has seed 5 instead of 6, slices 1 instead of 2"):
        write_cohort(folder, replace(THREE, seed=6, slices=2))
    with pytest.raises(CohortError, match="may grow but not shrink, it has 3 cases, got 2"):
        write_cohort(folder, replace(THREE, cases=2))
    assert _contents(folder) == before


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"cases": 3}', '{"cases": null, "made_by": {}}', '{"cases":1e999,"made_by":{}}'],
)
def test_an_unreadable_plan_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "cohort.json").write_text(text)
    with pytest.raises(CohortError, match="plan of a cohort must be readable"):
        write_cohort(tmp_path, ONE)


def test_a_cohort_needs_a_worker(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="number of workers must be 1 or more, got 0"):
        write_cohort(tmp_path / "new", ONE, workers=0)
    assert not (tmp_path / "new").exists()


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


def test_a_finished_cohort_is_a_valid_manifest(cohort_folder: Path) -> None:
    found = read_manifest(cohort_folder / "manifest.csv")
    assert len(found.cases) == 24
    assert {case.split for case in found.cases} == {Split.TRAIN}
    assert all(isinstance(case, Case) and case.level in ("L1", "L2") for case in found.cases)
