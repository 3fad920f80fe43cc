"""Baselines: the published limits by hand, regressions against closed forms and their laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from made_readings import made_readings
from osteoscreen.evaluation.baseline import (
    LIMITS,
    REGRESSIONS,
    Baseline,
    Patients,
    limit_scores,
    patients_of,
    rows_of,
    score_baselines,
)
from osteoscreen.evaluation.readings import patient_scores

PICKHARDT = LIMITS[0]


def test_a_rule_of_limits_by_hand() -> None:
    hu = np.array([250.0, 161, 160, 111, 109, 20])
    said = limit_scores(PICKHARDT, hu).argmax(axis=1)
    assert said.tolist() == [0, 0, 1, 1, 2, 2]


@given(st.lists(st.floats(-100, 400), min_size=2, max_size=20))
def test_limits_rank_normal_bone_by_hu_and_osteoporosis_against_it(values: list[float]) -> None:
    hu = np.array(values)
    score = limit_scores(PICKHARDT, hu)
    assert_allclose(np.diff(score[:, 0]), np.diff(hu), atol=1e-9)
    assert_allclose(np.diff(score[:, 2]), -np.diff(hu), atol=1e-9)
    # Low bone mass is likeliest in the middle between the limits.
    middle = (PICKHARDT.normal_hu + PICKHARDT.osteoporosis_hu) / 2
    order = np.argsort(np.abs(hu - middle), kind="stable")
    assert (np.diff(score[order, 1]) <= 1e-9).all()


def test_every_rule_says_where_it_comes_from() -> None:
    assert all(one.source and one.osteoporosis_hu < one.normal_hu for one in LIMITS)


def _patients(count: int, seed: int) -> Patients:
    """Patients of whom HU says something, age the rest, sex and network nothing."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 3
    return Patients(
        truth=truth,
        hu=180 - 45 * truth + rng.normal(0, 40, count),
        age=55 + 8 * truth + rng.normal(0, 8, count),
        is_female=rng.integers(0, 2, count).astype(float),
        network=rng.normal(0, 1, (count, 3)),
    )


def _accuracy(score: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    return float((score.argmax(axis=1) == truth).mean())


def _baselines(fitted_on: Patients, others: Patients, *, apart: bool = True) -> dict[str, Baseline]:
    return {one.name: one for one in score_baselines(fitted_on, others, is_of_its_own=apart)}


def test_a_regression_that_knows_more_says_more() -> None:
    fitted_on, others = _patients(900, 1), _patients(900, 2)
    found = _baselines(fitted_on, others)
    assert list(found) == [*(one.name for one in LIMITS), *REGRESSIONS]
    hu, more = (_accuracy(found[name].score, others.truth) for name in list(REGRESSIONS)[:2])
    assert 0.5 < hu < more
    for name in REGRESSIONS:
        assert found[name].kept.all()
        assert_allclose(found[name].score.sum(axis=1), 1)


def test_the_regression_on_hu_is_that_of_equal_normal_classes() -> None:
    # Classes of one spread: the posterior is a logistic regression with slopes (mean - mean) / var.
    fitted_on = _patients(60_000, 3)
    hu = np.array([100.0, 135, 200])
    asked = Patients(np.arange(3), hu, hu, hu, np.zeros((3, 3)))
    score = _baselines(fitted_on, asked)["Regression on HU"].score
    density = np.exp(-0.5 * ((hu[:, None] - (180 - 45 * np.arange(3))) / 40) ** 2)
    # 60,000 patients and a mild penalty on the weights: a hundredth.
    assert_allclose(score, density / density.sum(axis=1, keepdims=True), atol=0.012)


@pytest.mark.parametrize("field", ["age", "is_female"])
def test_a_patient_whose_facts_are_missing_is_left_out_of_what_needs_them(field: str) -> None:
    fitted_on, others = _patients(60, 1), _patients(60, 2)
    values = getattr(others, field).copy()
    values[7] = np.nan
    found = _baselines(fitted_on, replace(others, **{field: values}))
    assert [one.kept.sum() for one in found.values()] == [60, 60, 60, 59, 59]
    assert not found["Regression on HU, age, sex"].kept[7]
    # Nor is it fitted on.
    source = _baselines(replace(fitted_on, **{field: values}), others)["Regression on HU, age, sex"]
    assert source.source == "logistic regression, fitted on 59 patients"


def test_a_baseline_that_says_nothing_says_why() -> None:
    whole, others = _patients(60, 1), _patients(30, 2)
    two = rows_of(whole, whole.truth < 2)
    for name, one in _baselines(two, others).items():
        assert one.kept.any() == (name not in REGRESSIONS)
        assert one.source.startswith("undefined: ") == (name in REGRESSIONS)
    for one in _baselines(whole, rows_of(others, others.truth != 1)).values():
        assert one.source == "undefined: no low bone mass case whose facts are known"
    unmeasured = replace(others, hu=np.full(30, np.nan))
    assert not _baselines(whole, unmeasured)["Regression on HU"].kept.any()


def test_no_regression_is_fitted_on_what_a_network_said_of_its_own_training() -> None:
    found = _baselines(_patients(60, 1), _patients(60, 2), apart=False)
    assert "no network was trained on" in found["Regression on BCC-Net, age, sex"].source
    assert found["Regression on HU, age, sex"].kept.all()


def test_patients_are_joined_from_the_slices_that_were_classified() -> None:
    nothing = [np.nan] * 3
    readings = made_readings(
        ["a", "a", "b", "b"],
        [0, 0, 2, 2],
        np.array([[1, 0, 0], nothing, [0, 0, 0], [0, 0, 2]], float),
        hu=np.array([150, 999, np.nan, 90]),
        columns=[{"age": 50, "sex": "F"}] * 2 + [{"age": None, "sex": "O"}] * 2,
    )
    found = patients_of(readings, 2.0)
    # The slice that was not classified does not count, nor does one without a measurement.
    assert found.hu.tolist() == [150, 90]
    assert found.truth.tolist() == [0, 2]
    assert found.age[0] == pytest.approx(50)
    assert found.is_female[0] == pytest.approx(1)
    assert np.isnan([found.age[1], found.is_female[1]]).all()
    _, score = patient_scores(readings, 2.0)
    assert_allclose(np.exp(found.network), score)
