"""How hard the cohort is: the exact posterior of the class, from the bone model itself.

Given the T-score, everything an image can show of a bone is jointly normal (attenuation, and the
logarithms of cortex and grain), so P(class | evidence) is one integral over the T-score. No
classifier can be right more often than its largest entry. The phantom's difficulty is *set*;
these figures say where, and nothing about patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from osteoscreen.phantom import bone as model

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]

LEVEL_SPREAD_HU = 5.0 / 2
"""Attenuation differs by 5 HU between the vertebrae of a patient (``spine.py``); L1 to L4 halve
that. No better view of the patient's own value exists, to within 3 %: the arches, which scatter by
10 HU of their own (``anatomy.py``), would make 2.43 of the 2.5 HU."""

NODES = 48
"""Nodes of the Gauss-Legendre rule over the T-scores of a class; 24 agree with it to 1e-6."""


WHOLE_YEARS = (1 / 2, 1 / 12)
"""What cutting an age to whole years takes off its mean and adds to its variance."""


class Trait(IntEnum):
    """What an image shows of a bone: the columns of ``VirtualCohort.traits``."""

    HU = 0
    """Mean trabecular attenuation of L1 to L4."""
    CORTEX_MM = 1
    CORTEX_HU = 2
    COARSENESS = 3
    TRABECULAR_SD = 4
    """These four as natural logarithms."""


@dataclass(frozen=True, eq=False)
class VirtualCohort:
    """Patients without images.

    Args:
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis; shape (patients,).
        age: Whole years, shape (patients,).
        is_female: Shape (patients,).
        t_score: DXA T-scores, shape (patients,).
        vbmd_mg_cm3: Trabecular density, shape (patients,).
        traits: What images can show, shape (patients, traits), columns by ``Trait``.
    """

    condition_index: Classes
    age: Classes
    is_female: NDArray[np.bool_]
    t_score: Floats
    vbmd_mg_cm3: Floats
    traits: Floats


def draw_virtual_cohort(rng: np.random.Generator, patients: int) -> VirtualCohort:
    """Draw patients by the functions that draw the phantom's, without an image.

    Args:
        rng: Source of every draw.
        patients: How many; the classes take turns.
    Returns: The cohort.
    """
    classes = np.arange(patients) % 3
    people = [model.draw_sex_and_age(rng, int(index)) for index in classes]
    bones = [model.draw_bone(rng, int(index), age) for index, (_, age) in zip(classes, people)]
    shown = [(one.cortex_mm, one.cortex_hu, one.coarseness, one.trabecular_sd_hu) for one in bones]
    hu = np.array([one.trabecular_hu for one in bones])
    hu += LEVEL_SPREAD_HU * rng.standard_normal(patients)
    return VirtualCohort(
        condition_index=classes,
        age=np.array([age for _, age in people]),
        is_female=np.array([sex == "F" for sex, _ in people]),
        t_score=np.array([one.t_score for one in bones]),
        vbmd_mg_cm3=np.array([one.vbmd_mg_cm3 for one in bones]),
        traits=np.column_stack([hu, np.log(shown)]),
    )


def class_posterior(
    cohort: VirtualCohort,
    traits: tuple[Trait, ...] = tuple(Trait),
    *,
    with_person: bool = True,
    hu_error: float = 0.0,
) -> Floats:
    """Return P(class | evidence) when the three classes are equally frequent.

    The floors of density and marrow fat, which few patients in a thousand meet, are left out.

    Args:
        cohort: The patients.
        traits: Which traits are known, at least one.
        with_person: Whether age and sex are known; else the age is as in the class.
        hu_error: Spread of a further error in the ``HU`` column of the cohort.
    Returns: Probabilities, shape (patients, 3); rows sum to 1.
    """
    middle, slope, per_year, covariance = _trait_law(hu_error)
    if not with_person:
        covariance += (model.AGE_SPREAD**2 + WHOLE_YEARS[1]) * np.outer(per_year, per_year)
    chosen = list(traits)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance[np.ix_(chosen, chosen)]))
    direction = whiten @ slope[chosen]
    log_likelihood = np.empty((len(cohort.age), 3))
    for index in range(3):
        age = cohort.age if with_person else model.AGE_OF_CLASS[index] - WHOLE_YEARS[0]
        expected = middle + np.multiply.outer(np.asarray(age) - 60.0, per_year)
        seen = (cohort.traits - expected)[:, chosen] @ whiten.T
        t_scores, log_weight = t_score_rule(index)
        above = t_scores - model.MIDDLE_T
        # The square of |seen - above * direction|, multiplied out.
        squares = np.sum(seen**2, axis=1)[:, None] + (direction @ direction) * above**2
        squares -= 2 * np.outer(seen @ direction, above)
        log_likelihood[:, index] = special.logsumexp(log_weight - squares / 2, axis=1)
    if with_person:
        log_likelihood += _log_person(cohort)
    return np.asarray(special.softmax(log_likelihood, axis=1))


def _trait_law(hu_error: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean at the middle, slopes a T-score and a year, and covariance given T-score and age."""
    logs = (model.LOG_CORTEX_MM, model.LOG_CORTEX_HU, model.LOG_COARSENESS)
    sd_middle, sd_slope, sd_residual = model.LOG_TRABECULAR_SD
    grain_middle, grain_slope, grain_residual = model.LOG_COARSENESS
    middle = [model.HU_OFFSET + model.HU_PER_VBMD * model.VBMD_AT_MIDDLE]
    middle += [law[0] for law in logs] + [sd_middle + sd_slope * grain_middle]
    slope = [
        model.HU_PER_VBMD * model.VBMD_PER_T + model.HU_PER_MARROW_FAT * model.MARROW_FAT_PER_T
    ]
    slope += [law[1] for law in logs] + [sd_slope * grain_slope]
    years = model.HU_PER_VBMD * model.VBMD_PER_YEAR
    years += model.HU_PER_MARROW_FAT * model.MARROW_FAT_PER_YEAR
    errors = np.array(
        (
            model.HU_PER_VBMD * model.VBMD_RESIDUAL,
            model.HU_PER_MARROW_FAT * model.MARROW_FAT_RESIDUAL,
            model.HU_RESIDUAL,
            LEVEL_SPREAD_HU,
            hu_error,
        )
    )
    covariance = np.diag([errors @ errors, *(law[2] ** 2 for law in logs), sd_residual**2])
    grain, spread = Trait.COARSENESS, Trait.TRABECULAR_SD
    covariance[spread, spread] += (sd_slope * grain_residual) ** 2
    covariance[grain, spread] = covariance[spread, grain] = sd_slope * grain_residual**2
    slopes = np.array(slope)
    covariance += model.STATUS_ERROR**2 * np.outer(slopes, slopes)
    return np.array(middle), slopes, np.array([years, 0.0, 0.0, 0.0, 0.0]), covariance


def t_score_rule(condition_index: int) -> tuple[Floats, Floats]:
    """Return a quadrature rule over the T-scores of a class.

    Args:
        condition_index: 0 normal, 1 low bone mass, 2 osteoporosis.
    Returns: T-scores, and logarithms of their weights; the weights sum to 1.
    """
    low, high = model.t_score_limits(condition_index)
    mean, spread = model.T_SCORE_OF_CLASS[condition_index]
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    t_scores = (low + high) / 2 + (high - low) / 2 * nodes
    log_weight = np.log(weights) - 0.5 * ((t_scores - mean) / spread) ** 2
    return t_scores, log_weight - special.logsumexp(log_weight)


def _log_person(cohort: VirtualCohort) -> Floats:
    """Logarithm of P(age, sex | class): the age is cut to whole years and to its range."""
    youngest, oldest = model.AGE_RANGE
    mean = np.array(model.AGE_OF_CLASS)
    age = cohort.age[:, None].astype(float)
    below = np.where(age == youngest, -np.inf, (age - mean) / model.AGE_SPREAD)
    above = np.where(age == oldest, np.inf, (age + 1 - mean) / model.AGE_SPREAD)
    share = np.array(model.FEMALE_SHARE_OF_CLASS)
    sex = np.where(cohort.is_female[:, None], share, 1 - share)
    return np.asarray(np.log(special.ndtr(above) - special.ndtr(below)) + np.log(sex))


@dataclass(frozen=True)
class Score:
    """How well probabilities name the classes, each with the standard error of the cohort.

    Args:
        accuracy: Share of patients whose most probable class is the true one.
        class_auc: Area under the ROC curve of each class against the rest.
        macro_auc: Mean of the three.
        accuracy_se: Standard error of the accuracy.
        macro_auc_se: Standard error of the macro AUC.
    """

    accuracy: float
    class_auc: tuple[float, float, float]
    macro_auc: float
    accuracy_se: float
    macro_auc_se: float


BATCHES = 20
"""Parts of the cohort whose spread gives the standard errors."""


def score(condition_index: Classes, probabilities: Floats) -> Score:
    """Score probabilities against the truth.

    Args:
        condition_index: True classes, shape (patients,); at least sixty patients, all classes in
            every twentieth part.
        probabilities: Shape (patients, 3).
    Returns: Accuracy and areas with standard errors from twenty batches of patients.

    Raises:
        ValueError: If a batch lacks a class.
    """
    accuracy, areas = _score(condition_index, probabilities)
    batches = [
        _score(condition_index[part], probabilities[part])
        for part in np.array_split(np.arange(len(condition_index)), BATCHES)
    ]
    accuracies = [one for one, _ in batches]
    macros = [float(np.mean(several)) for _, several in batches]
    return Score(
        accuracy=accuracy,
        class_auc=areas,
        macro_auc=float(np.mean(areas)),
        accuracy_se=float(stats.sem(accuracies)),
        macro_auc_se=float(stats.sem(macros)),
    )


def _score(truth: Classes, probabilities: Floats) -> tuple[float, tuple[float, float, float]]:
    accuracy = float(np.mean(probabilities.argmax(axis=1) == truth))
    normal, low, osteoporosis = (
        _auc(truth == index, probabilities[:, index]) for index in range(3)
    )
    return accuracy, (normal, low, osteoporosis)


def _auc(is_positive: NDArray[np.bool_], y_score: Floats) -> float:
    """Mann-Whitney form of the area: ties count half."""
    ranks = stats.rankdata(y_score)
    positives = int(is_positive.sum())
    if positives in (0, len(y_score)):
        raise ValueError(
            "the area under the curve needs patients of the class and others in every batch, "
            f"got {positives} of {len(y_score)}"
        )
    surplus = ranks[is_positive].sum() - positives * (positives + 1) / 2
    return float(surplus / (positives * (len(y_score) - positives)))


def fit_thresholds(hu: Floats, condition_index: Classes) -> tuple[float, float]:
    """Return the two limits on the attenuation that name most patients rightly.

    Args:
        hu: Attenuation, shape (patients,).
        condition_index: True classes, shape (patients,).
    Returns: Osteoporosis below the first, normal bone mass at or above the second, HU.
    """
    order = np.argsort(hu)
    truth = condition_index[order]
    # Right answers when the lowest i are called osteoporosis, when those from j on are normal.
    low = np.concatenate([[0], np.cumsum(truth == 2) - np.cumsum(truth == 1)])
    high = np.concatenate([[0], np.cumsum(truth == 1) - np.cumsum(truth == 0)])
    # Best i up to each j.
    best_low = np.maximum.accumulate(low)
    j = int(np.argmax(best_low + high))
    i = int(np.argmax(low[: j + 1]))
    edges = np.concatenate([[-np.inf], (hu[order][1:] + hu[order][:-1]) / 2, [np.inf]])
    return float(edges[i]), float(edges[j])


def threshold_accuracy(hu: Floats, condition_index: Classes, limits: tuple[float, float]) -> float:
    """Return the share of patients that two limits name rightly.

    Args:
        hu: Attenuation, shape (patients,).
        condition_index: True classes, shape (patients,).
        limits: As ``fit_thresholds`` returns them.
    """
    named = np.where(hu < limits[0], 2, np.where(hu < limits[1], 1, 0))
    return float(np.mean(named == condition_index))


def reweighted_correlation(cohort: VirtualCohort, mean_t: float, spread_t: float) -> float:
    """Return the correlation of T-score and vBMD in a population with a normal T-score.

    The slope and the errors of the model belong to no class, so the correlation follows from the
    spread of the T-score: it is large in a cohort whose classes were chosen apart.

    Args:
        cohort: Patients drawn by class.
        mean_t: Mean T-score of the population.
        spread_t: Its standard deviation.
    Returns: Pearson's r with each patient weighted by how much more frequent such a T-score is in
        the population than in the cohort.
    """
    own = np.zeros(len(cohort.t_score))
    for index, (mean, spread) in enumerate(model.T_SCORE_OF_CLASS):
        low, high = model.t_score_limits(index)
        inside = (cohort.t_score >= low) & (cohort.t_score <= high)
        part = special.ndtr((high - mean) / spread) - special.ndtr((low - mean) / spread)
        own[inside] = stats.norm.pdf(cohort.t_score[inside], mean, spread) / part
    weights = stats.norm.pdf(cohort.t_score, mean_t, spread_t) / own
    covariance = np.cov(cohort.t_score, cohort.vbmd_mg_cm3, aweights=weights)
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
