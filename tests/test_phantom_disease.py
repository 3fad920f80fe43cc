"""Disease of randomised patients: how much of it, where, and that the healthy have none."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from osteoscreen.phantom import Mode, draw_patient
from osteoscreen.phantom.bone import draw_bone
from osteoscreen.phantom.disease import (
    DISEASED_SHARE,
    GAS_SHARE,
    LEANING_SHARE,
    LESION_SHARE,
    LIME_SHARE,
    NODE_SHARE,
    with_disease,
)
from osteoscreen.phantom.spine import Spine, SpineShape, draw_spine


@functools.cache
def _spine() -> Spine:
    bone = draw_bone(np.random.default_rng(1), 0, 50)
    return draw_spine(np.random.default_rng(0), bone, SpineShape(1.0, 1.0, 3.0, wear=0.2))


@functools.cache
def _drawn() -> list[Spine]:
    return [with_disease(np.random.default_rng(seed), _spine()) for seed in range(400)]


def _diseased() -> list[Spine]:
    return [one for one in _drawn() if one.discs]


def test_some_have_disease_and_the_others_keep_their_spine() -> None:
    share = len(_diseased()) / len(_drawn())
    # Four standard errors of a share of a half in 400.
    assert abs(share - DISEASED_SHARE) < 4 * 0.025
    assert all(one is _spine() for one in _drawn() if not one.discs)


def test_a_calibrated_patient_has_none() -> None:
    for case in range(6):
        spine = draw_patient(7, case, Mode.COHORT).spine
        assert spine.discs == ()
        for one in spine.vertebrae:
            assert not any((one.lesions, one.upper.nodes, one.lower.nodes))
            assert one.upper.lean == one.lower.lean == (0.0, 0.0)


def test_some_randomised_patients_have_it() -> None:
    diseased = [bool(draw_patient(7, case, Mode.RANDOMISED).spine.discs) for case in range(12)]
    assert True in diseased
    assert False in diseased


def test_every_pair_of_bodies_has_a_disc_of_its_own() -> None:
    for spine in _diseased():
        assert len(spine.discs) == len(spine.bodies) - 1


def test_shares_are_as_set() -> None:
    plates = [
        plate for one in _diseased() for body in one.vertebrae for plate in (body.upper, body.lower)
    ]
    bodies = [body for one in _diseased() for body in one.vertebrae]
    discs = [disc for one in _diseased() for disc in one.discs]
    found = {
        LEANING_SHARE: np.mean([plate.lean != (0.0, 0.0) for plate in plates]),
        NODE_SHARE: np.mean([bool(plate.nodes) for plate in plates]),
        LESION_SHARE: np.mean([bool(body.lesions) for body in bodies]),
        GAS_SHARE: np.mean([bool(disc.gas) for disc in discs]),
        LIME_SHARE: np.mean([bool(disc.lime) for disc in discs]),
    }
    for wanted, share in found.items():
        # 1,500 bodies and more: four standard errors.
        assert abs(share - wanted) < 4 * 0.5 / np.sqrt(1500)


def test_what_is_drawn_lies_in_its_body() -> None:
    for spine in _diseased():
        for body in spine.vertebrae:
            for node in (*body.upper.nodes, *body.lower.nodes):
                assert np.hypot(2 * node.u_mm / body.width_mm, 2 * node.v_mm / body.depth_mm) < 0.6
                assert 0 < node.depth_mm < body.height_mm / 3
            for lesion in body.lesions:
                half = np.array([body.width_mm, body.depth_mm, body.height_mm]) / 2
                assert (np.abs(lesion.centre_mm) < half).all()
                assert lesion.radius_mm > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_bodies_keep_all_but_what_disease_changes(seed: int) -> None:
    spine = with_disease(np.random.default_rng(seed), _spine())
    for before, after in zip(_spine().vertebrae, spine.vertebrae):
        kept = dataclasses.replace(after, upper=before.upper, lower=before.lower, lesions=())
        for one in dataclasses.fields(before):
            assert getattr(kept, one.name) is getattr(before, one.name) or (
                getattr(kept, one.name) == getattr(before, one.name)
            )
    assert spine.sacrum is _spine().sacrum
