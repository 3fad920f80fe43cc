"""Latent values: everything that was drawn is told by its own name."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.cohort.latents import latents_of, plain, table_row, write_table
from osteoscreen.cohort.places import Place
from osteoscreen.phantom import Mode, Patient, Scan, draw_patient, draw_scan
from osteoscreen.phantom.anatomy import streams
from osteoscreen.phantom.bowel import Filling

PLACES = [Place(30.5, "L2"), Place(-2.25, None)]


@pytest.fixture(scope="module")
def drawn() -> tuple[Patient, Scan]:
    patient = draw_patient(5, 1)
    return patient, draw_scan(streams(5, 1)["scan"], is_randomised=False, trunk_half_width_mm=165)


def _told(fields_as_json: dict[str, object]) -> dict[str, object]:
    """What is known: fields without a value are not told."""
    return {
        name: _told(one) if isinstance(one, dict) else one
        for name, one in fields_as_json.items()
        if one is not None
    }


def test_every_field_of_bone_person_and_scan_is_told(drawn: tuple[Patient, Scan]) -> None:
    patient, scan = drawn
    told = latents_of(patient, scan, PLACES)
    assert told["bone"] == asdict(patient.bone)
    assert told["person"] == asdict(patient.person)
    assert told["scan"] == _told(json.loads(json.dumps(asdict(scan))))
    assert told["slices"] == [{"z_mm": 30.5, "level": "L2"}, {"z_mm": -2.25, "level": None}]


def test_every_vertebra_has_its_centre(drawn: tuple[Patient, Scan]) -> None:
    patient, scan = drawn
    levels = latents_of(patient, scan, PLACES)["levels"]
    assert isinstance(levels, dict)
    assert {"T12", "L1", "L5", "S1"} <= levels.keys()
    for level, centre in levels.items():
        assert isinstance(centre, list)
        assert_allclose(
            [float(str(one)) for one in centre], patient.spine.vertebra(level).centre_mm
        )


def test_the_truth_is_json_and_small(drawn: tuple[Patient, Scan]) -> None:
    randomised = replace(drawn[0], trunk=draw_patient(5, 2, Mode.RANDOMISED).trunk)
    for patient in (drawn[0], randomised):
        text = json.dumps(latents_of(patient, drawn[1], PLACES), allow_nan=False, indent=1)
        assert len(text) < 150_000
        assert "points_mm" not in text
        assert "knots" not in text


def test_the_soft_tissue_is_told_but_for_its_shapes(drawn: tuple[Patient, Scan]) -> None:
    patient, scan = drawn
    trunk = json.loads(json.dumps(latents_of(patient, scan, PLACES)["trunk"]))
    abdomen = patient.trunk.abdomen
    assert trunk["abdomen"]["seam_mm"] == abdomen.seam_mm
    assert trunk["thorax"]["slope_mm"] == patient.trunk.thorax.slope_mm
    assert trunk["pelvis"] == {"infiltration": patient.trunk.pelvis.infiltration}
    assert trunk["abdomen"]["vessels"]["plaques"] == [
        asdict(one) for one in abdomen.vessels.plaques
    ]
    assert [len(one["cysts"]) for one in trunk["abdomen"]["kidneys"]] == [
        len(one.cysts) for one in abdomen.kidneys
    ]
    assert [(one["name"], one["infiltration"]) for one in trunk["muscles"]] == [
        (one.name, one.infiltration) for one in patient.trunk.muscles
    ]
    assert len(trunk["thorax"]["ribs"]) == len(patient.trunk.thorax.ribs)


def test_the_content_of_the_gut_is_told_run_by_run(drawn: tuple[Patient, Scan]) -> None:
    patient, scan = drawn
    trunk = json.loads(json.dumps(latents_of(patient, scan, PLACES)["trunk"]))
    for told, gut in zip(trunk["abdomen"]["gut"], patient.trunk.abdomen.gut, strict=True):
        runs = told["content"]
        assert told["wall_mm"] == gut.wall_mm
        assert len(runs) < 40
        balls = [(run["filling"], run["level_mm"]) for run in runs for _ in range(run["balls"])]
        names = [Filling(one).name.lower() for one in gut.filling]
        assert balls == list(zip(names, gut.level_mm, strict=True))


def test_a_table_tells_of_each_marked_vertebra_and_counts_what_there_are_many_of(
    drawn: tuple[Patient, Scan],
) -> None:
    patient, scan = drawn
    body = replace(patient.spine.vertebra("L3"), height_loss=0.25)
    bodies = tuple(body if one.level == "L3" else one for one in patient.spine.vertebrae)
    told = latents_of(
        replace(patient, spine=replace(patient.spine, vertebrae=bodies)), scan, PLACES
    )
    row = table_row("A", "train", told)
    assert row["L3.height_loss"] == "0.25"
    assert row["L3.trabecular_hu"] == repr(body.trabecular_hu)
    assert {f"{one.level}.height_loss" for one in bodies} <= row.keys()
    assert "S1.height_loss" not in row
    assert row["spine.implants.count"] == row["trunk.surroundings.arms.count"] == "0"
    assert row["trunk.abdomen.vessels.plaques.count"] == str(
        len(patient.trunk.abdomen.vessels.plaques)
    )
    assert not {"spine.implants", "trunk.surroundings.arms", "trunk.surroundings.cables"} & set(row)
    # Some lie on the table without cloth: a list of numbers that is empty.
    empty = {name for name, value in row.items() if value == ""}
    assert empty <= {"trunk.surroundings.cloth_mm"}


@dataclass(frozen=True)
class _Inner:
    texture: object
    pitch: float


@dataclass(frozen=True)
class _Outer:
    mode: Mode
    inner: tuple[_Inner, ...]
    axes: object
    nothing: None = None


def test_large_arrays_are_left_out_and_small_ones_kept() -> None:
    large = np.zeros(17)
    value = _Outer(Mode.COHORT, (_Inner(large, 2.0), _Inner((large, large), 3.0)), np.eye(2))
    assert plain(value) == {
        "mode": "cohort",
        "inner": [{"pitch": 2.0}, {"pitch": 3.0}],
        "axes": [[1.0, 0.0], [0.0, 1.0]],
    }
    assert plain({1: np.float32(0.5)}) == {"1": 0.5}


def test_what_is_not_plain_is_an_error() -> None:
    with pytest.raises(TypeError, match="must be plain, got Generator"):
        plain(np.random.default_rng(1))


def test_the_table_has_a_row_a_patient_and_all_columns(
    drawn: tuple[Patient, Scan], tmp_path: Path
) -> None:
    patient, scan = drawn
    row = table_row("A", "train", latents_of(patient, scan, PLACES))
    assert row["bone.t_score"] == repr(patient.bone.t_score)
    assert row["slices.z_mm"] == "30.5;-2.25"
    assert float(row["L4.z_mm"]) < float(row["L3.z_mm"]) < float(row["L2.z_mm"])
    for part, value in (("bone", patient.bone), ("scan", scan), ("person", patient.person)):
        for one in fields(value):
            if getattr(value, one.name) is not None:
                assert any(key.startswith(f"{part}.{one.name}") for key in row), one.name
    write_table([row, row | {"patient_id": "B", "L6.x_mm": "1.5"}], tmp_path / "latents.csv")
    with (tmp_path / "latents.csv").open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert (first["L6.x_mm"], second["L6.x_mm"]) == ("", "1.5")
    assert first["patient_id"] == "A"
    assert second["scan.model"] == scan.model
