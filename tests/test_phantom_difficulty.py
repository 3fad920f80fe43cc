"""Difficulty of the phantom: the exact posterior, against closed forms and against the targets."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, stats

from osteoscreen.phantom import bone, difficulty
from osteoscreen.phantom.difficulty import (
    Trait,
    VirtualCohort,
    class_posterior,
    draw_virtual_cohort,
    fit_thresholds,
    reweighted_correlation,
    score,
    t_score_rule,
    threshold_accuracy,
)

PATIENTS = 12_000
MEASUREMENT_HU = 5.0


@functools.cache
def _cohort() -> VirtualCohort:
    return draw_virtual_cohort(np.random.default_rng(5), PATIENTS)


def _measured() -> VirtualCohort:
    traits = _cohort().traits.copy()
    traits[:, Trait.HU] += MEASUREMENT_HU * np.random.default_rng(6).standard_normal(PATIENTS)
    return replace(_cohort(), traits=traits)


def _one(hu: float, age: int = 60) -> VirtualCohort:
    """One patient with average cortex and grain."""
    traits = np.array([[hu, 0.0, 6.63, 0.0, 3.64]])
    return VirtualCohort(
        condition_index=np.array([1]),
        age=np.array([age]),
        is_female=np.array([True]),
        t_score=np.array([-1.75]),
        vbmd_mg_cm3=np.array([100.0]),
        traits=traits,
    )


@pytest.mark.parametrize("with_person", [False, True])
def test_the_posterior_is_a_probability(with_person: bool) -> None:
    chances = class_posterior(_cohort(), with_person=with_person)
    assert chances.shape == (PATIENTS, 3)
    assert (chances >= 0).all()
    assert_allclose(chances.sum(axis=1), 1)


@pytest.mark.parametrize("condition_index", [0, 1, 2])
def test_the_rule_over_t_scores_integrates_the_truncated_normal(condition_index: int) -> None:
    nodes, log_weight = t_score_rule(condition_index)
    mean, spread = bone.T_SCORE_OF_CLASS[condition_index]
    low, high = bone.t_score_limits(condition_index)
    law = stats.truncnorm((low - mean) / spread, (high - mean) / spread, loc=mean, scale=spread)
    assert_allclose(np.exp(log_weight).sum(), 1)
    assert_allclose(np.exp(log_weight) @ nodes, law.mean(), atol=1e-6)
    assert_allclose(np.exp(log_weight) @ nodes**2, law.moment(2), atol=1e-5)


def _person(cohort: VirtualCohort) -> np.ndarray:
    """P(age, woman | class) of one patient inside the range of ages."""
    age = cohort.age[0]
    ages = [stats.norm.cdf([age, age + 1], mean, bone.AGE_SPREAD) for mean in bone.AGE_OF_CLASS]
    return np.asarray(np.diff(ages)[:, 0] * bone.FEMALE_SHARE_OF_CLASS)


def _closed_form(hu: float, ages: tuple[float, ...], age_spread: float) -> np.ndarray:
    """P(attenuation | class), up to a factor: a truncated normal seen through normal noise."""
    slope = bone.HU_PER_VBMD * bone.VBMD_PER_T + bone.HU_PER_MARROW_FAT * bone.MARROW_FAT_PER_T
    yearly = bone.HU_PER_VBMD * bone.VBMD_PER_YEAR
    yearly += bone.HU_PER_MARROW_FAT * bone.MARROW_FAT_PER_YEAR
    errors = (
        slope * bone.STATUS_ERROR,
        bone.HU_PER_VBMD * bone.VBMD_RESIDUAL,
        bone.HU_PER_MARROW_FAT * bone.MARROW_FAT_RESIDUAL,
        bone.HU_RESIDUAL,
        difficulty.LEVEL_SPREAD_HU,
        yearly * age_spread,
    )
    noise = np.linalg.norm(errors) / slope
    middle = bone.HU_OFFSET + bone.HU_PER_VBMD * bone.VBMD_AT_MIDDLE
    likelihood = []
    for index, (mean, spread) in enumerate(bone.T_SCORE_OF_CLASS):
        limits = bone.t_score_limits(index)
        seen = bone.MIDDLE_T + (hu - middle - yearly * (ages[index] - 60)) / slope
        whole = np.hypot(spread, noise)
        centre = (mean * noise**2 + seen * spread**2) / whole**2
        part = np.diff(stats.norm.cdf(limits, centre, spread * noise / whole))[0]
        prior = np.diff(stats.norm.cdf(limits, mean, spread))[0]
        likelihood.append(stats.norm.pdf(seen, mean, whole) * part / prior)
    return np.array(likelihood)


@pytest.mark.parametrize("hu", [60.0, 110.0, 160.0, 220.0])
@pytest.mark.parametrize("age", [40, 70])
def test_the_posterior_from_attenuation_age_and_sex_has_its_closed_form(
    hu: float, age: int
) -> None:
    patient = _one(hu, age)
    expected = _closed_form(hu, (age,) * 3, 0) * _person(patient)
    assert_allclose(class_posterior(patient, (Trait.HU,))[0], expected / expected.sum(), atol=1e-8)


@pytest.mark.parametrize("hu", [60.0, 110.0, 160.0, 220.0])
def test_the_posterior_from_attenuation_alone_has_its_closed_form(hu: float) -> None:
    # Whole years: half a year younger, and a spread of a twelfth of a square year more.
    ages = tuple(mean - 0.5 for mean in bone.AGE_OF_CLASS)
    expected = _closed_form(hu, ages, np.sqrt(bone.AGE_SPREAD**2 + 1 / 12))
    assert_allclose(
        class_posterior(_one(hu), (Trait.HU,), with_person=False)[0],
        expected / expected.sum(),
        atol=1e-8,
    )


def test_the_posterior_from_all_traits_agrees_with_a_second_integration() -> None:
    """Sample the model's own law of the traits instead of writing it down."""
    rng = np.random.default_rng(8)
    draws = 40_000
    t_scores = rng.uniform(-5, 3, draws)
    own = {name: rng.standard_normal(draws) for name in "svfhlmxgt"}
    above = t_scores - bone.MIDDLE_T + bone.STATUS_ERROR * own["s"]
    vbmd = bone.VBMD_AT_MIDDLE + bone.VBMD_PER_T * above + bone.VBMD_RESIDUAL * own["v"]
    fat = bone.MARROW_FAT_PER_T * above + bone.MARROW_FAT_RESIDUAL * own["f"]
    hu = bone.HU_OFFSET + bone.HU_PER_VBMD * vbmd + bone.HU_PER_MARROW_FAT * fat
    hu += bone.HU_RESIDUAL * own["h"] + difficulty.LEVEL_SPREAD_HU * own["l"]
    laws = (bone.LOG_CORTEX_MM, bone.LOG_CORTEX_HU, bone.LOG_COARSENESS)
    logs = [law[0] + law[1] * above + law[2] * own[name] for law, name in zip(laws, "mxg")]
    middle, slope, residual = bone.LOG_TRABECULAR_SD
    traits = np.column_stack([hu, *logs, middle + slope * logs[2] + residual * own["t"]])
    design = np.column_stack([np.ones(draws), t_scores - bone.MIDDLE_T])
    law, *_ = np.linalg.lstsq(design, traits)
    precision = np.linalg.inv(np.cov((traits - design @ law).T))
    patient = _one(120.0)

    def density(t_score: float, index: int) -> float:
        left = patient.traits[0] - law[0] - law[1] * (t_score - bone.MIDDLE_T)
        mean, spread = bone.T_SCORE_OF_CLASS[index]
        return float(np.exp(-0.5 * left @ precision @ left) * stats.norm.pdf(t_score, mean, spread))

    likelihood = []
    for index, (mean, spread) in enumerate(bone.T_SCORE_OF_CLASS):
        limits = bone.t_score_limits(index)
        whole = np.diff(stats.norm.cdf(limits, mean, spread))[0]
        likelihood.append(integrate.quad(density, *limits, args=(index,))[0] / whole)
    expected = np.array(likelihood) / np.sum(likelihood)
    # Forty thousand draws give slopes to half a percent.
    found = class_posterior(patient)[0] / _person(patient)
    assert_allclose(found / found.sum(), expected, atol=0.02)


def test_a_denser_bone_is_more_probably_normal() -> None:
    chances = [class_posterior(_one(float(hu)))[0] for hu in range(20, 301, 10)]
    assert (np.diff([one[0] for one in chances]) > 0).all()
    assert (np.diff([one[2] for one in chances]) < 0).all()


@pytest.mark.parametrize("age", [22, 92])
def test_the_ends_of_the_age_range_hold_all_who_were_cut_there(age: int) -> None:
    assert np.isfinite(class_posterior(_one(120.0, age=age))).all()


@pytest.mark.parametrize("with_person", [False, True])
def test_stated_chances_come_true(with_person: bool) -> None:
    chances = class_posterior(_cohort(), with_person=with_person).ravel()
    came_true = (_cohort().condition_index[:, None] == np.arange(3)).ravel()
    for low in np.arange(0, 1, 0.1):
        chosen = (chances >= low) & (chances < low + 0.1)
        error = 4 * np.sqrt(0.25 / chosen.sum())
        assert abs(came_true[chosen].mean() - chances[chosen].mean()) < error


def test_no_baseline_beats_the_best_possible() -> None:
    truth, measured = _cohort().condition_index, _measured()
    best = score(truth, class_posterior(_cohort()))
    hu = measured.traits[:, Trait.HU]
    limits = fit_thresholds(hu, truth)
    with_hu = score(
        truth, class_posterior(measured, (Trait.HU,), with_person=False, hu_error=MEASUREMENT_HU)
    )
    for accuracy in (
        threshold_accuracy(hu, truth, limits),
        threshold_accuracy(hu, truth, (110, 160)),
        threshold_accuracy(_cohort().vbmd_mg_cm3, truth, (80, 120)),
        with_hu.accuracy,
    ):
        assert accuracy < best.accuracy - 0.02
    # Limits fitted on the very patients gain by chance, of the order of the standard error.
    assert threshold_accuracy(hu, truth, limits) < with_hu.accuracy + 2 * with_hu.accuracy_se
    assert with_hu.macro_auc < best.macro_auc - 0.01


def test_the_difficulty_lies_where_the_documents_say() -> None:
    # Standard errors of 12,000 patients: 0.004 and 0.002; the aims are 0.01 wide.
    truth = _cohort().condition_index
    best = score(truth, class_posterior(_cohort()))
    assert 0.775 < best.accuracy < 0.81
    assert 0.922 < best.macro_auc < 0.937
    hu = _measured().traits[:, Trait.HU]
    even = np.arange(PATIENTS) % 2 == 0
    limits = fit_thresholds(hu[even], truth[even])
    assert_allclose(threshold_accuracy(hu[~even], truth[~even], limits), 0.75, atol=0.02)


def test_the_correlation_with_density_is_the_published_one_where_t_scores_spread_less() -> None:
    balanced = np.corrcoef(_cohort().t_score, _cohort().vbmd_mg_cm3)[0, 1]
    wide, narrow, young = (
        reweighted_correlation(_cohort(), mean, spread)
        for mean, spread in ((-0.7, 1.5), (-1.0, 1.25), (-1.0, 1.0))
    )
    assert 0.86 < balanced < 0.89
    assert 0.80 < wide < 0.85
    assert 0.74 < narrow < 0.81
    assert 0.66 < young < 0.74


def test_thresholds_agree_with_trying_all_of_them() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 60)
    hu = 150 - 30 * truth + rng.normal(0, 25, 60)
    edges = np.concatenate([[-np.inf], np.sort(hu) + 1e-9])
    best = max(
        threshold_accuracy(hu, truth, (low, high)) for low in edges for high in edges if low <= high
    )
    assert_allclose(threshold_accuracy(hu, truth, fit_thresholds(hu, truth)), best)


def test_a_score_by_hand() -> None:
    truth = np.tile([0, 1, 2], 20)
    sure = np.eye(3)[truth]
    perfect = score(truth, sure)
    assert perfect.accuracy == perfect.macro_auc == 1
    assert perfect.accuracy_se == perfect.macro_auc_se == 0
    blind = score(truth, np.full((60, 3), 1 / 3))
    assert_allclose([blind.accuracy, *blind.class_auc], [1 / 3, 0.5, 0.5, 0.5])


def test_a_batch_without_a_class_has_no_score() -> None:
    truth = np.repeat([0, 1, 2], 20)
    with pytest.raises(ValueError, match="every batch, got 3 of 3"):
        score(truth, np.eye(3)[truth])
