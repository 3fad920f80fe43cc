"""Bone of the phantom: WHO classes, and the chain from T-score to Hounsfield units."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from osteoscreen.errors import SettingsError
from osteoscreen.findings import CONDITIONS, condition_of_t_score
from osteoscreen.phantom.bone import (
    AGE_OF_CLASS,
    CONTRAST_SHIFT_HU,
    FEMALE_SHARE_OF_CLASS,
    HU_GAIN_OF_KVP,
    HU_OFFSET,
    HU_PER_MARROW_FAT,
    HU_PER_VBMD,
    HU_RESIDUAL,
    MARROW_FAT_AT_MIDDLE,
    T_SCORE_OF_CLASS,
    VBMD_PER_YEAR,
    Bone,
    bone_gain,
    draw_bone,
    draw_sex_and_age,
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
        draw_bone(rng, case % 3, draw_sex_and_age(rng, case % 3)[1]) for case in range(DRAWS)
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
    assert 0.1 <= bone.marrow_fat <= 0.95
    assert bone.cortex_mm > 0
    assert bone.coarseness > 0
    assert bone.trabecular_sd_hu > 0
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


def test_a_typical_bone_has_plausible_cortex_and_grain() -> None:
    # Three of a thousand lie outside, spreads of 0.14 to 0.22 in the logarithm.
    for name, low, high in (
        ("cortex_mm", 0.4, 2.6),
        ("cortex_hu", 400, 1400),
        ("coarseness", 0.4, 2.2),
        ("trabecular_sd_hu", 18, 75),
    ):
        column = _column(name)
        assert np.mean((column > low) & (column < high)) > 0.995, name


@pytest.mark.parametrize(
    ("condition_index", "vbmd", "hu"), [(0, 149, 187), (1, 104, 132), (2, 69, 89)]
)
def test_mean_density_and_attenuation_of_a_class_are_the_documented_ones(
    condition_index: int, vbmd: float, hu: float
) -> None:
    # Standard error of 1000 draws: about 0.8 mg/cm3 and 1 HU.
    assert_allclose(_column("vbmd_mg_cm3", condition_index).mean(), vbmd, atol=3)
    assert_allclose(_column("trabecular_hu", condition_index).mean(), hu, atol=4)


@pytest.mark.parametrize("condition_index", [0, 1, 2])
def test_sex_and_age_follow_the_class(condition_index: int) -> None:
    rng = np.random.default_rng(1)
    people = [draw_sex_and_age(rng, condition_index) for _ in range(3000)]
    ages = np.array([age for _, age in people])
    assert_allclose(
        np.mean([sex == "F" for sex, _ in people]),
        FEMALE_SHARE_OF_CLASS[condition_index],
        atol=0.04,
    )
    # Whole years are cut, not rounded: half a year below.
    assert_allclose(ages.mean(), AGE_OF_CLASS[condition_index] - 0.5, atol=0.8)
    assert 22 <= ages.min() <= ages.max() <= 92


def test_the_density_limits_of_the_acr_lie_between_the_class_means() -> None:
    normal, low, osteoporosis = (_column("vbmd_mg_cm3", index).mean() for index in range(3))
    assert osteoporosis < 80 < low < 120 < normal


def test_attenuation_agrees_with_the_t_score_but_not_perfectly() -> None:
    # The whole population has 0.878 and 0.872, with a standard error of 0.004 in this cohort.
    r_vbmd = np.corrcoef(_column("t_score"), _column("vbmd_mg_cm3"))[0, 1]
    r_hu = np.corrcoef(_column("t_score"), _column("trabecular_hu"))[0, 1]
    assert 0.86 < r_vbmd < 0.895
    assert 0.85 < r_hu < 0.89


def test_attenuation_is_linear_in_density_and_marrow_fat() -> None:
    vbmd, fat, hu = _column("vbmd_mg_cm3"), _column("marrow_fat"), _column("trabecular_hu")
    design = np.column_stack([np.ones(DRAWS), vbmd, fat - MARROW_FAT_AT_MIDDLE])
    (offset, slope, per_fat), *_ = np.linalg.lstsq(design, hu)
    # Standard errors: residual 5 HU over 3000 draws of spread 40 mg/cm3 and 0.1.
    assert_allclose(slope, HU_PER_VBMD, atol=0.01)
    assert_allclose(offset, HU_OFFSET, atol=1.5)
    assert_allclose(per_fat, HU_PER_MARROW_FAT, atol=4)
    left = hu - design @ [offset, slope, per_fat]
    assert_allclose(left.std(), HU_RESIDUAL, rtol=0.06)


@settings(deadline=None)
@given(seed=seeds, years=st.floats(0, 30))
def test_ageing_lowers_density_at_an_unchanged_t_score(seed: int, years: float) -> None:
    young = draw_bone(np.random.default_rng(seed), 0, 40)
    old = draw_bone(np.random.default_rng(seed), 0, 40 + years)
    assert old.t_score == young.t_score
    assert_allclose(old.vbmd_mg_cm3 - young.vbmd_mg_cm3, VBMD_PER_YEAR * years, atol=1e-9)


def test_loss_thins_the_cortex_and_coarsens_and_fattens_the_rest() -> None:
    t_score = _column("t_score")
    for name, sign in (
        ("cortex_mm", 1),
        ("cortex_hu", 1),
        ("coarseness", -1),
        ("marrow_fat", -1),
        ("trabecular_sd_hu", -1),
    ):
        means = [_column(name, index).mean() for index in range(3)]
        assert sign * np.corrcoef(t_score, _column(name))[0, 1] > 0.2, name
        assert means == sorted(means, reverse=sign > 0), name


def test_marrow_fat_of_the_classes_agrees_with_spectroscopy() -> None:
    # 56, 64 and 66 % at 70 years (Yeung 2005); ours are ten years younger, 0.3 % a year.
    for index, published in enumerate((0.563, 0.635, 0.655)):
        assert_allclose(_column("marrow_fat", index).mean(), published, atol=0.04)


def test_bone_attenuates_more_at_a_lower_tube_voltage() -> None:
    gains = [bone_gain(kvp) for kvp in range(80, 141, 5)]
    assert gains == sorted(gains, reverse=True)
    assert bone_gain(120) == HU_GAIN_OF_KVP[120] == 1
    assert_allclose(bone_gain(110), 1.04)


@pytest.mark.parametrize("kvp", [79, 141])
def test_no_gain_is_made_up_outside_the_known_voltages(kvp: float) -> None:
    with pytest.raises(SettingsError, match="80 to 140 kVp"):
        bone_gain(kvp)


def test_contrast_only_adds_to_the_attenuation() -> None:
    assert CONTRAST_SHIFT_HU["none"] == 0
    assert 0 < CONTRAST_SHIFT_HU["arterial"] < CONTRAST_SHIFT_HU["portal_venous"]
