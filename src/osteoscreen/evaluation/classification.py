"""Everything that is said about a classifier of bone conditions, one result a patient."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_score, recall_score

from osteoscreen import texts
from osteoscreen.evaluation.calibration import (
    accuracy_by_coverage,
    calibration_bins,
    calibration_error,
    coverage,
)
from osteoscreen.evaluation.metrics import (
    BOOTSTRAP_SEED,
    accuracy_score,
    auc_scores,
    bootstrap_interval,
    bootstrap_intervals,
    share_interval,
    told,
)
from osteoscreen.evaluation.operating_point import OperatingPoint, PointAccuracy, accuracy_at
from osteoscreen.findings import CONDITIONS, BoneCondition
from osteoscreen.screening.decision import prediction_set, to_probabilities

CLASSES = list(range(len(CONDITIONS)))
DISEASED = CONDITIONS.index(BoneCondition.OSTEOPOROSIS)
"""Index of the class that a screening looks for."""


def rate_classes(
    y_true: NDArray[np.int64],
    y_score: NDArray[np.float64],
    *,
    quantile: float | None = None,
    points: tuple[OperatingPoint, ...] = (),
) -> dict[str, Any]:
    """Compare what a classifier said with the truth.

    Args:
        y_true: Class index of each patient, one at least.
        y_score: Probabilities, shape (patients, 3).
        quantile: Of the prediction sets; ``None`` leaves them out.
        points: Thresholds of P(osteoporosis) to measure.
    Returns: Figures by name, as JSON holds them; intervals are 95 % over patients. A figure that
        is undefined is a text that says why, with an ``UndefinedMetricWarning`` for each class
        that is absent.
    """
    found: dict[str, Any] = {
        "patients": len(y_true),
        **rate_ranking(y_true, y_score),
        **rate_decisions(y_true, y_score.argmax(axis=1)),
        "weighted_kappa_interval": weighted_kappa_interval(y_true, y_score.argmax(axis=1)),
        "calibration_error": calibration_error(y_true, y_score),
        "calibration_error_interval": bootstrap_interval(
            lambda rows: calibration_error(y_true[rows], y_score[rows]), y_true, _rng()
        ),
        "calibration": [asdict(one) for one in calibration_bins(y_true, y_score) if one.patients],
        "accuracy_by_coverage": [list(one) for one in accuracy_by_coverage(y_true, y_score)],
    }
    if quantile is not None:
        sets = coverage(y_true, _sets(y_score, quantile))
        covered = round(sets.coverage_score * len(y_true))
        found["prediction_sets"] = asdict(sets) | {
            "coverage_interval": share_interval(covered, len(y_true))
        }
    if points:
        is_diseased = y_true == DISEASED
        found["operating_points"] = [
            _tell_point(
                accuracy_at(point, is_diseased, y_score[:, DISEASED]),
                (int(is_diseased.sum()), int((~is_diseased).sum())),
            )
            for point in points
        ]
    return found


def rate_ranking(y_true: NDArray[np.int64], y_score: NDArray[np.float64]) -> dict[str, Any]:
    """Return accuracy and areas under the curves, with their intervals.

    Args:
        y_true: Class index of each patient, one at least.
        y_score: The higher, the likelier the class; shape (patients, 3). Need not be probabilities.
    Returns: ``accuracy``, ``auc`` by class and ``macro_auc``; undefined ones as ``rate_classes``.
    """
    areas = auc_scores(y_true, y_score)
    is_right = y_score.argmax(axis=1) == y_true
    missing = " and ".join(filter(None, (missing_class(y_true, index) for index in CLASSES)))
    found: dict[str, Any] = {
        "accuracy": accuracy_score(y_true, y_score),
        "accuracy_interval": bootstrap_interval(
            lambda rows: float(is_right[rows].mean()), y_true, _rng()
        ),
        "auc": {
            condition: told(area, missing_class(y_true, index))
            for index, (condition, area) in enumerate(zip(CONDITIONS, map(float, areas)))
        },
        "macro_auc": told(float(areas.mean()), missing),
    }
    if missing:
        why = f"undefined: {missing}"
        return found | {"macro_auc_interval": why, "auc_intervals": dict.fromkeys(CONDITIONS, why)}

    def resampled(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        each = auc_scores(y_true[rows], y_score[rows])
        return np.append(each, each.mean())

    *each, macro = bootstrap_intervals(resampled, y_true, _rng())
    return found | {
        "macro_auc_interval": macro,
        "auc_intervals": dict(zip(CONDITIONS, each)),
    }


def _rng() -> np.random.Generator:
    return np.random.default_rng(BOOTSTRAP_SEED)


def rate_decisions(y_true: NDArray[np.int64], said: NDArray[np.int64]) -> dict[str, Any]:
    """Compare decisions with the truth, whoever made them.

    Args:
        y_true: Class index of each patient, one at least.
        said: Class index that was said of each.
    Returns: ``precision`` and ``recall`` by class; ``kappa``, agreement beyond chance;
        ``weighted_kappa``, with quadratic weights; ``confusion``, rows the truth. Undefined ones as
        ``rate_classes``.
    """
    precision, recall = precision_score(y_true, said, **_EACH), recall_score(y_true, said, **_EACH)
    names = [texts.IN_SENTENCE[condition] for condition in CONDITIONS]
    why = "only one class is there and is said"
    return {
        "precision": {
            condition: told(float(value), f"no case was called {name}")
            for condition, value, name in zip(CONDITIONS, precision, names)
        },
        "recall": {
            condition: told(float(value), f"no {name} case")
            for condition, value, name in zip(CONDITIONS, recall, names)
        },
        "kappa": told(_kappa(y_true, said), why),
        "weighted_kappa": told(_kappa(y_true, said, "quadratic"), why),
        "confusion": confusion_matrix(y_true, said, labels=CLASSES).tolist(),
    }


def weighted_kappa_interval(
    y_true: NDArray[np.int64], said: NDArray[np.int64]
) -> tuple[float, float] | str:
    """Return the 95 % interval of the weighted kappa over patients, or why there is none."""
    interval = bootstrap_interval(
        lambda rows: _kappa(y_true[rows], said[rows], "quadratic"), y_true, _rng()
    )
    if np.isnan(interval).any():
        return "undefined: only one class is there and is said"
    return interval


def _kappa(y_true: NDArray[np.int64], said: NDArray[np.int64], weights: str | None = None) -> float:
    """Cohen's kappa; nan where only one class is there and is said."""
    if len(np.union1d(y_true, said)) < 2:
        return float("nan")
    return float(cohen_kappa_score(y_true, said, labels=CLASSES, weights=weights))


_EACH: dict[str, Any] = {"labels": CLASSES, "average": None, "zero_division": float("nan")}


def missing_class(y_true: NDArray[np.int64], index: int) -> str:
    """Say why a class has no curve; an empty text if it has one."""
    is_class = y_true == index
    if not is_class.any():
        return f"no {texts.IN_SENTENCE[CONDITIONS[index]]} case"
    return f"no case but {texts.IN_SENTENCE[CONDITIONS[index]]}" if is_class.all() else ""


def _tell_point(found: PointAccuracy, sizes: tuple[int, int]) -> dict[str, Any]:
    """Return what was measured at an operating point, undefined figures with their reason.

    Args:
        found: What was measured.
        sizes: Patients with and without the disease.
    """
    disease = texts.IN_SENTENCE[CONDITIONS[DISEASED]]
    sensitivity = told(found.sensitivity_score, f"no {disease} case")
    specificity = told(found.specificity_score, f"no case but {disease}")
    return asdict(found) | {
        "sensitivity_score": sensitivity,
        "sensitivity_interval": _interval_of(sensitivity, sizes[0]),
        "specificity_score": specificity,
        "specificity_interval": _interval_of(specificity, sizes[1]),
        "predictive_values": [
            {
                "prevalence": one.prevalence,
                "positive": told(one.positive, _reason(sensitivity, specificity, "positive")),
                "negative": told(one.negative, _reason(sensitivity, specificity, "negative")),
            }
            for one in found.predictive_values
        ],
    }


def _interval_of(share: float | str, whole: int) -> tuple[float, float] | str:
    return share if isinstance(share, str) else share_interval(round(share * whole), whole)


def _reason(sensitivity: float | str, specificity: float | str, answer: str) -> str:
    for figure in (sensitivity, specificity):
        if isinstance(figure, str):
            return figure.removeprefix("undefined: ")
    return f"no case is {answer}"


def _sets(y_score: NDArray[np.float64], quantile: float) -> NDArray[np.bool_]:
    """Which classes the prediction set of each patient holds, as a result says it."""
    sets = [prediction_set(to_probabilities(one), quantile) for one in y_score]
    return np.array([[condition in held for condition in CONDITIONS] for held in sets])
