"""Who the patients are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.person import (
    BMI,
    BMI_LIMITS,
    HEIGHT_M,
    MEAN_HEIGHT_M,
    Person,
    draw_person,
)


def _people(count: int, *, female_share: float = 0.5, mean_age: float = 60.0) -> list[Person]:
    rng = np.random.default_rng(0)
    return [draw_person(rng, female_share=female_share, mean_age=mean_age) for _ in range(count)]


def test_a_person_of_the_mean_height_has_scale_one() -> None:
    assert_allclose(Person("F", 50, MEAN_HEIGHT_M, 25.0).scale, 1)
    assert_allclose(Person("M", 50, 1.1 * MEAN_HEIGHT_M, 25.0).scale, 1.1)


@pytest.mark.parametrize(("bmi", "plumpness"), [(18, 0), (27, 0.5), (36, 1), (17, -1 / 36)])
def test_plumpness_follows_the_body_mass_index(bmi: float, plumpness: float) -> None:
    # At 17, one half below 18 at most: -0.5 / 18.
    assert_allclose(Person("F", 50, 1.68, bmi).plumpness, plumpness)


def test_people_are_adults_within_the_limits() -> None:
    for person in _people(500, mean_age=80):
        assert 22 <= person.age <= 92
        assert 1.42 <= person.height_m <= 2.02
        assert BMI_LIMITS[0] <= person.bmi <= BMI_LIMITS[1]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_women_is_the_one_asked_for(share: float) -> None:
    found = np.mean([person.sex == "F" for person in _people(2000, female_share=share)])
    # Three standard errors.
    assert_allclose(found, share, atol=0.031)


def test_means_are_those_of_the_tables() -> None:
    people = _people(3000)
    assert_allclose(np.mean([person.age for person in people]), 59.5, atol=0.6)
    # Clipping at 17 raises the mean BMI a little.
    assert_allclose(np.mean([person.bmi for person in people]), BMI[0], atol=0.35)
    for sex, (mean, spread) in HEIGHT_M.items():
        heights = [person.height_m for person in people if person.sex == sex]
        assert_allclose(np.mean(heights), mean, atol=0.006)
        assert_allclose(np.std(heights), spread, rtol=0.08)


def test_the_same_numbers_give_the_same_person() -> None:
    assert _people(5) == _people(5)
