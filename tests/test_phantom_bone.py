"""Bone of the phantom: WHO classes, and the chain from T-score to Hounsfield units."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from osteoscreen.findings import CONDITIONS, condition_of_t_score
from osteoscreen.phantom.bone import (
    AGE_OF_CLASS,
    HU_GAIN_OF_KVP,
    HU_OFFSET,
    HU_PER_VBMD,
    HU_RESIDUAL,
    T_SCORE_OF_CLASS,
    VBMD_PER_YEAR,
    Bone,
    draw_bone,
    draw_t_score,
)

DRAWS = 3000
classes = st.integers(0, 2)
seeds = st.integers(0, 2**32)


def _index(t_score: float) -> int:
    return CONDITIONS.index(condition_of_t_score(t_score))


@functools.cache
def _cohort() -> tuple[Bone, ...]:
    """A balanced cohort with the ages of the classes."""
    rng = np.random.default_rng(0)
    return tuple(
        draw_bone(rng, case % 3, float(rng.normal(AGE_OF_CLASS[case % 3], 9)))
        for case in range(DRAWS)
    )


def _column(name: str, condition_index: int | None = None) -> np.ndarray:
    return np.array(
        [
            getattr(bone, name)
            for bone in _cohort()
            if condition_index is None or bone.condition_index == condition_index
        ]
    )


@pytest.mark.parametrize(
    ("t_score", "condition_index"),
    [(1.0, 0), (-1.0, 0), (-1.0001, 1), (-2.4999, 1), (-2.5, 2), (-4.0, 2)],
)
def test_the_who_limits_belong_to_normal_and_to_osteoporosis(
    t_score: float, condition_index: int
) -> None:
    assert _index(t_score) == condition_index


@settings(deadline=None)
@given(seed=seeds, condition_index=classes)
def test_a_drawn_t_score_lies_in_its_class(seed: int, condition_index: int) -> None:
    t_score = draw_t_score(np.random.default_rng(seed), condition_index)
    assert _index(t_score) == condition_index
    assert -6 <= t_score <= 4


@settings(deadline=None)
@given(seed=seeds, condition_index=classes, age=st.integers(22, 92))
def test_a_bone_is_physical_at_every_age(seed: int, condition_index: int, age: int) -> None:
    bone = draw_bone(np.random.default_rng(seed), condition_index, age)
    assert bone.condition_index == _index(bone.t_score) == condition_index
    assert 5 <= bone.vbmd_mg_cm3 < 350
    assert 0.35 <= bone.cortex_mm <= 2.2
    assert 400 <= bone.cortex_hu <= 1200
    assert bone.trabecular_hu < bone.cortex_hu
    assert all(np.isfinite(value) for value in dataclasses.astuple(bone))


@pytest.mark.parametrize("condition_index", [0, 1, 2])
def test_t_scores_follow_the_truncated_normal(condition_index: int) -> None:
    rng = np.random.default_rng(4)
    drawn = np.array([draw_t_score(rng, condition_index) for _ in range(1000)])
    # Second way to truncate: throw away what lies outside.
    free = rng.normal(*T_SCORE_OF_CLASS[condition_index], 60_000)
    kept = free[[_index(value) == condition_index for value in free]]
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    # Standard error of an outer quantile of 1000 draws: about 0.05.
    assert_allclose(np.quantile(drawn, quantiles), np.quantile(kept, quantiles), atol=0.15)


@pytest.mark.parametrize(
    ("condition_index", "low", "high"), [(0, 150, 165), (1, 98, 110), (2, 55, 68)]
)
def test_mean_density_of_a_class_lies_in_its_band(
    condition_index: int, low: float, high: float
) -> None:
    assert low < _column("vbmd_mg_cm3", condition_index).mean() < high


def test_the_density_limits_of_the_acr_lie_between_the_class_means() -> None:
    normal, low, osteoporosis = (_column("vbmd_mg_cm3", index).mean() for index in range(3))
    assert osteoporosis < 80 < low < 120 < normal


def test_attenuation_agrees_with_the_t_score_but_not_perfectly() -> None:
    r = np.corrcoef(_column("t_score"), _column("trabecular_hu"))[0, 1]
    # The correlation of the whole population is 0.898; its standard error here is 0.004.
    assert 0.7 < r < 0.905


def test_two_limits_on_the_attenuation_do_not_tell_the_classes_apart() -> None:
    hu, truth = _column("trabecular_hu"), _column("condition_index")
    best = max(
        float(np.mean(np.where(hu > high, 0, np.where(hu > low, 1, 2)) == truth))
        for high in range(140, 185, 5)
        for low in range(85, 130, 5)
    )
    assert 0.65 < best < 0.85


def test_attenuation_is_linear_in_density() -> None:
    vbmd, hu = _column("vbmd_mg_cm3"), _column("trabecular_hu")
    slope, offset = np.polyfit(vbmd, hu, 1)
    # Standard errors: residual 8 HU over 3000 draws of spread 45 mg/cm3.
    assert_allclose(slope, HU_PER_VBMD, atol=0.02)
    assert_allclose(offset, HU_OFFSET, atol=2)
    assert_allclose((hu - slope * vbmd - offset).std(), HU_RESIDUAL, rtol=0.06)


@settings(deadline=None)
@given(seed=seeds, years=st.floats(0, 30))
def test_ageing_lowers_density_at_an_unchanged_t_score(seed: int, years: float) -> None:
    young = draw_bone(np.random.default_rng(seed), 0, 40)
    old = draw_bone(np.random.default_rng(seed), 0, 40 + years)
    assert old.t_score == young.t_score
    assert_allclose(old.vbmd_mg_cm3 - young.vbmd_mg_cm3, VBMD_PER_YEAR * years, atol=1e-9)


def test_loss_thins_the_cortex_and_coarsens_the_grain() -> None:
    t_score = _column("t_score")
    assert np.corrcoef(t_score, _column("cortex_mm"))[0, 1] > 0.4
    assert np.corrcoef(t_score, _column("cortex_hu"))[0, 1] > 0.4
    assert np.corrcoef(t_score, _column("coarseness"))[0, 1] < -0.4


def test_bone_attenuates_more_at_a_lower_tube_voltage() -> None:
    gains = [HU_GAIN_OF_KVP[kvp] for kvp in sorted(HU_GAIN_OF_KVP)]
    assert gains == sorted(gains, reverse=True)
    assert HU_GAIN_OF_KVP[120] == 1
