"""How far a patient lies from the calibration patients, against SciPy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import mahalanobis

from osteoscreen.bundle import TypicalSettings
from osteoscreen.screening.unlike import fit_typical, patient_features, unlike_score


def test_a_patient_is_the_mean_of_its_slices() -> None:
    logits = np.array([[1.0, 2, 3], [3, 2, 1]])
    assert_allclose(patient_features(logits, np.array([100.0, np.nan])), [2, 2, 2, 100])
    assert np.isnan(patient_features(logits, np.array([np.nan, np.nan]))[3])


def test_the_score_is_scipys_mahalanobis_distance() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4)) + 5
    settings = fit_typical(features)
    assert settings is not None
    inverse = np.linalg.inv(np.cov(features.T))
    for one in features[:5]:
        expected = mahalanobis(one, features.mean(axis=0), inverse)
        assert unlike_score(one, settings) == pytest.approx(expected)


def test_all_but_one_in_two_hundred_are_typical() -> None:
    features = np.random.default_rng(1).normal(size=(400, 4))
    settings = fit_typical(features)
    assert settings is not None
    scores = [unlike_score(one, settings) or 0.0 for one in features]
    assert sum(score > settings.limit for score in scores) == 2 - 1


def test_what_is_unknown_has_no_score() -> None:
    settings = TypicalSettings(mean=(0,) * 4, precision=tuple(np.eye(4).tolist()), limit=3)
    assert unlike_score(np.array([1, 1, 1, np.nan]), settings) is None
    assert unlike_score(np.array([2.0, 2, 2, 2]), settings) == 4


@pytest.mark.parametrize("features", [np.zeros((5, 4)), np.full((50, 4), np.nan), np.ones((50, 4))])
def test_too_few_or_equal_patients_tell_nothing(features: np.ndarray) -> None:
    assert fit_typical(features) is None
