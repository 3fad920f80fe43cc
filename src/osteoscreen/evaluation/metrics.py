"""Metrics of the paper (section 3.3, equations 2 to 8) and intervals over patients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

BoolArray = NDArray[np.bool_]

RESAMPLES = 1000
"""Bootstrap resamples: the 2.5 % point then rests on 25 of them."""
BOOTSTRAP_SEED = 20180101
"""Seed of the resamples of every printed interval."""


class UndefinedMetricWarning(UserWarning):
    """A metric has no value for this input and is nan."""


def undefined(reason: str) -> float:
    """Warn that a metric has no value, and return nan.

    Args:
        reason: Which one, and why.
    """
    warnings.warn(reason, UndefinedMetricWarning, stacklevel=3)
    return float("nan")


def told(value: float, reason: str) -> float | str:
    """Return a figure as it is printed: a value, or that it is undefined and why.

    Args:
        value: The figure; nan where it is undefined.
        reason: Such as ``"no osteoporosis case"``.
    """
    return f"undefined: {reason}" if np.isnan(value) else value


@dataclass(frozen=True)
class Overlap:
    """Agreement of a mark with its reference, pixel by pixel.

    Args:
        dice_score: Dice index, equation 2.
        iou_score: Intersection over union, equation 4.
        pixel_recall_score: Equation 3, which the paper calls pixel accuracy.
        pixel_accuracy_score: Share of all pixels that are right.
    """

    dice_score: float
    iou_score: float
    pixel_recall_score: float
    pixel_accuracy_score: float


def overlap(marked: BoolArray, reference: BoolArray) -> Overlap:
    """Compare a mark with its reference.

    Args:
        marked: What the network marked.
        reference: What should be marked; same shape.
    Returns: The four scores, 0 to 1; Dice and IoU are nan if both are empty, the recall if the
        reference is, with an ``UndefinedMetricWarning`` each.
    """
    both = int((marked & reference).sum())
    only_marked, only_reference = int(marked.sum()) - both, int(reference.sum()) - both
    return Overlap(
        _ratio(2 * both, 2 * both + only_marked + only_reference, "dice_score"),
        _ratio(both, both + only_marked + only_reference, "iou_score"),
        _ratio(both, both + only_reference, "pixel_recall_score"),
        _ratio(marked.size - only_marked - only_reference, marked.size, "pixel_accuracy_score"),
    )


def _ratio(part: int, whole: int, name: str) -> float:
    if whole == 0:
        return undefined(f"{name} of empty masks is nan")
    return part / whole


def accuracy_score(y_true: NDArray[np.int64], y_score: NDArray[np.float64]) -> float:
    """Return the share of three-class decisions that are right (Tables 5 and 6 of the paper).

    Args:
        y_true: Class index of each patient.
        y_score: Shape (patients, classes); the highest decides.
    Returns: 0 to 1; nan and an ``UndefinedMetricWarning`` without a patient.
    """
    if not len(y_true):
        return undefined("the accuracy of no patient is nan")
    return float((y_score.argmax(axis=1) == y_true).mean())


def auc_scores(y_true: NDArray[np.int64], y_score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area under the ROC curve of each class against the rest.

    Args:
        y_true: Class index of each patient.
        y_score: Shape (patients, classes).
    Returns: Shape (classes,), 0 to 1; a class that is absent, or alone, has no curve: nan and an
        ``UndefinedMetricWarning``.
    """
    areas = []
    for index in range(y_score.shape[1]):
        is_class = y_true == index
        if is_class.all() or not is_class.any():
            areas.append(
                undefined(f"the AUC of class {index} needs patients with and without it, it is nan")
            )
        else:
            areas.append(float(roc_auc_score(is_class, y_score[:, index])))
    return np.array(areas)


def macro_auc(y_true: NDArray[np.int64], y_score: NDArray[np.float64]) -> float:
    """Return the mean area over the classes; nan, without a warning, if one has no curve."""
    counts = np.bincount(y_true, minlength=y_score.shape[1])
    if (counts == 0).any() or (counts == len(y_true)).any():
        return float("nan")
    return float(auc_scores(y_true, y_score).mean())


def by_patient(
    patients: list[str], y_true: NDArray[np.int64], y_score: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Join the slices of each patient.

    Args:
        patients: Patient of each slice.
        y_true: Class index of each slice; all slices of a patient share it.
        y_score: Shape (slices, classes).
    Returns: One class and one mean score a patient, in order of first appearance.
    """
    rows: dict[str, list[int]] = {}
    for index, patient in enumerate(patients):
        rows.setdefault(patient, []).append(index)
    truth = np.array([y_true[of_patient[0]] for of_patient in rows.values()], np.int64)
    means = [y_score[of_patient].mean(axis=0) for of_patient in rows.values()]
    return truth, np.array(means, np.float64).reshape(len(rows), y_score.shape[1])


def bootstrap_interval(
    metric: Callable[[NDArray[np.int64]], float],
    y_true: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the 95 % interval of a metric over resampled patients.

    Each class is resampled by itself: the mix of classes is the cohort's, and the interval holds
    for that mix.

    Args:
        metric: Takes the indices of the patients in a resample.
        y_true: Class index of each patient.
        rng: Source of the resamples.
    Returns: The 2.5 and 97.5 % points of the metric; nan where it is undefined.
    """
    (interval,) = bootstrap_intervals(lambda rows: [metric(rows)], y_true, rng)
    return interval


def bootstrap_intervals(
    metrics: Callable[[NDArray[np.int64]], Sequence[float] | NDArray[np.float64]],
    y_true: NDArray[np.int64],
    rng: np.random.Generator,
) -> list[tuple[float, float]]:
    """Return the 95 % intervals of several metrics on the same resamples.

    Args:
        metrics: As of ``bootstrap_interval``; returns as many figures every time.
        y_true: Class index of each patient.
        rng: Source of the resamples.
    """
    classes = [np.flatnonzero(y_true == index) for index in np.unique(y_true)]
    values = [
        metrics(np.concatenate([rng.choice(rows, len(rows)) for rows in classes]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(np.array(values, np.float64), [2.5, 97.5], axis=0)
    return list(zip(map(float, low), map(float, high)))


def share_interval(count: int, whole: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of independent patients (Wilson's score).

    Args:
        count: Patients who have it.
        whole: All of them, one at least.
    """
    found = binomtest(count, whole).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)
