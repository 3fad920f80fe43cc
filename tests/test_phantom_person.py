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


def _people(count: int, sex: str = "F") -> list[Person]:
    rng = np.random.default_rng(0)
    return [draw_person(rng, sex, 60) for _ in range(count)]


def test_a_person_of_the_mean_height_has_scale_one() -> None:
    assert_allclose(Person("F", 50, MEAN_HEIGHT_M, 25.0).scale, 1)
    assert_allclose(Person("M", 50, 1.1 * MEAN_HEIGHT_M, 25.0).scale, 1.1)


@pytest.mark.parametrize(("bmi", "plumpness"), [(18, 0), (27, 0.5), (36, 1), (17, -1 / 36)])
def test_plumpness_follows_the_body_mass_index(bmi: float, plumpness: float) -> None:
    # At 17, one half below 18 at most: -0.5 / 18.
    assert_allclose(Person("F", 50, 1.68, bmi).plumpness, plumpness)


@pytest.mark.parametrize("sex", ["F", "M"])
def test_people_are_adults_within_the_limits(sex: str) -> None:
    for person in _people(500, sex):
        assert (person.sex, person.age) == (sex, 60)
        assert 1.42 <= person.height_m <= 2.02
        assert BMI_LIMITS[0] <= person.bmi <= BMI_LIMITS[1]


@pytest.mark.parametrize("sex", ["F", "M"])
def test_height_and_weight_have_their_mean_and_spread(sex: str) -> None:
    people = _people(2000, sex)
    mean, spread = HEIGHT_M[sex]
    # Three standard errors; the limits cut off next to nothing.
    assert_allclose(np.mean([one.height_m for one in people]), mean, atol=3 * spread / 2000**0.5)
    assert_allclose(np.mean([one.bmi for one in people]), BMI[0], atol=3 * BMI[1] / 2000**0.5)
