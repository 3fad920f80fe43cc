"""DeLong's test: whether two classifiers that saw the same patients differ in their AUC.

DeLong, DeLong and Clarke-Pearson, Biometrics 1988; placements by midranks as in Sun and Xu, IEEE
Signal Processing Letters 2014. Neither scikit-learn nor scipy has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from osteoscreen.evaluation.metrics import undefined


@dataclass(frozen=True)
class Comparison:
    """Two AUCs of the same patients.

    Args:
        auc_scores: Of the one and of the other.
        difference: The one's less the other's.
        standard_error: Of the difference.
        p_value: Probability of a difference as large or larger between equal classifiers,
            two-sided; 1 where neither has any spread; nan where there is no AUC.
    """

    auc_scores: tuple[float, float]
    difference: float
    standard_error: float
    p_value: float


def compare_auc(
    y_true: NDArray[np.bool_], one: NDArray[np.float64], other: NDArray[np.float64]
) -> Comparison:
    """Compare the AUC of two scores.

    Args:
        y_true: Whether each patient has the class.
        one: Scores of the patients by the one classifier.
        other: And by the other.
    Returns: The comparison; nan and an ``UndefinedMetricWarning`` with fewer than two patients on
        either side.
    """
    if min(y_true.sum(), (~y_true).sum()) < 2:
        nan = undefined(
            "DeLong's test needs two patients with and two without the class, it is nan"
        )
        return Comparison((nan, nan), nan, nan, nan)
    placed = [_placements(y_true, score) for score in (one, other)]
    areas = [float(with_class.mean()) for with_class, _ in placed]
    apart = [placed[0][side] - placed[1][side] for side in (0, 1)]
    error = float(np.sqrt(sum(part.var(ddof=1) / len(part) for part in apart)))
    difference = areas[0] - areas[1]
    if error == 0:
        p_value = 1.0 if difference == 0 else 0.0
    else:
        p_value = float(2 * stats.norm.sf(abs(difference) / error))
    return Comparison((areas[0], areas[1]), difference, error, p_value)


def _placements(
    y_true: NDArray[np.bool_], score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each patient the share of the other side that it beats, ties by half."""
    with_class, without = score[y_true], score[~y_true]
    ranks = stats.rankdata(np.concatenate([with_class, without]))
    m, n = len(with_class), len(without)
    beaten = (ranks[:m] - stats.rankdata(with_class)) / n
    beats = 1 - (ranks[m:] - stats.rankdata(without)) / m
    return beaten, beats
