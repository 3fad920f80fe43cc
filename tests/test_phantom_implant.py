"""Implants: where screws and cement lie."""

from __future__ import annotations

import functools

import numpy as np
from numpy.testing import assert_allclose

from osteoscreen.phantom.bone import draw_bone
from osteoscreen.phantom.field import Array
from osteoscreen.phantom.implant import (
    CEMENT_HU,
    CEMENTED_SHARE,
    SCREWED_SHARE,
    TITANIUM_HU,
    Implant,
    draw_cement,
    draw_implants,
    draw_screws,
)
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.spine import Spine, SpineShape, draw_spine


@functools.cache
def _spine() -> Spine:
    bone = draw_bone(np.random.default_rng(1), 1, 60)
    shape = SpineShape(scale=1.0, lordosis=1.0, scoliosis_deg=3.0, wear=0.2)
    return draw_spine(np.random.default_rng(0), bone, shape)


def _at(implant: Implant, local: tuple[float, float, float]) -> float:
    """Depth below the surface of an implant at one place of its vertebra."""
    place = np.array(local) @ implant.frame.axes + np.array(implant.frame.centre_mm)
    x, y = (np.full((1, 1), value, np.float32) for value in place[:2])
    depth = implant.depth(Plane(x, y, float(place[2]), np.zeros((1, 1), np.float32), 1.0))
    return -50.0 if depth is None else float(depth[0, 0])


def test_each_fused_vertebra_has_a_screw_through_either_pedicle() -> None:
    fused = _spine().vertebrae[4:7]
    implants = draw_screws(np.random.default_rng(0), fused)
    assert [one.level for one in implants] == [one.level for one in fused]
    for implant, vertebra in zip(implants, fused):
        assert implant.hu == TITANIUM_HU
        half, back = vertebra.width_mm / 2, vertebra.depth_mm / 2
        for side in (-1, 1):
            # The shaft runs from behind the joint to the front half of the body.
            assert _at(implant, (side * 0.22 * half, -0.5 * back, 0.12 * vertebra.height_mm)) > 0
            head = side * (0.62 * half + 7)
            assert _at(implant, (head, back + 24, 0.18 * vertebra.height_mm)) > 0
        assert _at(implant, (0.0, -0.5 * back, 0.0)) < 0
        assert _at(implant, (0.0, back + 8.5, 0.0)) < 0


def test_the_rods_of_neighbours_meet() -> None:
    upper, lower = draw_screws(np.random.default_rng(0), _spine().vertebrae[4:6])
    for rod in (2, 5):
        ends = [
            np.array(place) @ implant.frame.axes + np.array(implant.frame.centre_mm)
            for implant, place in (
                (upper, upper.parts[rod].start),
                (lower, lower.parts[rod].end),
            )
        ]
        # The upper one ends below where the lower one begins.
        assert ends[0][2] < ends[1][2]


def test_cement_lies_in_its_body() -> None:
    vertebra = _spine().vertebra("L2")
    for seed in range(20):
        implant = draw_cement(np.random.default_rng(seed), vertebra)
        assert implant.level == "L2"
        assert CEMENT_HU[0] <= implant.hu <= CEMENT_HU[1]
        assert 2 <= len(implant.parts) <= 5
        for part in implant.parts:
            share = np.abs(part.start) / (
                np.array([vertebra.width_mm, vertebra.depth_mm, vertebra.height_mm]) / 2
            )
            assert (share < 0.75).all()
            assert _at(implant, part.start) > 0


def test_a_few_patients_have_implants_of_one_kind() -> None:
    drawn = [draw_implants(np.random.default_rng(i), _spine().vertebrae) for i in range(2000)]
    kinds = [{one.kind for one in implants} for implants in drawn]
    assert all(len(kind) <= 1 for kind in kinds)
    # Three standard errors.
    assert_allclose(kinds.count({"screws"}) / 2000, SCREWED_SHARE, atol=0.015)
    assert_allclose(kinds.count({"cement"}) / 2000, CEMENTED_SHARE, atol=0.013)
    levels = [one.level for one in _spine().vertebrae]
    for implants in drawn:
        held = [levels.index(one.level) for one in implants]
        assert held == list(range(held[0], held[0] + len(held))) if held else not implants
        if implants and implants[0].kind == "screws":
            assert 2 <= len(implants) <= 3
            assert all(one.level.startswith("L") for one in implants)


def test_an_implant_far_from_the_plane_is_none() -> None:
    implant = draw_cement(np.random.default_rng(0), _spine().vertebra("L2"))
    x: Array = np.zeros((2, 2), np.float32)
    assert implant.depth(Plane(x, x, 300.0, x, 1.0)) is None


def test_the_same_numbers_give_the_same_implants() -> None:
    one, other = (draw_screws(np.random.default_rng(3), _spine().vertebrae[3:5]) for _ in "ab")
    assert [implant.parts for implant in one] == [implant.parts for implant in other]
    assert_allclose(one[0].hu, other[0].hu)
