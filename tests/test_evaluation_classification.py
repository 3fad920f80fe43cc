"""Figures of a classifier: a hand-worked case, and what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.evaluation import metrics
from osteoscreen.evaluation.classification import rate_classes
from osteoscreen.evaluation.metrics import UndefinedMetricWarning
from osteoscreen.evaluation.operating_point import OperatingPoint
from osteoscreen.findings import BoneCondition

TRUTH = np.array([0, 0, 1, 1, 2, 2], np.int64)
SCORE = np.array(
    [
        [0.8, 0.15, 0.05],
        [0.45, 0.5, 0.05],
        [0.2, 0.7, 0.1],
        [0.1, 0.3, 0.6],
        [0.05, 0.15, 0.8],
        [0.05, 0.05, 0.9],
    ]
)
"""One normal bone is taken for low bone mass, one low bone mass for osteoporosis."""


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 40)


def test_six_patients_by_hand() -> None:
    found = rate_classes(
        TRUTH, SCORE, quantile=0.5, points=(OperatingPoint("half", 0.5), OperatingPoint("all", 0))
    )
    assert found["patients"] == 6
    assert found["confusion"] == [[1, 1, 0], [0, 1, 1], [0, 0, 2]]
    assert_allclose(found["accuracy"], 4 / 6)
    assert_allclose([*found["precision"].values()], [1, 1 / 2, 2 / 3])
    assert_allclose([*found["recall"].values()], [1 / 2, 1 / 2, 1])
    # Chance agrees in (2 * 1 + 2 * 2 + 2 * 3) / 36 = 1/3.
    assert_allclose(found["kappa"], (4 / 6 - 1 / 3) / (1 - 1 / 3))
    # Squared distances: 2 are seen; chance gives (2 + 4 * 3 + 1 + 3 + 4 * 1 + 2) / 3 = 8.
    assert_allclose(found["weighted_kappa"], 1 - 2 / 8)
    half, everybody = found["operating_points"]
    assert_allclose((half["sensitivity_score"], half["specificity_score"]), (1, 3 / 4))
    assert_allclose((everybody["sensitivity_score"], everybody["specificity_score"]), (1, 0))
    # A set holds what has p of a half or more, and what leads: the fourth set misses its class.
    sets = found["prediction_sets"]
    assert_allclose((sets["coverage_score"], sets["mean_size"]), (4 / 6, 1))
    assert found["accuracy_by_coverage"][-1] == [1.0, pytest.approx(4 / 6)]


def test_without_quantile_and_points_their_figures_are_left_out() -> None:
    found = rate_classes(TRUTH, SCORE)
    assert "prediction_sets" not in found
    assert "operating_points" not in found


def test_a_class_that_nobody_has_is_undefined_and_said() -> None:
    with pytest.warns(UndefinedMetricWarning, match="class 2"):
        found = rate_classes(TRUTH[:4], SCORE[:4])
    for figure in (
        found["auc"][BoneCondition.OSTEOPOROSIS],
        found["recall"][BoneCondition.OSTEOPOROSIS],
        found["macro_auc"],
        found["macro_auc_interval"],
    ):
        assert figure == "undefined: no osteoporosis case"
    assert_allclose(found["accuracy"], 0.5)
