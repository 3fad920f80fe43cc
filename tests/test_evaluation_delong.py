"""DeLong's test against its double sum, against scikit-learn's AUC, and against chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from osteoscreen.evaluation.delong import compare_auc
from osteoscreen.evaluation.metrics import UndefinedMetricWarning

Scores = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]


def _drawn(seed: int, patients: int = 40, *, better: float = 1.0) -> Scores:
    """Two scores that share an error; ``better`` is how far the first tells the class."""
    rng = np.random.default_rng(seed)
    truth = np.arange(patients) % 3 == 0
    shared = rng.normal(0, 1, patients)
    one, other = (
        np.round(much * truth + shared + rng.normal(0, 1, patients), 1) for much in (better, 1.0)
    )
    return truth, one, other


def _standard_error(truth: NDArray[np.bool_], *scores: NDArray[np.float64]) -> float:
    """DeLong's covariance by its definition, pair by pair."""
    kernels = []
    for score in scores:
        x, y = score[truth][:, None], score[~truth][None, :]
        kernels.append((x > y) + 0.5 * (x == y))
    rows, columns = ([kernel.mean(axis=axis) for kernel in kernels] for axis in (1, 0))
    covariance = np.cov(rows) / truth.sum() + np.cov(columns) / (~truth).sum()
    return float(np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))


@given(st.integers(0, 10**6))
def test_it_is_the_double_sum_and_the_auc_of_scikit_learn(seed: int) -> None:
    truth, one, other = _drawn(seed)
    found = compare_auc(truth, one, other)
    areas = [float(roc_auc_score(truth, score)) for score in (one, other)]
    assert_allclose(found.auc_scores, areas)
    assert_allclose(found.difference, areas[0] - areas[1], atol=1e-12)
    assert_allclose(found.standard_error, _standard_error(truth, one, other), atol=1e-12)


def test_equal_classifiers_are_seldom_told_apart() -> None:
    """One in twenty has p below 0.05: 400 draws, within four standard errors."""
    share = np.mean([compare_auc(*_drawn(seed, 120)).p_value < 0.05 for seed in range(400)])
    assert abs(share - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 400)


def test_a_better_classifier_is_found() -> None:
    found = compare_auc(*_drawn(3, 400, better=3.0))
    assert found.difference > 0.1
    assert found.p_value < 1e-3


def test_the_order_turns_the_difference_and_nothing_else() -> None:
    truth, one, other = _drawn(5)
    there, back = compare_auc(truth, one, other), compare_auc(truth, other, one)
    assert_allclose(there.difference, -back.difference)
    assert_allclose((there.standard_error, there.p_value), (back.standard_error, back.p_value))


def test_a_classifier_does_not_differ_from_itself() -> None:
    truth, one, _ = _drawn(7)
    found = compare_auc(truth, one, one)
    assert (found.difference, found.standard_error, found.p_value) == (0, 0, 1)


def test_perfect_and_reversed_scores_differ_without_spread() -> None:
    truth = np.array([True, True, False, False])
    score = np.array([4.0, 3, 2, 1])
    assert compare_auc(truth, score, -score).p_value == 0


@pytest.mark.parametrize("with_class", [0, 1, 4])
def test_too_few_on_a_side_are_nan_and_said(with_class: int) -> None:
    truth = np.arange(5) < with_class
    score = np.arange(5.0)
    with pytest.warns(UndefinedMetricWarning, match="DeLong"):
        assert np.isnan(compare_auc(truth, score, score).p_value)
