"""The reader study: Appendix A gives Table 6, and kappa is what its definition says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from osteoscreen.evaluation.reader_study import ReaderStudy, rate, read_appendix_a

TABLE_6 = {
    "radiologist_1": ((0.6250, 0.3571, 0.6316), 0.5079),
    "radiologist_2": ((0.6471, 0.3333, 0.6250), 0.4921),
    "radiologist_3": ((0.7500, 0.3929, 0.6316), 0.5556),
}
"""Precision of normal bone mass, low bone mass and osteoporosis, and accuracy, as printed."""


def _kappa(truth: np.ndarray, said: np.ndarray, power: int) -> float:
    """Kappa by its definition, with disagreement weighted by the distance of the classes."""
    apart = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    weights = (apart > 0) * apart.astype(float) ** power
    found = np.zeros((3, 3))
    for a, b in zip(truth, said):
        found[a, b] += 1
    chance = np.outer(found.sum(1), found.sum(0)) / len(truth)
    return float(1 - (weights * found).sum() / (weights * chance).sum())


def test_appendix_a_has_the_test_patients_of_table_2() -> None:
    study = read_appendix_a()
    assert np.bincount(study.truth).tolist() == [21, 21, 21]
    assert list(study.readings) == list(TABLE_6)
    assert all(len(said) == 63 for said in study.readings.values())


@pytest.mark.parametrize("number", range(3))
def test_appendix_a_gives_table_6_to_four_decimals(number: int) -> None:
    reading = rate(read_appendix_a())[number]
    precision, accuracy = TABLE_6[reading.reader]
    assert reading.precision_scores == pytest.approx(precision, abs=5e-5)
    assert_allclose(round(reading.accuracy_score, 4), accuracy, atol=1e-9)
    low, high = reading.accuracy_interval
    assert low < reading.accuracy_score < high


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=12, max_size=40))
def test_kappas_are_those_of_their_definition(pairs: list[tuple[int, int]]) -> None:
    # One patient a class, rightly read, keeps every kappa defined.
    truth, said = np.array([*pairs, (0, 0), (1, 1), (2, 2)], np.int64).T
    (reading,) = rate(ReaderStudy(truth, {"reader": said}))
    assert reading.kappa_score == pytest.approx(_kappa(truth, said, 0), abs=1e-12)
    assert reading.weighted_kappa_score == pytest.approx(_kappa(truth, said, 2), abs=1e-12)


def test_a_perfect_reader_has_every_score_one() -> None:
    truth = np.array([0, 1, 2, 2, 1], np.int64)
    (reading,) = rate(ReaderStudy(truth, {"reader": truth}))
    assert reading.precision_scores == (1, 1, 1)
    assert (reading.accuracy_score, reading.kappa_score, reading.weighted_kappa_score) == (1, 1, 1)


def test_a_class_that_is_never_said_has_no_precision() -> None:
    truth = np.array([0, 1, 2], np.int64)
    (reading,) = rate(ReaderStudy(truth, {"reader": np.array([0, 1, 1], np.int64)}))
    assert reading.precision_scores == (1, 0.5, "undefined: no case was called osteoporosis")
