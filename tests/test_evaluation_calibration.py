"""Calibration, prediction sets and abstention: hand-worked cases and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from osteoscreen.evaluation.calibration import (
    BINS,
    accuracy_by_coverage,
    calibration_bins,
    calibration_error,
    conformal_quantile,
    coverage,
    fit_temperature,
)
from osteoscreen.evaluation.metrics import UndefinedMetricWarning
from osteoscreen.screening.decision import softmax

TRUTH = np.array([0, 0, 1, 2], np.int64)
SCORE = np.array([[0.95, 0.03, 0.02], [0.93, 0.04, 0.03], [0.56, 0.34, 0.1], [0.2, 0.26, 0.54]])
"""Two are sure and right; of two that are little sure one is right."""


def _drawn(seed: int, patients: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Classes drawn from the very probabilities that are said."""
    rng = np.random.default_rng(seed)
    score = rng.dirichlet((1, 1, 1), patients)
    return np.array([rng.choice(3, p=one) for one in score], np.int64), score


def test_patients_are_sorted_by_how_sure_the_classifier_was() -> None:
    bins = calibration_bins(TRUTH, SCORE)
    assert [one.patients for one in bins] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert_allclose((bins[5].confidence, bins[5].accuracy_score), (0.55, 0.5))
    assert_allclose((bins[9].confidence, bins[9].accuracy_score), (0.94, 1.0))
    assert np.isnan(bins[0].accuracy_score)


def test_the_error_is_the_weighted_distance_of_confidence_and_accuracy() -> None:
    assert_allclose(calibration_error(TRUTH, SCORE), (2 * 0.05 + 2 * 0.06) / 4)


def test_probabilities_that_are_true_have_a_small_error() -> None:
    truth, score = _drawn(1, 20000)
    # A bin of 2,000 patients has a standard error of 0.01.
    assert calibration_error(truth, score) < 0.02
    assert calibration_error(truth, np.round(score)) > 0.2


def test_a_certain_classifier_that_is_wrong_has_the_error_one() -> None:
    assert_allclose(calibration_error(np.array([1, 2], np.int64), np.eye(3)[[0, 0]]), 1)


def test_the_error_of_no_patient_is_nan_and_said() -> None:
    with pytest.warns(UndefinedMetricWarning, match="no patient"):
        assert np.isnan(calibration_error(TRUTH[:0], SCORE[:0]))


@given(st.integers(0, 10**6))
def test_every_patient_lies_in_one_bin(seed: int) -> None:
    truth, score = _drawn(seed, 30)
    bins = calibration_bins(truth, score)
    assert len(bins) == BINS
    assert sum(one.patients for one in bins) == 30
    right = sum(one.patients * one.accuracy_score for one in bins if one.patients)
    assert_allclose(right, (score.argmax(1) == truth).sum())


def test_coverage_counts_the_sets_that_hold_the_class() -> None:
    sets = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1]], bool)
    found = coverage(TRUTH, sets)
    assert_allclose(found.coverage_score, 0.75)
    assert_allclose(found.mean_size, 7 / 4)
    assert_allclose(found.size_shares, (0.5, 0.25, 0.25))


def test_leaving_the_least_sure_to_a_person_helps_where_confidence_tells() -> None:
    shares, accuracies = zip(*accuracy_by_coverage(TRUTH, SCORE))
    assert_allclose(shares[-1], 1)
    # Half of the patients are the two that were sure; of all four three are right.
    assert_allclose((accuracies[9], accuracies[-1]), (1.0, 0.75))
    truth, score = _drawn(2, 4000)
    few, _, *_, everybody = (one for _, one in accuracy_by_coverage(truth, score))
    assert few > everybody + 0.2


def _simulated(
    count: int, temperature: float, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits and classes drawn from their probabilities at a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 3))
    cumulated = softmax(logits, temperature).cumsum(axis=1)
    return logits, (rng.random(count)[:, None] > cumulated).sum(axis=1).astype(np.int64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    logits, truth = _simulated(20_000, temperature)
    # 20,000 draws leave an error of about one percent.
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.04)


def test_the_temperature_is_where_the_log_likelihood_is_highest() -> None:
    logits, truth = _simulated(300, 1.5)

    def loss(temperature: float) -> float:
        total = 0.0
        for row, index in zip(logits, truth):
            total -= row[index] / temperature - math.log(
                sum(math.exp(v / temperature) for v in row)
            )
        return total

    best = minimize_scalar(loss, bounds=(0.2, 5), method="bounded").x
    assert fit_temperature(logits, truth) == pytest.approx(best, rel=1e-3)


def test_slices_of_a_patient_are_judged_by_their_mean() -> None:
    logits, truth = _simulated(600, 1.5)
    patients = [str(index) for index in range(600)]
    alone = fit_temperature(logits, truth)
    # Slices that agree say what one of them says.
    thrice = fit_temperature(np.tile(logits, (3, 1)), np.tile(truth, 3), patients * 3)
    assert thrice == pytest.approx(alone, rel=1e-3)
    # Slices that are the truth and noise have a mean that is too mild: it is sharpened.
    noise = np.random.default_rng(3).normal(0, 3, (3 * 600, 3))
    noisy = fit_temperature(np.tile(logits, (3, 1)) + noise, np.tile(truth, 3), patients * 3)
    one_by_one = fit_temperature(np.tile(logits, (3, 1)) + noise, np.tile(truth, 3))
    assert noisy < one_by_one


def test_a_network_that_is_always_right_has_the_lowest_temperature() -> None:
    assert fit_temperature(3 * np.eye(3), np.arange(3)) == pytest.approx(0.2, rel=1e-3)


def test_the_conformal_quantile_by_hand() -> None:
    # Nine patients whose true class has 0.1, 0.2, ... 0.9; errors 0.1 to 0.9.
    truth = np.zeros(9, np.int64)
    score = np.stack([np.arange(1, 10) / 10, 1 - np.arange(1, 10) / 10], axis=1)
    # Ceil(10 * 0.9) = 9th of nine, ceil(10 * 0.5) = 5th, ceil(10 * 0.75) = 8th.
    assert conformal_quantile(truth, score, 0.9) == pytest.approx(0.9)
    assert conformal_quantile(truth, score, 0.5) == pytest.approx(0.5)
    assert conformal_quantile(truth, score, 0.75) == pytest.approx(0.8)


def test_too_few_patients_make_sets_of_all_classes() -> None:
    score = np.full((8, 3), 1 / 3)
    assert conformal_quantile(np.zeros(8, np.int64), score, 0.9) == pytest.approx(1.0)


def test_conformal_sets_hold_the_class_as_often_as_they_promise() -> None:
    shares = []
    for seed in range(60):
        logits, truth = _simulated(400, 1.0, seed)
        score = softmax(logits)
        quantile = conformal_quantile(truth[:100], score[:100], 0.9)
        shares.append((1 - score[np.arange(100, 400), truth[100:]] <= quantile).mean())
    # From 0.9 to 0.9 + 1/101; the mean of 60 cohorts has a deviation of 0.5 %, three of them.
    assert 0.885 < np.mean(shares) < 0.925
