"""How far probabilities and prediction sets can be believed, and how they are made to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from osteoscreen.evaluation.metrics import by_patient, undefined
from osteoscreen.screening.decision import softmax

BINS = 10
"""Bins of equal width of the confidence, as in the literature on calibration (Guo 2017)."""
SHARES = 20
"""Steps of the share of patients that are decided."""
TEMPERATURES = (0.2, 5.0)
"""Range in which the temperature is sought; beyond it a network is not calibrated but broken."""


@dataclass(frozen=True)
class Bin:
    """Patients whose confidence lies in one range.

    Args:
        low, high: The range; the upper end belongs to it.
        patients: How many.
        confidence: Mean probability of the class that was said; nan without a patient.
        accuracy_score: Share of them that were right; nan without a patient.
    """

    low: float
    high: float
    patients: int
    confidence: float
    accuracy_score: float


def calibration_bins(y_true: NDArray[np.int64], y_score: NDArray[np.float64]) -> tuple[Bin, ...]:
    """Sort patients by how sure the classifier was.

    Args:
        y_true: Class index of each patient.
        y_score: Probabilities, shape (patients, classes).
    Returns: Ten bins of the largest probability, rising.
    """
    confidence, is_right = y_score.max(axis=1), y_score.argmax(axis=1) == y_true
    edges = np.linspace(0, 1, BINS + 1)
    found = []
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        count = int(inside.sum())
        mean = float(confidence[inside].mean()) if count else float("nan")
        right = float(is_right[inside].mean()) if count else float("nan")
        found.append(Bin(float(low), float(high), count, mean, right))
    return tuple(found)


def calibration_error(y_true: NDArray[np.int64], y_score: NDArray[np.float64]) -> float:
    """Return the expected calibration error: how far confidence and accuracy lie apart.

    Args:
        y_true: Class index of each patient.
        y_score: Probabilities, shape (patients, classes).
    Returns: Mean distance over the bins, weighted by patients, 0 to 1; nan and an
        ``UndefinedMetricWarning`` without a patient.
    """
    if not len(y_true):
        return undefined("the calibration error of no patient is nan")
    bins = [one for one in calibration_bins(y_true, y_score) if one.patients]
    apart = sum(one.patients * abs(one.confidence - one.accuracy_score) for one in bins)
    return apart / len(y_true)


@dataclass(frozen=True)
class Coverage:
    """What the prediction sets of some patients are worth.

    Args:
        coverage_score: Share of patients whose class is in their set.
        mean_size: Classes in a set, on average.
        size_shares: Share of the sets with one, two, … classes.
    """

    coverage_score: float
    mean_size: float
    size_shares: tuple[float, ...]


def coverage(y_true: NDArray[np.int64], is_in_set: NDArray[np.bool_]) -> Coverage:
    """Measure prediction sets.

    Args:
        y_true: Class index of each patient, one at least.
        is_in_set: Which classes each set holds, one at least; shape (patients, classes).
    """
    sizes = is_in_set.sum(axis=1)
    return Coverage(
        coverage_score=float(is_in_set[np.arange(len(y_true)), y_true].mean()),
        mean_size=float(sizes.mean()),
        size_shares=tuple(
            float((sizes == size).mean()) for size in range(1, is_in_set.shape[1] + 1)
        ),
    )


def accuracy_by_coverage(
    y_true: NDArray[np.int64], y_score: NDArray[np.float64]
) -> tuple[tuple[float, float], ...]:
    """Return what accuracy is left when the least sure patients are left to a person.

    Args:
        y_true: Class index of each patient, one at least.
        y_score: Probabilities, shape (patients, classes).
    Returns: (share of patients that are decided, accuracy on them), from few to all.
    """
    order = np.argsort(-y_score.max(axis=1), kind="stable")
    is_right = (y_score.argmax(axis=1) == y_true)[order]
    decided = np.arange(1, len(order) + 1)
    accuracy = np.cumsum(is_right) / decided
    shares = [step / SHARES for step in range(1, SHARES + 1)]
    counts = [max(1, round(share * len(order))) for share in shares]
    return tuple((share, float(accuracy[count - 1])) for share, count in zip(shares, counts))


def fit_temperature(
    logits: NDArray[np.float64],
    y_true: NDArray[np.int64],
    patients: Sequence[str] | None = None,
) -> float:
    """Return the temperature with the smallest negative log-likelihood of what is said.

    Args:
        logits: Shape (slices, classes).
        y_true: Class index of each slice.
        patients: Patient of each slice, where one result a patient is said, the mean over its
            slices: a mean is milder than its slices, and its temperature is another one. ``None``
            where each slice speaks for itself.
    """
    names = list(map(str, range(len(y_true)))) if patients is None else list(patients)

    def loss(log_temperature: float) -> float:
        scores = softmax(logits, float(np.exp(log_temperature)))
        truth, mean = by_patient(names, y_true, scores)
        chosen = mean[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(chosen, 1e-12)).mean())

    bounds = (float(np.log(TEMPERATURES[0])), float(np.log(TEMPERATURES[1])))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def conformal_quantile(
    y_true: NDArray[np.int64], y_score: NDArray[np.float64], coverage: float
) -> float:
    """Return the largest 1 - p of the true class that a set must admit (split conformal).

    The finite-sample level is ceil((n + 1) coverage) / n (Angelopoulos and Bates 2021, section 1);
    with too few patients it is 1, and every set holds all classes.
    """
    errors = np.sort(1 - y_score[np.arange(len(y_true)), y_true])
    rank = int(np.ceil((len(errors) + 1) * coverage))
    return 1.0 if rank > len(errors) else float(errors[rank - 1])
