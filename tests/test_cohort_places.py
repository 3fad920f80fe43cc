"""Where slices lie: near the middle of their bodies, apart, from the head down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.cohort.places import BODY_MIDDLE, Place, slice_places
from osteoscreen.cohort.plan import CohortPlan, Preset
from osteoscreen.phantom import Mode, draw_patient, draw_scan
from osteoscreen.phantom.anatomy import streams

ONE = CohortPlan(Preset.COHORT, cases=1, seed=5, slices=1)


def _places(plan: CohortPlan, number: int) -> list[Place]:
    is_randomised = plan.preset is Preset.RANDOMISED
    mode = Mode.RANDOMISED if is_randomised else Mode.COHORT
    patient, rngs = draw_patient(plan.seed, number, mode), streams(plan.seed, number)
    scan = draw_scan(rngs["scan"], is_randomised=is_randomised, trunk_half_width_mm=165)
    return slice_places(patient, scan, plan, rngs["slices"])


def test_slices_of_a_cohort_lie_near_the_middle_of_their_bodies() -> None:
    patient = draw_patient(5, 0)
    places = _places(replace(ONE, slices=6), 0)
    assert [place.level for place in places] == ["L1", "L1", "L2", "L2", "L3", "L4"]
    for place in places:
        assert place.level is not None
        vertebra = patient.spine.vertebra(place.level)
        assert abs(place.z_mm - vertebra.centre_mm[2]) <= BODY_MIDDLE * vertebra.height_mm


def test_twelve_slices_are_three_a_level_at_equal_distances() -> None:
    patient = draw_patient(5, 1)
    places = _places(CohortPlan(Preset.PAPER, cases=2, seed=5, slices=12), 1)
    for level in ("L1", "L2", "L3", "L4"):
        heights = [place.z_mm for place in places if place.level == level]
        apart_mm = 2 * BODY_MIDDLE * patient.spine.vertebra(level).height_mm / 3
        assert len(heights) == 3
        assert_allclose(-np.diff(heights), apart_mm, rtol=1e-9)


@pytest.mark.parametrize(
    "plan",
    [
        replace(ONE, slices=6),
        replace(ONE, slices=None, is_series=True),
        CohortPlan(Preset.RANDOMISED, 1, 5, 8),
    ],
)
def test_slices_are_cut_from_the_head_down(plan: CohortPlan) -> None:
    heights = np.array([place.z_mm for place in _places(plan, 0)])
    assert (np.diff(heights) < 0).all()


def test_fewer_slices_than_levels_leave_levels_out() -> None:
    assert [place.level for place in _places(replace(ONE, slices=2), 0)] == ["L1", "L2"]
