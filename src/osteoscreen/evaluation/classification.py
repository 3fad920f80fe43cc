"""Everything that is said about a classifier of bone conditions, one result a patient."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_score, recall_score

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
)
from osteoscreen.evaluation.operating_point import OperatingPoint, accuracy_at
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
        is undefined is nan, with an ``UndefinedMetricWarning`` for each class that is absent.
    """
    found: dict[str, Any] = {
        "patients": len(y_true),
        **_headline(y_true, y_score),
        **rate_decisions(y_true, y_score.argmax(axis=1)),
        "calibration_error": calibration_error(y_true, y_score),
        "calibration": [asdict(one) for one in calibration_bins(y_true, y_score) if one.patients],
        "accuracy_by_coverage": [list(one) for one in accuracy_by_coverage(y_true, y_score)],
    }
    if quantile is not None:
        found["prediction_sets"] = asdict(coverage(y_true, _sets(y_score, quantile)))
    if points:
        is_diseased = y_true == DISEASED
        found["operating_points"] = [
            asdict(accuracy_at(point, is_diseased, y_score[:, DISEASED])) for point in points
        ]
    return found


def rate_decisions(y_true: NDArray[np.int64], said: NDArray[np.int64]) -> dict[str, Any]:
    """Compare decisions with the truth, whoever made them.

    Args:
        y_true: Class index of each patient, one at least.
        said: Class index that was said of each.
    Returns: ``precision`` and ``recall`` by class, nan where undefined; ``kappa``, agreement beyond
        chance; ``weighted_kappa``, with quadratic weights; ``confusion``, rows the truth.
    """
    return {
        "precision": _by_class(precision_score(y_true, said, **_EACH)),
        "recall": _by_class(recall_score(y_true, said, **_EACH)),
        "kappa": float(cohen_kappa_score(y_true, said, labels=CLASSES)),
        "weighted_kappa": float(
            cohen_kappa_score(y_true, said, labels=CLASSES, weights="quadratic")
        ),
        "confusion": confusion_matrix(y_true, said, labels=CLASSES).tolist(),
    }


_EACH: dict[str, Any] = {"labels": CLASSES, "average": None, "zero_division": float("nan")}


def _by_class(values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(CONDITIONS, map(float, values)))


def _headline(y_true: NDArray[np.int64], y_score: NDArray[np.float64]) -> dict[str, Any]:
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    areas = auc_scores(y_true, y_score)
    return {
        "accuracy": accuracy_score(y_true, y_score),
        "accuracy_interval": bootstrap_interval(
            lambda rows: accuracy_score(y_true[rows], y_score[rows]), y_true, rng
        ),
        "auc": _by_class(areas),
        "macro_auc": float(areas.mean()),
        "macro_auc_interval": bootstrap_interval(
            lambda rows: float(auc_scores(y_true[rows], y_score[rows]).mean()), y_true, rng
        ),
    }


def _sets(y_score: NDArray[np.float64], quantile: float) -> NDArray[np.bool_]:
    """Which classes the prediction set of each patient holds, as a result says it."""
    sets = [prediction_set(to_probabilities(one), quantile) for one in y_score]
    return np.array([[condition in held for condition in CONDITIONS] for held in sets])
