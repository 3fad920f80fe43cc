"""Where the gut runs."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np

from osteoscreen.phantom.anatomy import Mode, Patient, draw_patient
from osteoscreen.phantom.course import PITCH_MM


@functools.cache
def _patient(case: int) -> Patient:
    return draw_patient(21, case, Mode.COHORT)


def test_the_colon_frames_the_abdomen() -> None:
    for case in range(3):
        ascending, transverse, descending = (
            np.array(gut.tube.points_mm) for gut in _patient(case).trunk.abdomen.gut[2:5]
        )
        at_l3 = [part[np.abs(part[:, 2]) < 15, 0].mean() for part in (ascending, descending)]
        # x runs to the left.
        assert at_l3[0] < -40
        assert at_l3[1] > 40
        assert transverse[:, 1].min() < ascending[:, 1].mean()


def test_the_parts_of_the_colon_join() -> None:
    parts = [np.array(gut.tube.points_mm) for gut in _patient(0).trunk.abdomen.gut[2:5]]
    for one, other in pairwise(parts):
        assert np.linalg.norm(one[-1, :3] - other[0, :3]) < 3


def test_loops_of_small_bowel_lie_side_by_side() -> None:
    patient = _patient(1)
    loops = [np.array(gut.tube.points_mm) for gut in patient.trunk.abdomen.gut[5:]]
    assert len(loops) > 1
    for index, one in enumerate(loops):
        for other in loops[index + 1 :]:
            apart = np.linalg.norm(one[:, None, :3] - other[None, :, :3], axis=2)
            # Two knots may lean towards each other, but loops never cross.
            assert apart.min() > 0.1 * PITCH_MM


def test_the_patient_may_drink_contrast_in_the_randomised_mode_only() -> None:
    def drank(mode: Mode) -> list[bool]:
        guts = [draw_patient(21, case, mode).trunk.abdomen.gut for case in range(8)]
        return [any(4 in part.filling for part in gut) for gut in guts]

    assert not any(drank(Mode.COHORT))
    assert any(drank(Mode.RANDOMISED))
