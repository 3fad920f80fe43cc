"""Kidneys."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from osteoscreen.phantom.column import Column
from osteoscreen.phantom.kidney import CORTEX_MM, draw_kidneys, kidney_hu
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.tissue import Phase, draw_tissues

STRAIGHT = Column((-200.0, 200.0), (0.0, 0.0), (0.0, 0.0))
BENT = Column((-200.0, 200.0), (5.0, 5.0), (12.0, 12.0))


def _plane(z_mm: float) -> Plane:
    x, y = np.meshgrid(np.arange(-120, 120, dtype=np.float32), np.arange(-90, 90, dtype=np.float32))
    return Plane(x, y, z_mm, np.zeros_like(x), 1.0)


def test_there_is_a_kidney_on_each_side_that_follows_the_column() -> None:
    still, moved = (
        draw_kidneys(np.random.default_rng(1), column, 1.0, 0.4, 40) for column in (STRAIGHT, BENT)
    )
    for side, one, other in zip((-1, 1), still, moved):
        knots = one.body.at(45.0), other.body.at(45.0)
        assert knots[0] is not None
        assert knots[1] is not None
        assert side * knots[0].x_mm > 40
        assert_allclose(knots[1].x_mm - knots[0].x_mm, 5, atol=1e-6)
        assert_allclose(knots[1].y_mm - knots[0].y_mm, 12, atol=1e-6)


def test_the_sinus_opens_towards_the_midline_and_the_front() -> None:
    kidney = draw_kidneys(np.random.default_rng(1), STRAIGHT, 1.0, 0.4, 40)[1]
    middle = (kidney.body.knots[0].z_mm + kidney.body.knots[-1].z_mm) / 2
    plane = _plane(middle)
    whole, (_, body) = kidney.body.cut(plane), kidney.cuts(plane)
    assert whole is not None
    assert body is not None
    hole = (whole[1] > 0) & (body[1] <= 0)
    window = whole[0]
    assert hole.sum() > 50
    assert plane.x[window][hole].mean() < plane.x[window][body[1] > 0].mean()
    assert plane.y[window][hole].mean() < plane.y[window][body[1] > 0].mean()


def test_the_cortex_shows_in_the_arterial_phase() -> None:
    rng = np.random.default_rng(0)
    tissues = next(
        one
        for one in (draw_tissues(rng, has_contrast=True) for _ in range(99))
        if one.phase is Phase.ARTERIAL
    )
    depth = np.array([[1.0, CORTEX_MM + 5]], np.float32)
    none = np.zeros_like(depth)
    cortex, inner = kidney_hu(tissues, depth, (none, none))[0]
    assert_allclose(cortex, tissues.kidney)
    assert inner < cortex - 30


def test_cysts_come_with_age() -> None:
    rng = np.random.default_rng(0)
    young, old = (
        sum(len(one.cysts) for _ in range(20) for one in draw_kidneys(rng, STRAIGHT, 1, 0.4, age))
        for age in (40, 80)
    )
    assert young == 0
    assert old > 5
