"""The sagittal cut follows the spine: a bent column comes out whole."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.screening.marking import Marks
from osteoscreen.screening.sagittal import cut_sagittal
from osteoscreen.screening.vertebrae import Vertebra
from osteoscreen.volume import Volume

AFFINE = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [4.0, 0, 0, 0], [0, 0, 0, 1]])


def _bent() -> tuple[Volume, Marks, np.ndarray]:
    """Two bodies, 30 mm wide, whose middles lie 40 columns apart."""
    hu = np.full((30, 60, 120), 40, np.float32)
    bodies = np.zeros(hu.shape, np.uint8)
    for at in range(30):
        middle = 40 + round(40 * at / 29)
        if at % 15 < 12:
            bodies[at, 20:40, middle - 15 : middle + 15] = at // 15 + 1
    hu[bodies > 0] = 300
    return Volume(hu, AFFINE), Marks(bodies > 0, bodies > 0), bodies


def _vertebra(level: str, number: int, start: int) -> Vertebra:
    body = tuple(range(start, start + 12))
    return Vertebra(level, number, start, start + 12, body, body[4:8], is_cut=False)


def test_the_plane_follows_a_bent_spine() -> None:
    volume, marks, bodies = _bent()
    vertebrae = (_vertebra("L2", 1, 0), _vertebra("L1", 2, 15))
    cut = cut_sagittal(volume, marks, vertebrae, bodies)
    assert cut is not None
    assert cut.hu.shape == cut.labels.shape == (30, 60)
    is_marked = np.flip(marks.body.any(axis=(1, 2)))  # rows run from the head
    assert_allclose(cut.hu[is_marked][:, 20:40], 300)
    assert (cut.labels[is_marked][:, 20:40] == 1).all()
    assert not cut.labels[~is_marked].any()
    assert cut.spacing_mm == (4.0, 1.0)


def test_the_fronts_are_where_the_vertebrae_are() -> None:
    volume, marks, bodies = _bent()
    vertebrae = (_vertebra("L2", 1, 0), _vertebra("L1", 2, 15))
    cut = cut_sagittal(volume, marks, vertebrae, bodies)
    assert cut is not None
    assert_allclose(cut.fronts, [(29 - 5.5, 20), (29 - 20.5, 20)], atol=1)


def test_without_marks_the_plane_is_the_middle_of_the_image() -> None:
    hu = np.zeros((30, 60, 120), np.float32)
    hu[:, :, 58:63] = 500
    empty = np.zeros(hu.shape, bool)
    cut = cut_sagittal(Volume(hu, AFFINE), Marks(empty, empty), (), None)
    assert cut is not None
    assert_allclose(cut.hu, 500)


@pytest.mark.parametrize("count", [1, 14])
def test_a_short_series_has_no_overview(count: int) -> None:
    hu = np.zeros((count, 20, 20), np.float32)
    empty = np.zeros(hu.shape, bool)
    assert cut_sagittal(Volume(hu, AFFINE), Marks(empty, empty), (), None) is None
