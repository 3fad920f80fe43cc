"""The column: through its knots, without overshoot, and still beyond its ends."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.column import Column

COLUMN = Column(
    z_mm=(-100.0, -70.0, -35.0, 0.0, 34.0), x_mm=(3.0, 2.0, 2.0, 0.0, -4.0), y_mm=(28, 11, 2, 0, 1)
)


def test_the_column_passes_through_its_centres() -> None:
    for z, x, y in zip(COLUMN.z_mm, COLUMN.x_mm, COLUMN.y_mm):
        assert_allclose(COLUMN.at(z), (x, y), atol=1e-9)


def test_between_two_centres_the_column_stays_between_them() -> None:
    for i in range(4):
        for z in np.linspace(COLUMN.z_mm[i], COLUMN.z_mm[i + 1], 9):
            for value, line in zip(COLUMN.at(z), (COLUMN.x_mm, COLUMN.y_mm)):
                low, high = sorted(line[i : i + 2])
                assert low - 1e-9 <= value <= high + 1e-9


@pytest.mark.parametrize(("z_mm", "end"), [(-180.0, 0), (120.0, -1)])
def test_beyond_its_ends_the_column_stays(z_mm: float, end: int) -> None:
    assert_allclose(COLUMN.at(z_mm), (COLUMN.x_mm[end], COLUMN.y_mm[end]))


def test_a_straight_line_of_centres_is_a_straight_column() -> None:
    line = Column((0.0, 10.0, 30.0), (0.0, 1.0, 3.0), (5.0, 4.0, 2.0))
    assert_allclose(line.at(17.0), (1.7, 3.3))
