"""Metrics: by hand, against scikit-learn, SciPy and slow loops; undefined ones are nan."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
import sklearn.metrics
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import dice

from osteoscreen.evaluation.metrics import (
    Overlap,
    UndefinedMetricWarning,
    accuracy_score,
    auc_scores,
    bootstrap_interval,
    by_patient,
    overlap,
)


def _masks(seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    return rng.random((9, 11)) < 0.4, rng.random((9, 11)) < 0.3


def _patients(count: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Three classes alike, scores that tell something, with ties."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 3
    score = rng.dirichlet((1, 1, 1), count)
    score[np.arange(count), truth] += 0.4
    return truth, np.round(score / score.sum(axis=1, keepdims=True), 1)


def test_overlap_by_hand() -> None:
    marked = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)
    reference = np.array([[0, 1, 1, 1], [1, 0, 0, 0]], bool)
    # Two in common, one only marked, two only in the reference, eight pixels.
    assert astuple(overlap(marked, reference)) == pytest.approx((4 / 7, 2 / 5, 2 / 4, 5 / 8))


def test_a_mark_agrees_with_itself_and_not_with_its_opposite() -> None:
    mask, _ = _masks(0)
    assert overlap(mask, mask) == Overlap(1.0, 1.0, 1.0, 1.0)
    assert overlap(mask, ~mask) == Overlap(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_overlap_agrees_with_scikit_learn_and_scipy(seed: int) -> None:
    marked, reference = _masks(seed)
    found = overlap(marked, reference)
    flat = reference.ravel(), marked.ravel()
    assert_allclose(found.dice_score, 1 - dice(*flat), rtol=1e-12)
    assert_allclose(found.dice_score, sklearn.metrics.f1_score(*flat), rtol=1e-12)
    assert_allclose(found.iou_score, sklearn.metrics.jaccard_score(*flat), rtol=1e-12)
    assert_allclose(found.pixel_recall_score, sklearn.metrics.recall_score(*flat), rtol=1e-12)
    assert_allclose(found.pixel_accuracy_score, sklearn.metrics.accuracy_score(*flat), rtol=1e-12)


def test_dice_and_iou_are_symmetric_and_tied_to_each_other() -> None:
    marked, reference = _masks(7)
    found, turned = overlap(marked, reference), overlap(reference, marked)
    assert found.dice_score == pytest.approx(turned.dice_score)
    assert found.iou_score == pytest.approx(turned.iou_score)
    assert found.dice_score == pytest.approx(2 * found.iou_score / (1 + found.iou_score))


def test_overlap_of_empty_masks_is_nan() -> None:
    empty = np.zeros((3, 3), bool)
    with pytest.warns(UndefinedMetricWarning) as caught:
        found = overlap(empty, empty)
    assert {str(one.message).split()[0] for one in caught} == {
        "dice_score", "iou_score", "pixel_recall_score"
    }  # fmt: skip
    assert math.isnan(found.dice_score)
    assert math.isnan(found.iou_score)
    assert math.isnan(found.pixel_recall_score)
    assert found.pixel_accuracy_score == pytest.approx(1)


def test_overlap_of_masks_without_pixels_is_nan() -> None:
    with pytest.warns(UndefinedMetricWarning):
        found = overlap(np.zeros((0, 3), bool), np.zeros((0, 3), bool))
    assert all(math.isnan(value) for value in astuple(found))


def test_recall_of_an_empty_reference_is_nan_and_dice_is_zero() -> None:
    with pytest.warns(UndefinedMetricWarning, match="pixel_recall_score of empty masks"):
        found = overlap(np.ones((2, 2), bool), np.zeros((2, 2), bool))
    assert math.isnan(found.pixel_recall_score)
    assert found.dice_score == pytest.approx(0)


def test_accuracy_by_hand_and_against_scikit_learn() -> None:
    truth = np.array([0, 1, 2, 2])
    score = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0, 0.1, 0.9], [0.2, 0.6, 0.2]])
    assert accuracy_score(truth, score) == pytest.approx(0.5)
    truth, score = _patients(60)
    expected = sklearn.metrics.accuracy_score(truth, score.argmax(axis=1))
    assert accuracy_score(truth, score) == pytest.approx(expected)


def test_accuracy_of_nobody_is_nan() -> None:
    with pytest.warns(UndefinedMetricWarning, match="accuracy of no patient"):
        assert math.isnan(accuracy_score(np.zeros(0, np.int64), np.zeros((0, 3))))


def test_auc_by_hand() -> None:
    # Class 0 scores 0.9 and 0.4 against 0.5 and 0.3 of the rest: three of four pairs in order.
    score = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.3, 0.7]])
    assert_allclose(auc_scores(np.array([0, 0, 1, 1]), score), (0.75, 0.75))


@pytest.mark.parametrize("seed", range(3))
def test_auc_agrees_with_the_count_of_pairs_and_with_mann_whitney(seed: int) -> None:
    truth, score = _patients(45, seed)
    for index, area in enumerate(auc_scores(truth, score)):
        own, rest = score[truth == index, index], score[truth != index, index]
        pairs = [(a > b) + 0.5 * (a == b) for a in own for b in rest]
        assert area == pytest.approx(np.mean(np.array(pairs)), rel=1e-12)
        u = stats.mannwhitneyu(own, rest).statistic
        assert_allclose(area, u / (len(own) * len(rest)), rtol=1e-12)
    macro = sklearn.metrics.roc_auc_score(
        truth, score / score.sum(1, keepdims=True), multi_class="ovr"
    )
    # The scores are rounded and sum to 1 only after a division, which may part ties.
    assert_allclose(
        auc_scores(truth, score / score.sum(1, keepdims=True)).mean(), macro, rtol=1e-12
    )


def test_auc_turns_over_with_the_scores_and_ignores_their_scale() -> None:
    truth, score = _patients(45)
    areas = auc_scores(truth, score)
    assert_allclose(auc_scores(truth, -score), 1 - areas, rtol=1e-12)
    assert_allclose(auc_scores(truth, np.exp(3 * score)), areas, rtol=1e-12)


def test_auc_of_an_absent_or_only_class_is_nan() -> None:
    score = _patients(6)[1]
    with pytest.warns(UndefinedMetricWarning, match="class 2 needs patients with and without"):
        areas = auc_scores(np.array([0, 1, 0, 1, 0, 1]), score)
    assert np.isnan(areas).tolist() == [False, False, True]
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(auc_scores(np.ones(6, np.int64), score)).all()


def test_random_labels_give_the_auc_of_chance() -> None:
    rng = np.random.default_rng(5)
    areas = []
    for _ in range(200):
        truth = rng.permutation(np.arange(60) % 3)
        areas.append(auc_scores(truth, rng.dirichlet((1, 1, 1), 60)).mean())
    # One macro AUC of 60 has a deviation near 0.06, the mean of 200 near 0.004; four of them.
    assert abs(np.mean(areas) - 0.5) < 0.017


def test_slices_are_averaged_in_order_of_first_appearance() -> None:
    score = np.array([[0.8, 0.2, 0], [0, 0, 1], [0.4, 0.4, 0.2]])
    truth, mean = by_patient(["b", "a", "b"], np.array([1, 2, 1]), score)
    assert truth.tolist() == [1, 2]
    assert_allclose(mean, np.array([[0.6, 0.3, 0.1], [0.0, 0.0, 1.0]]))


def test_one_slice_a_patient_changes_nothing() -> None:
    truth, score = _patients(12)
    found = by_patient([str(index) for index in range(12)], truth, score)
    assert_allclose(found[0], truth)
    assert_allclose(found[1], score)


def test_the_interval_of_a_share_agrees_with_the_binomial() -> None:
    # 140 of 200 are right; the exact interval of the binomial (Clopper and Pearson).
    right = np.arange(200) < 140
    low, high = bootstrap_interval(
        lambda rows: float(right[rows].mean()), np.zeros(200, np.int64), np.random.default_rng(0)
    )
    exact = stats.binomtest(140, 200).proportion_ci(0.95)
    # The exact interval is wider by half a patient; 1,000 resamples add a quarter of a percent.
    assert_allclose((low, high), (exact.low, exact.high), rtol=0, atol=0.015)


def test_the_interval_is_the_same_for_the_same_seed() -> None:
    truth, score = _patients(30)

    def interval(seed: int) -> tuple[float, float]:
        return bootstrap_interval(
            lambda rows: accuracy_score(truth[rows], score[rows]),
            truth,
            np.random.default_rng(seed),
        )

    assert interval(1) == interval(1)
    assert interval(1)[0] < accuracy_score(truth, score) < interval(1)[1]


def test_every_resample_keeps_the_size_of_each_class() -> None:
    truth = np.array([0] * 5 + [1] * 3 + [2] * 2)
    sizes = set()

    def metric(rows: NDArray[np.int64]) -> float:
        sizes.add(tuple(np.bincount(truth[rows]).tolist()))
        return 0.0

    assert bootstrap_interval(metric, truth, np.random.default_rng(0)) == (0.0, 0.0)
    assert sizes == {(5, 3, 2)}


def test_the_interval_of_an_undefined_metric_is_nan() -> None:
    truth = np.zeros(4, np.int64)
    found = bootstrap_interval(lambda _rows: math.nan, truth, np.random.default_rng(0))
    assert np.isnan(found).all()
