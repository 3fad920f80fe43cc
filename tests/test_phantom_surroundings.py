"""Table, arms, cloth and cables."""

from __future__ import annotations

import functools

import numpy as np
from numpy.testing import assert_allclose

from osteoscreen.phantom.anatomy import Mode, draw_patient
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.surroundings import (
    TABLE_CORE_HU,
    TABLE_SHELL_HU,
    Surroundings,
    Table,
    draw_surroundings,
    paint_arm,
    paint_table,
)
from osteoscreen.phantom.tissue import AIR_HU

TABLE = Table(100.0, 200.0, 600.0, 30.0, 4.0, 8.0)


def _plane(shift: float = 0.0) -> Plane:
    x, y = np.meshgrid(
        np.arange(-330, 330, dtype=np.float32), np.arange(-200, 200, dtype=np.float32)
    )
    return Plane(
        x + np.float32(shift), y + np.float32(shift), 0.0, np.zeros_like(x), 1.0, (x[:1], y[:, :1])
    )


@functools.cache
def _drawn() -> tuple[Surroundings, ...]:
    outline = draw_patient(21, 0, Mode.COHORT).trunk.outline
    rng = np.random.default_rng(1)
    return tuple(draw_surroundings(rng, outline, 1.0, is_randomised=True) for _ in range(30))


def test_the_table_is_not_warped() -> None:
    images = []
    for shift in (0.0, 7.0):
        hu = np.full((400, 660), AIR_HU, np.float32)
        paint_table(TABLE, _plane(shift), hu)
        images.append(hu)
    assert_allclose(images[0], images[1])


def test_the_table_is_foam_between_two_shells() -> None:
    hu = np.full((400, 660), AIR_HU, np.float32)
    plane = _plane()
    paint_table(TABLE, plane, hu)
    line, y = hu[:, 330], plane.y[:, 0]
    shells = y[line > 0.9 * TABLE_SHELL_HU]
    assert_allclose([shells.min(), shells.max()], [101, 129], atol=1.5)
    assert_allclose(line[(y > 107) & (y < 123)], TABLE_CORE_HU, atol=1)
    # It bends up towards its sides.
    side = hu[:, 330 + 150]
    assert y[side > -500].min() < shells.min() - 10


def test_the_table_lies_behind_the_skin() -> None:
    patients = [draw_patient(21, case, Mode.COHORT).trunk for case in range(4)]
    for trunk in patients:
        table = trunk.surroundings.table
        if table is not None:
            assert table.top_mm > trunk.outline.section(0.0).skin_box()[3]


def test_some_patients_have_arms_electrodes_and_cloth() -> None:
    for has in (
        [bool(one.arms) for one in _drawn()],
        [bool(one.cables) for one in _drawn()],
        [bool(one.cloth_mm) for one in _drawn()],
    ):
        assert 0 < sum(has) < len(has)


def test_an_arm_lies_beside_the_trunk_and_holds_bone() -> None:
    patient = draw_patient(21, 0, Mode.COHORT)
    arms = next(one.arms for one in _drawn() if one.arms)
    edge = patient.trunk.outline.section(0.0).skin_box()
    for side, arm in zip((-1, 1), arms):
        plane = _plane()
        hu = np.full(plane.x.shape, AIR_HU, np.float32)
        paint_arm(arm, patient.tissues, patient.surface, plane, hu)
        flesh = hu > -500
        assert flesh.sum() > 1000
        assert (side * plane.x[flesh] > side * (edge[1] if side > 0 else edge[0])).all()
        assert (hu == np.float32(patient.surface.cortex_hu)).any()
