"""Muscles along the spine."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from osteoscreen.phantom.column import Column
from osteoscreen.phantom.muscle import ANATOMY, BEHIND, draw_muscles, muscle_hu
from osteoscreen.phantom.tissue import draw_tissues

STRAIGHT = Column((-200.0, 0.0, 200.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
BENT = Column((-200.0, 0.0, 200.0), (8.0, 8.0, 8.0), (-15.0, -15.0, -15.0))


def test_muscles_follow_the_column() -> None:
    pairs = [
        draw_muscles(np.random.default_rng(1), column, 1.0, 0.1, 1.0) for column in (STRAIGHT, BENT)
    ]
    for still, moved in zip(*pairs):
        for z in (-40.0, 0.0, 40.0):
            one, other = still.solid.at(z), moved.solid.at(z)
            if one is not None and other is not None:
                assert_allclose([other.x_mm - one.x_mm, other.y_mm - one.y_mm], [8, -15], atol=1e-6)


def test_every_muscle_has_two_sides_and_they_mirror() -> None:
    muscles = draw_muscles(np.random.default_rng(1), STRAIGHT, 1.0, 0.1, 1.0)
    for name in ANATOMY:
        right, left = [one.solid.at(-10.0) for one in muscles if one.name == name]
        assert right is not None
        assert left is not None
        # The sides differ by a few millimetres in life.
        assert_allclose(right.x_mm, -left.x_mm, atol=6)
        assert_allclose(right.turn_rad, -left.turn_rad)
        assert left.x_mm > 5


def test_the_muscles_of_the_back_lie_behind_the_psoas() -> None:
    muscles = draw_muscles(np.random.default_rng(2), STRAIGHT, 1.0, 0.1, 1.0)
    at = {one.name: one.solid.at(0.0) for one in muscles}
    psoas = at["psoas"]
    assert psoas is not None
    for name in BEHIND:
        other = at[name]
        assert other is not None
        assert other.y_mm > psoas.y_mm + 20


def test_the_psoas_grows_from_l1_to_l5() -> None:
    muscles = draw_muscles(np.random.default_rng(2), STRAIGHT, 1.0, 0.1, 1.0)
    psoas = next(one for one in muscles if one.name == "psoas")
    sizes = [knot.rx_mm * knot.ry_mm for z in (70, 37, 0, -38, -75) if (knot := psoas.solid.at(z))]
    assert sizes == sorted(sizes)
    assert len(sizes) == 5


def test_fat_in_a_muscle_lowers_its_attenuation_without_black_dots() -> None:
    rng = np.random.default_rng(0)
    tissues = draw_tissues(rng, has_contrast=False)
    grains = (
        rng.standard_normal((80, 80)).astype(np.float32),
        rng.standard_normal((80, 80)).astype(np.float32),
    )
    means = [float(muscle_hu(tissues, share, grains).mean()) for share in (0.0, 0.1, 0.3, 0.6)]
    assert means == sorted(means, reverse=True)
    assert_allclose(means[0], tissues.muscle, atol=1)
    assert (muscle_hu(tissues, 0.1, grains) > tissues.fat + 60).all()
