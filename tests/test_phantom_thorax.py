"""Ribs, lungs and diaphragm."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from osteoscreen.phantom.anatomy import Mode, Patient, draw_patient
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.section import layers
from osteoscreen.phantom.thorax import HEAD_MM, HEAD_SCATTER_MM, RIBS, lung_height


@functools.cache
def _patient(case: int) -> Patient:
    return draw_patient(21, case, Mode.COHORT)


def _lung(patient: Patient, z_mm: float) -> tuple[np.ndarray, Plane]:
    x, y = np.meshgrid(np.arange(-220, 220, 2.0), np.arange(-250, 150, 2.0))
    plane = Plane(
        x.astype(np.float32), y.astype(np.float32), z_mm, np.zeros(x.shape, np.float32), 2.0
    )
    none = np.zeros_like(plane.x)
    near = layers(patient.trunk.outline.section(z_mm), plane, (none, none))
    height = lung_height(patient.trunk.thorax, near, z_mm)
    return (height > 0) & (near.cavity > 0), plane


def test_each_rib_leaves_the_head_beside_its_vertebra() -> None:
    patient = _patient(0)
    ribs = patient.trunk.thorax.ribs
    assert len(ribs) == 2 * len(RIBS)
    for name, pair in zip(RIBS, zip(ribs[::2], ribs[1::2])):
        if f"T{name}" not in {one.level for one in patient.spine.vertebrae}:
            continue
        x, y, z = patient.spine.vertebra(f"T{name}").centre_mm
        for side, rib in zip((-1, 1), pair):
            first = rib.points_mm[0]
            assert_allclose(side * (first[0] - x), HEAD_MM[0][0] * patient.person.scale, atol=0.01)
            assert_allclose(first[1] - y, HEAD_MM[0][1] * patient.person.scale, atol=0.01)
            assert rib.points_mm[-1][2] < z - 30


def test_ribs_of_randomised_patients_leave_from_near_there() -> None:
    """Each pair alike, and on average where those of calibrated patients do."""
    away = []
    for case in range(12):
        patient = draw_patient(21, case, Mode.RANDOMISED)
        scale = patient.person.scale
        ribs = patient.trunk.thorax.ribs
        x, y, _ = patient.spine.vertebra("T10").centre_mm
        right, left = (rib.points_mm[0] for rib in ribs[4:6])
        assert_allclose(x - right[0], left[0] - x, atol=0.01)
        away.append(((left[0] - x) / scale - HEAD_MM[0][0], (left[1] - y) / scale - HEAD_MM[0][1]))
    assert 0.5 * HEAD_SCATTER_MM < np.std(away) < 1.5 * HEAD_SCATTER_MM
    # Four standard errors of the mean of 24.
    assert abs(np.mean(away)) < 4 * HEAD_SCATTER_MM / np.sqrt(24)


@pytest.mark.parametrize("mode", list(Mode))
def test_ribs_stay_under_the_skin(mode: Mode) -> None:
    for case in range(3):
        trunk = draw_patient(21, case, mode).trunk
        for rib in trunk.thorax.ribs:
            for x, y, z, radius in rib.points_mm[::9]:
                point = Plane(
                    np.full((1, 1), x, np.float32),
                    np.full((1, 1), y, np.float32),
                    z,
                    np.zeros((1, 1), np.float32),
                    1.0,
                )
                near = layers(trunk.outline.section(z), point, (point.x, point.x))
                assert near.skin[0, 0] > radius + 1


def test_the_lung_shrinks_towards_the_recess_and_is_gone_at_l3() -> None:
    for case in range(3):
        patient = _patient(case)
        sizes = [_lung(patient, z)[0].sum() for z in (170.0, 140.0, 110.0, 0.0)]
        assert sizes[0] > sizes[1] > sizes[2] >= sizes[3] == 0


def test_the_lung_base_lies_behind() -> None:
    patient = _patient(0)
    lung, plane = _lung(patient, 125.0)
    assert plane.y[lung].mean() > patient.trunk.outline.section(125.0).centre_mm[1]


def test_the_lung_changes_little_from_plane_to_plane() -> None:
    one, other = (_lung(_patient(1), z)[0] for z in (140.0, 140.01))
    assert (one != other).mean() < 1e-3
