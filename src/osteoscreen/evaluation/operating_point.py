"""Osteoporosis against the rest at named operating points, and what a finding is worth there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.evaluation.metrics import undefined

PREVALENCES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Share of osteoporosis among those who are screened: from a general to a referred population."""


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold of P(osteoporosis), at and above which a patient is called positive.

    Args:
        name: Such as ``"sensitive"``.
        threshold: 0 to 1.
    """

    name: str
    threshold: float


@dataclass(frozen=True)
class PredictiveValue:
    """What an answer is worth at a prevalence.

    Args:
        prevalence: Share of the diseased.
        positive: Share of positive patients who are diseased (PPV); nan where nobody is positive.
        negative: Share of negative patients who are not (NPV); nan where nobody is negative.
    """

    prevalence: float
    positive: float
    negative: float


@dataclass(frozen=True)
class PointAccuracy:
    """How good a test is at an operating point.

    Args:
        point: Where.
        sensitivity_score: Share of the diseased who are called positive; nan without any.
        specificity_score: Share of the others who are called negative; nan without any.
        predictive_values: PPV and NPV at each of ``PREVALENCES``.
    """

    point: OperatingPoint
    sensitivity_score: float
    specificity_score: float
    predictive_values: tuple[PredictiveValue, ...]


def accuracy_at(
    point: OperatingPoint, is_diseased: NDArray[np.bool_], y_score: NDArray[np.float64]
) -> PointAccuracy:
    """Measure a test at an operating point.

    Args:
        point: The threshold.
        is_diseased: Of each patient.
        y_score: P(osteoporosis) of each patient.
    Returns: nan and an ``UndefinedMetricWarning`` for what has no patient.
    """
    is_positive = y_score >= point.threshold
    sensitivity = _share(is_positive[is_diseased], "sensitivity")
    specificity = _share(~is_positive[~is_diseased], "specificity")
    return PointAccuracy(
        point,
        sensitivity,
        specificity,
        tuple(predictive_value(sensitivity, specificity, one) for one in PREVALENCES),
    )


def _share(is_right: NDArray[np.bool_], name: str) -> float:
    if not len(is_right):
        return undefined(f"the {name} without a patient is nan")
    return float(is_right.mean())


def predictive_value(sensitivity: float, specificity: float, prevalence: float) -> PredictiveValue:
    """Apply Bayes' theorem.

    Args:
        sensitivity: Of the test.
        specificity: Of the test.
        prevalence: Share of the diseased, between 0 and 1.
    """
    true_positive, false_positive = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    true_negative, false_negative = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    positive, negative = true_positive + false_positive, true_negative + false_negative
    return PredictiveValue(
        prevalence,
        true_positive / positive if positive else float("nan"),
        true_negative / negative if negative else float("nan"),
    )


def point_of_sensitivity(
    name: str, wanted: float, is_diseased: NDArray[np.bool_], y_score: NDArray[np.float64]
) -> OperatingPoint:
    """Choose the highest threshold that reaches a sensitivity.

    Args:
        name: Of the operating point.
        wanted: Least sensitivity, above 0 and up to 1.
        is_diseased: Of each patient of the set that the choice is made on; one at least is.
        y_score: P(osteoporosis) of each patient.
    """
    scores = np.sort(y_score[is_diseased])[::-1]
    return OperatingPoint(name, float(scores[int(np.ceil(wanted * len(scores))) - 1]))


def point_of_specificity(
    name: str, wanted: float, is_diseased: NDArray[np.bool_], y_score: NDArray[np.float64]
) -> OperatingPoint:
    """Choose the lowest threshold that reaches a specificity; see ``point_of_sensitivity``."""
    scores = np.sort(y_score[~is_diseased])
    highest = scores[int(np.ceil(wanted * len(scores))) - 1]
    return OperatingPoint(name, float(np.nextafter(highest, np.inf)))
