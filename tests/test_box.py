"""The box around a mark."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from osteoscreen.box import box_of, places_of


def test_a_box_ends_behind_the_last_marked_place() -> None:
    mark = np.zeros((5, 8, 9), bool)
    mark[1, 2, 3] = mark[3, 2, 7] = True
    assert box_of(mark) == (slice(1, 4), slice(2, 3), slice(3, 8))


def test_an_empty_mark_has_no_box() -> None:
    assert box_of(np.zeros((4, 4), bool)) is None


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_box_holds_all_of_a_mark_and_no_smaller_one_does(axes: int) -> None:
    mark = np.random.default_rng(axes).random((12,) * axes) > 0.97
    mark.flat[5] = True
    box = box_of(mark)
    assert box is not None
    assert mark[box].sum() == mark.sum()
    for axis in range(axes):
        ends = np.moveaxis(mark[box], axis, 0)
        assert ends[0].any()
        assert ends[-1].any()


def test_the_places_of_a_mark_are_those_of_numpy() -> None:
    mark = np.zeros((5, 6, 7), bool)
    mark[1:3, 2:5, 3] = np.random.default_rng(1).random((2, 3)) < 0.7
    assert_array_equal(places_of(mark), np.argwhere(mark))
    assert places_of(np.zeros((4, 4), bool)).shape == (0, 2)
