"""From logits to probabilities, sets and advice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import special

from osteoscreen.findings import CONDITIONS, BoneCondition, Probabilities
from osteoscreen.screening.decision import (
    ADVICE,
    advise,
    aggregate,
    is_clear,
    prediction_set,
    softmax,
    to_probabilities,
)

LOGITS = st.lists(st.floats(-30, 30), min_size=3, max_size=3)


@given(logits=LOGITS, temperature=st.floats(0.2, 5))
def test_softmax_equals_scipys(logits: list[float], temperature: float) -> None:
    values = np.array(logits)
    assert_allclose(softmax(values, temperature), special.softmax(values / temperature), atol=1e-12)


@given(logits=LOGITS)
def test_a_higher_temperature_never_makes_the_leading_class_more_certain(
    logits: list[float],
) -> None:
    values = np.array(logits)
    assert softmax(values, 2.0).max() <= softmax(values, 1.0).max() + 1e-12


@given(logits=st.lists(LOGITS, min_size=1, max_size=6))
def test_the_patients_probabilities_are_the_mean_over_slices(logits: list[list[float]]) -> None:
    slices = softmax(np.array(logits))
    assert_allclose(aggregate(slices).as_tuple(), slices.mean(axis=0), atol=1e-9)


def test_of_two_equal_classes_the_worse_is_named() -> None:
    tie = Probabilities(normal_bone_mass=0.2, low_bone_mass=0.4, osteoporosis=0.4)
    assert tie.condition is BoneCondition.OSTEOPOROSIS


@given(logits=LOGITS, quantile=st.one_of(st.none(), st.floats(0, 1)))
def test_the_prediction_set_always_holds_the_condition(
    logits: list[float], quantile: float | None
) -> None:
    probabilities = to_probabilities(softmax(np.array(logits)))
    held = prediction_set(probabilities, quantile)
    assert probabilities.condition in held
    assert list(held) == [condition for condition in CONDITIONS if condition in held]


def test_the_prediction_set_by_hand() -> None:
    probabilities = Probabilities(normal_bone_mass=0.55, low_bone_mass=0.35, osteoporosis=0.10)
    assert prediction_set(probabilities, 0.7) == (BoneCondition.NORMAL, BoneCondition.LOW)
    assert prediction_set(probabilities, 0.3) == (BoneCondition.NORMAL,)
    assert prediction_set(probabilities, 0.95) == CONDITIONS


def test_there_is_advice_for_every_class_clear_or_not() -> None:
    assert set(ADVICE) == {(c, clear) for c in CONDITIONS for clear in (True, False)}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.9933, 0.0065, 0.0002), "nothing further"),
        ((0.50, 0.30, 0.20), "exercise"),
        ((0.05, 0.90, 0.05), "regularly"),
        ((0.05, 0.05, 0.90), "regularly"),
        ((0.10, 0.48, 0.42), "Further examination"),
        ((0.30, 0.30, 0.40), "Further examination"),
    ],
)
def test_the_advice_is_that_of_section_3_5(values: tuple[float, float, float], words: str) -> None:
    probabilities = to_probabilities(np.array(values))
    assert words in advise(probabilities, clear=is_clear(probabilities, 0.6))


def test_no_advice_excludes_a_disease() -> None:
    words = " ".join(ADVICE.values()).lower()
    assert "rule" not in words
    assert "exclude" not in words
    assert "no osteoporosis" not in words


def test_clear_begins_at_the_operating_point() -> None:
    probabilities = Probabilities(normal_bone_mass=0.6, low_bone_mass=0.3, osteoporosis=0.1)
    assert is_clear(probabilities, 0.6)
    assert not is_clear(probabilities, 0.61)


def test_a_class_that_shares_its_prediction_set_is_not_clear() -> None:
    probabilities = Probabilities(normal_bone_mass=0.62, low_bone_mass=0.37, osteoporosis=0.01)
    assert is_clear(probabilities, 0.6, quantile=0.5)
    assert not is_clear(probabilities, 0.6, quantile=0.7)
