"""Measure how hard the cohort is: docs/figures/bone.png and results/phantom/difficulty.json.

First on patients without images (the exact posterior, a second method, and the baselines), then
on rendered slices of L1 to L4, placed as in a cohort (attenuation of the eroded body).
Run from the root of the repository: ``python docs/figures/bone.py [--patients 1000]``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bone_images import LOGISTIC, Classifier, Record, describe_images, measure_images
from bone_panels import draw
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from osteoscreen.findings import CONDITIONS
from osteoscreen.phantom.difficulty import (
    Floats,
    Trait,
    VirtualCohort,
    class_posterior,
    draw_virtual_cohort,
    fit_thresholds,
    reweighted_correlation,
    score,
    threshold_accuracy,
)

VIRTUAL_PATIENTS, VIRTUAL_SEED = 60_000, 20261
MEASUREMENT_HU = 5.0
"""Spread of a measured mean around that of the four vertebrae: the scanner's offset of 5 HU
(``scanner.py``). With the levels' own 2.5 HU that makes 5.6 HU; in slices, where noise, vein and
patches add to it, ``rendered.residual_hu`` is 6.7 HU."""

POPULATIONS = {
    "ct_and_dxa_t_-0.7_sd_1.5": (-0.7, 1.5),
    "narrow_t_-1.0_sd_1.25": (-1.0, 1.25),
    "young_adult_spread_t_-1.0_sd_1.0": (-1.0, 1.0),
}
"""T-scores to weight the cohort to: 252 patients with CT and DXA (Hendrickson 2018, PMC6047377);
two narrower ones, since r grows with the spread."""
PUBLISHED_R = (0.72, 0.79)
"""DXA against QCT: 0.72 (K213760) and 0.79 (K242295)."""


def main() -> None:
    """Compute all figures, write the record and draw the picture."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, default=1000)
    options.add_argument("--workers", type=int, default=1)
    chosen = options.parse_args()
    virtual = measure_virtual()
    truth, measures = measure_images(chosen.patients, chosen.workers)
    record = {
        "notice": "Difficulty set to resemble the paper's figures; no clinical result.",
        "paper": {"accuracy": 0.7665, "macro_auc": 0.9167, "class_auc": [0.9715, 0.8320, 0.9467]},
        "virtual": virtual,
        "rendered": describe_images(truth, measures),
    }
    home = Path("results/phantom")
    home.mkdir(parents=True, exist_ok=True)
    (home / "difficulty.json").write_text(json.dumps(rounded(record), indent=2) + "\n")
    picture = Path(__file__).with_suffix(".png")
    draw(picture, truth["condition_index"], measures[:, :, 0].mean(axis=1), record)


def rounded(value: Any) -> Any:  # noqa: ANN401  # whatever JSON can hold
    """Cut all numbers inside to four decimals: more than the standard errors warrant."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def measure_virtual() -> Record:
    """Score the exact posterior, a second method and the baselines; half of the patients fit."""
    rng = np.random.default_rng(VIRTUAL_SEED)
    cohort = draw_virtual_cohort(rng, VIRTUAL_PATIENTS)
    error = np.zeros_like(cohort.traits)
    error[:, Trait.HU] = MEASUREMENT_HU * rng.standard_normal(VIRTUAL_PATIENTS)
    measured = replace(cohort, traits=cohort.traits + error)
    truth = cohort.condition_index
    fit, test = np.arange(VIRTUAL_PATIENTS // 2), np.arange(VIRTUAL_PATIENTS // 2, VIRTUAL_PATIENTS)
    hu = measured.traits[:, Trait.HU]
    limits = fit_thresholds(hu[fit], truth[fit])
    with_hu = partial(class_posterior, measured, hu_error=MEASUREMENT_HU)
    exact = {
        "best_possible": class_posterior(cohort),
        "best_possible_without_age_and_sex": class_posterior(cohort, with_person=False),
        "best_possible_with_measured_hu": with_hu(),
        "measured_hu_age_sex": with_hu((Trait.HU,)),
        "measured_hu": with_hu((Trait.HU,), with_person=False),
        "cortex_and_grain_alone": class_posterior(cohort, tuple(Trait)[1:], with_person=False),
    }
    everything = np.column_stack([cohort.traits, cohort.age, cohort.is_female])
    return {
        "patients": VIRTUAL_PATIENTS,
        "measurement_hu": MEASUREMENT_HU,
        "exact": {name: asdict(score(truth, each)) for name, each in exact.items()},
        "exact_on_the_fitted_methods_test_half": asdict(
            score(truth[test], exact["best_possible"][test])
        ),
        "fitted": {
            "quadratic_logistic": fitted_score(QUADRATIC, everything, truth, fit, test),
            "gradient_boosting": fitted_score(BOOSTING, everything, truth, fit, test),
            "hu_regression": fitted_score(LOGISTIC, hu[:, None], truth, fit, test),
            "hu_thresholds": {
                "limits_hu": [round(limit, 1) for limit in limits],
                "accuracy": threshold_accuracy(hu[test], truth[test], limits),
            },
            "fixed_110_160_hu": threshold_accuracy(hu, truth, (110.0, 160.0)),
            "acr_80_120_mg_cm3_on_true_vbmd": threshold_accuracy(
                cohort.vbmd_mg_cm3, truth, (80.0, 120.0)
            ),
        },
        "classes": [describe_class(measured, index) for index in range(3)],
        "correlation": describe_correlation(measured),
    }


QUADRATIC: Classifier = make_pipeline(
    StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=2000)
)
BOOSTING: Classifier = HistGradientBoostingClassifier(
    learning_rate=0.05, max_iter=150, max_leaf_nodes=8, l2_regularization=1.0, random_state=0
)


def fitted_score(
    classifier: Classifier,
    features: Floats,
    truth: NDArray[np.int64],
    fit: NDArray[np.int64],
    test: NDArray[np.int64],
) -> Record:
    """Fit on some patients and score on others."""
    classifier.fit(features[fit], truth[fit])
    return asdict(score(truth[test], classifier.predict_proba(features[test])))


def describe_class(cohort: VirtualCohort, index: int) -> Record:
    """Means and spreads of one class."""
    chosen = cohort.condition_index == index
    columns = {
        "t_score": cohort.t_score,
        "age": cohort.age.astype(float),
        "vbmd_mg_cm3": cohort.vbmd_mg_cm3,
        "measured_hu": cohort.traits[:, Trait.HU],
        "cortex_mm": np.exp(cohort.traits[:, Trait.CORTEX_MM]),
        "cortex_hu": np.exp(cohort.traits[:, Trait.CORTEX_HU]),
        "coarseness": np.exp(cohort.traits[:, Trait.COARSENESS]),
        "trabecular_sd_hu": np.exp(cohort.traits[:, Trait.TRABECULAR_SD]),
    }
    return {
        "condition": CONDITIONS[index].value,
        "female_share": float(cohort.is_female[chosen].mean()),
        **{
            name: [float(column[chosen].mean()), float(column[chosen].std())]
            for name, column in columns.items()
        },
    }


def describe_correlation(cohort: VirtualCohort) -> Record:
    """Correlation of T-score and vBMD, as in the cohort and as it would be in other populations."""
    t_score = cohort.t_score
    return {
        "balanced_t_score_vbmd": float(np.corrcoef(t_score, cohort.vbmd_mg_cm3)[0, 1]),
        "balanced_t_score_measured_hu": float(
            np.corrcoef(t_score, cohort.traits[:, Trait.HU])[0, 1]
        ),
        "t_score_vbmd_reweighted": {
            name: reweighted_correlation(cohort, *law) for name, law in POPULATIONS.items()
        },
        "published_t_score_vbmd": list(PUBLISHED_R),
    }


if __name__ == "__main__":
    main()
