"""Operating points: Bayes' theorem, hand-worked cases, and thresholds that keep their promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from osteoscreen.evaluation.metrics import UndefinedMetricWarning
from osteoscreen.evaluation.operating_point import (
    PREVALENCES,
    OperatingPoint,
    accuracy_at,
    point_of_sensitivity,
    point_of_specificity,
    predictive_value,
)

DISEASED = np.array([True, True, True, True, False, False, False, False, False])
SCORE = np.array([0.9, 0.8, 0.5, 0.1, 0.6, 0.5, 0.2, 0.1, 0.0])


def test_shares_are_counted_by_hand() -> None:
    found = accuracy_at(OperatingPoint("half", 0.5), DISEASED, SCORE)
    assert_allclose((found.sensitivity_score, found.specificity_score), (3 / 4, 3 / 5))
    assert [one.prevalence for one in found.predictive_values] == list(PREVALENCES)


def test_predictive_values_are_those_of_a_table_of_a_thousand() -> None:
    # 100 of 1,000 are diseased: 90 found, 10 missed; of 900 others 180 are called positive.
    found = predictive_value(0.9, 0.8, 0.1)
    assert_allclose((found.positive, found.negative), (90 / 270, 720 / 730))


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.02, 0.48))
def test_a_finding_is_worth_more_where_disease_is_common(
    sensitivity: float, specificity: float, prevalence: float
) -> None:
    rare, common = (predictive_value(sensitivity, specificity, p) for p in (prevalence, 0.5))
    assert rare.positive <= common.positive
    assert rare.negative >= common.negative


def test_a_test_that_calls_nobody_positive_has_no_positive_value() -> None:
    found = predictive_value(0.0, 1.0, 0.3)
    assert np.isnan(found.positive)
    assert_allclose(found.negative, 0.7)


def test_without_a_patient_a_share_is_nan_and_said() -> None:
    with pytest.warns(UndefinedMetricWarning, match="sensitivity"):
        found = accuracy_at(OperatingPoint("half", 0.5), DISEASED[4:], SCORE[4:])
    assert np.isnan(found.sensitivity_score)
    assert_allclose(found.specificity_score, 3 / 5)


@given(
    st.floats(0.05, 1.0),
    st.lists(st.tuples(st.booleans(), st.sampled_from(np.linspace(0, 1, 12).tolist())), min_size=6),
)
def test_a_point_keeps_its_promise_and_no_better_one_does(
    wanted: float, patients: list[tuple[bool, float]]
) -> None:
    patients = [*patients, (True, 0.5), (False, 0.5)]
    diseased = np.array([one for one, _ in patients])
    score = np.array([one for _, one in patients])
    sensitive = point_of_sensitivity("sensitive", wanted, diseased, score)
    assert accuracy_at(sensitive, diseased, score).sensitivity_score >= wanted - 1e-12
    higher = OperatingPoint("higher", float(np.nextafter(sensitive.threshold, 2)))
    assert accuracy_at(higher, diseased, score).sensitivity_score < wanted
    specific = point_of_specificity("specific", wanted, diseased, score)
    assert accuracy_at(specific, diseased, score).specificity_score >= wanted - 1e-12
    lower = OperatingPoint("lower", float(np.nextafter(specific.threshold, -1)))
    assert accuracy_at(lower, diseased, score).specificity_score < wanted
