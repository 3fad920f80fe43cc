"""Who the synthetic patient is: sex, age, height and weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteoscreen.errors import SettingsError
from osteoscreen.phantom.bone import AGE_RANGE

HEIGHT_M = {"F": (1.62, 0.065), "M": (1.755, 0.07)}
"""Mean and spread of the height of adults, rounded from European surveys; a chosen setting."""
MEAN_HEIGHT_M = 1.68
"""Height of a person of scale 1."""
BMI = (26.0, 4.5)
BMI_LIMITS = (17.0, 42.0)
"""Mean, spread and limits of the body-mass index, kg/m2; a chosen setting."""


@dataclass(frozen=True)
class Person:
    """Who.

    Args:
        sex: ``"F"`` or ``"M"``.
        age: Years.
        height_m: Height.
        bmi: Body-mass index, kg/m2.
    Raises: SettingsError if the age is not that of an adult whom the model knows.
    """

    sex: str
    age: int
    height_m: float
    bmi: float

    def __post_init__(self) -> None:
        check_age(self.age)

    @property
    def scale(self) -> float:
        """Linear size against a person of 1.68 m."""
        return self.height_m / MEAN_HEIGHT_M

    @property
    def plumpness(self) -> float:
        """Fatness from 0 (BMI 18) over 0.5 (BMI 27) to 1 and more (BMI 36 and above)."""
        return max(self.bmi - 18.0, -0.5) / 18.0


def check_age(age: int) -> None:
    """Refuse an age that the model does not know.

    Raises: SettingsError if it lies outside ``AGE_RANGE``.
    """
    youngest, oldest = AGE_RANGE
    if not youngest <= age <= oldest:
        raise SettingsError(f"age must be {youngest} to {oldest} years, got {age}")


def draw_person(rng: np.random.Generator, sex: str, age: int) -> Person:
    """Draw height and weight of a person.

    Args:
        rng: Source of both draws.
        sex: ``"F"`` or ``"M"``.
        age: Years.
    Returns: An adult between 1.42 and 2.02 m.
    """
    mean, spread = HEIGHT_M[sex]
    return Person(
        sex=sex,
        age=age,
        height_m=float(np.clip(rng.normal(mean, spread), 1.42, 2.02)),
        bmi=float(np.clip(rng.normal(*BMI), *BMI_LIMITS)),
    )
