"""An experiment made of readings alone: groups by hand, and figures that nothing is there for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import threshold_bundle
from made_readings import made_readings
from osteoscreen.bundle import Bundle
from osteoscreen.cohort.manifest import Manifest
from osteoscreen.evaluation import metrics
from osteoscreen.evaluation.experiment import OWN, SMALLEST_GROUP, Experiment, figures_of
from osteoscreen.evaluation.pictures import pictures_of
from osteoscreen.evaluation.protocol import ProtocolReadings
from osteoscreen.evaluation.tables import tables_of

COUNT = 36


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 20)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with operating points; its networks are never run here."""
    made = threshold_bundle(tmp_path_factory.mktemp("threshold"))
    points = made.settings.operating_points.model_copy(
        update={"sensitive_probability": 0.2, "specific_probability": 0.999}
    )
    return replace(made, settings=made.settings.model_copy(update={"operating_points": points}))


def _experiment(bundle: Bundle, *, is_right: bool = True) -> Experiment:
    """Thirty-six patients, every third of a class, all of them right or all called normal."""
    truth = np.arange(COUNT) % 3
    said = truth if is_right else np.zeros(COUNT, int)
    columns: list[dict[str, Any]] = [
        {"scanner": "one" if number < 27 else "other", "sex": "F" if number % 2 else "M",
         "age": 60 + number % 2 * 10}
        for number in range(COUNT)
    ]  # fmt: skip
    readings = made_readings(
        [str(number) for number in range(COUNT)],
        truth.tolist(),
        3.0 * np.eye(3)[said] + 0.01 * np.arange(COUNT)[:, None],
        hu=(200 - 50.0 * truth + np.arange(COUNT)).astype(np.float64),
        columns=columns,
    )
    nothing = ProtocolReadings((), (), np.zeros(0, np.int64), {"": np.zeros((0, 3))})
    manifest = Manifest(Path(), readings.cases, "sha")
    return Experiment(bundle, manifest, readings, readings, nothing, {OWN: 1.0})


def test_groups_are_told_from_ten_patients_on(bundle: Bundle) -> None:
    groups = figures_of(_experiment(bundle))["groups"]
    assert SMALLEST_GROUP == 10
    # The other scanner has nine patients.
    assert {name: one["patients"] for name, one in groups.items()} == {
        "age 60 to 69": 18, "age 70 to 79": 18, "scanner one": 27, "sex F": 18, "sex M": 18
    }  # fmt: skip
    assert {one["accuracy"] for one in groups.values()} == {1.0}
    assert all(one["macro_auc"] == pytest.approx(1) for one in groups.values())


def test_a_group_without_a_class_says_so(bundle: Bundle) -> None:
    whole = _experiment(bundle)
    cases = tuple(
        case.model_copy(update={"sex": "F" if case.condition == "osteoporosis" else "M"})
        for case in whole.test.cases
    )
    groups = figures_of(replace(whole, test=replace(whole.test, cases=cases)))["groups"]
    assert groups["sex M"]["macro_auc"] == "undefined: no osteoporosis case"
    assert groups["sex M"]["accuracy"] == pytest.approx(1)


def test_tables_of_readings_alone_are_whole(bundle: Bundle) -> None:
    figures = figures_of(_experiment(bundle, is_right=False))
    tables = {table.name: table for table in tables_of(figures)}
    assert tables.keys() == {
        "table_2", "table_3", "slices", "patients", "operating_points", "predictive_values",
        "classifiers", "groups",
    }  # fmt: skip
    assert [row[0] for row in tables["groups"].rows] == list(figures["groups"])
    # Everybody is called normal, nobody is positive at the specific point.
    worth = {(row[0], row[1]): row for row in tables["predictive_values"].rows}
    assert worth["specific", 0.2][2] == "undefined: no case is positive"
    said = {str(row[0]): row[1] for row in tables["patients"].rows}
    assert said["Precision: Osteoporosis"] == "undefined: no case was called osteoporosis"


def test_without_marks_and_images_only_what_is_known_is_drawn(bundle: Bundle) -> None:
    experiment = _experiment(bundle)
    plots = [plot.name for plot in pictures_of(experiment, figures_of(experiment))]
    assert plots == ["figure_9", "calibration", "coverage", "predictive_values", "classifiers"]
