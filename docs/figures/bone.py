"""Measure how hard the cohort is: docs/figures/bone.png and results/phantom/difficulty.json.

First on patients without images (the exact posterior, a second method, and the baselines), then
on rendered slices through the middle of L1 to L4 (attenuation of the eroded body).
Run from the root of the repository: ``python docs/figures/bone.py [--patients 300]``.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from osteoscreen.findings import CONDITIONS
from osteoscreen.phantom import SliceImage, draw_patient, draw_scan, protocol, render_slice
from osteoscreen.phantom.anatomy import streams
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
IMAGE_SEED = 90_001
"""Patients of this seed are drawn for this figure only: in no training and no test cohort."""
LEVELS = ("L1", "L2", "L3", "L4")
MATRIX = 320
"""Rows of the rendered slices: about a millimetre a pixel."""
EROSION_MM = 4.0
"""The region keeps this far from the wall, as opportunistic screening does (TotalSegmentator's
spine report erodes by 4 mm)."""
MEASUREMENT_HU = 5.0
"""Spread of a measured mean around that of the four vertebrae: the scanner's offset of 5 HU
(``scanner.py``); what noise and vein add is small, as ``rendered.residual_hu`` confirms."""

PUBLISHED_CLASS_HU = (178.0, 143.0, 118.0)
"""Mean L1 attenuation of normal, low bone mass and osteoporosis by DXA in 536 British patients
(Insights Imaging 2023, 14:57); no spreads in the abstract."""
PUBLISHED_SPREADS = {"99 abdominal CT": (128.8, 48.6), "women of 20 to 30": (236.0, 42.0)}
"""Mean and standard deviation of L1: Pompe 2015 (Eur Radiol 25:283); Hendrickson 2018
(PMC6047377)."""
PUBLISHED_LIMITS_HU = (110.0, 160.0)
"""Specific and sensitive limit for osteoporosis (Pickhardt 2013, 1,867 patients)."""
POPULATIONS = {
    "ct_and_dxa_t_-0.7_sd_1.5": (-0.7, 1.5),
    "narrow_t_-1.0_sd_1.25": (-1.0, 1.25),
    "young_adult_spread_t_-1.0_sd_1.0": (-1.0, 1.0),
}
"""T-scores to weight the cohort to: 252 patients with CT and DXA (Hendrickson 2018, PMC6047377);
two narrower ones, since r grows with the spread."""
PUBLISHED_R = (0.72, 0.79)
"""DXA against QCT: 0.72 (K213760) and 0.79 (K242295)."""

Record = dict[str, Any]
"""What goes into the JSON file."""
Folds = tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]
"""Patients to fit on and to test on."""

NAMES = ("normal", "low bone mass", "osteoporosis")
COLOURS = ("#2a7f62", "#d98e04", "#b3362b")


def main() -> None:
    """Compute all figures, write the record and draw the picture."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, default=300)
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
    draw(truth["condition_index"], measures[:, :, 0].mean(axis=1), record)


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


class Classifier(Protocol):
    """What scikit-learn's classifiers have in common."""

    def fit(self, features: Floats, truth: NDArray[np.int64]) -> object:
        """Learn from features of shape (patients, features)."""

    def predict_proba(self, features: Floats) -> Floats:
        """Return probabilities of shape (patients, classes)."""


QUADRATIC: Classifier = make_pipeline(
    StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=2000)
)
BOOSTING: Classifier = HistGradientBoostingClassifier(
    learning_rate=0.05, max_iter=150, max_leaf_nodes=8, l2_regularization=1.0, random_state=0
)
LOGISTIC: Classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


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


TRUTHS = (
    "condition_index", "t_score", "trabecular_hu", "cortex_mm", "cortex_hu", "trabecular_sd_hu",
)  # fmt: skip
"""What is known of a patient's bone, by the names of ``Bone``."""
RIM_MM = 3.0
"""Depth of the rim that holds the cortex of a body with its blur."""
FINE_MM = 1.5
"""Blur that parts fine from coarse grain."""


def measure_images(patients: int, workers: int) -> tuple[dict[str, Floats], Floats]:
    """Render the middle slices of L1 to L4 and measure the bodies.

    Returns: The truth by name, each of shape (patients,), and the measures of
        ``measure_slice``, shape (patients, levels, 4).
    """
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(measure_patient, range(patients), chunksize=4))
    truth = np.array([one for one, _ in rows], dtype=float)
    return dict(zip(TRUTHS, truth.T)), np.array([one for _, one in rows])


def measure_patient(case: int) -> tuple[list[float], list[list[float]]]:
    """Image one patient; return the truth and the measures of each level."""
    patient = draw_patient(IMAGE_SEED, case)
    rngs = streams(IMAGE_SEED, case)
    scan = draw_scan(
        rngs["scan"],
        is_randomised=False,
        trunk_half_width_mm=patient.trunk.half_width_mm,
        protocol=protocol.Protocol(matrix=MATRIX),
    )
    heights = [patient.spine.vertebra(level).centre_mm[2] for level in LEVELS]
    images = [render_slice(patient, scan, z_mm, rngs["noise"]) for z_mm in heights]
    return (
        [float(getattr(patient.bone, name)) for name in TRUTHS],
        [measure_slice(image, scan.pixel_mm) for image in images],
    )


def measure_slice(image: SliceImage, pixel_mm: float) -> list[float]:
    """Return mean, rim, coarse and fine spread of the body, all in HU."""
    depth = ndimage.distance_transform_edt(image.body, sampling=pixel_mm)
    inside, rim = depth > EROSION_MM, (depth > 0) & (depth < RIM_MM)
    smooth = ndimage.gaussian_filter(image.hu, FINE_MM / pixel_mm)
    measures = (
        image.hu[inside].mean(),
        image.hu[rim].mean(),
        smooth[inside].std(),
        (image.hu - smooth)[inside].std(),
    )
    return [float(one) for one in measures]


def describe_images(truth: dict[str, Floats], measures: Floats) -> Record:
    """Compare measured with true bone, and score the baselines on what was measured."""
    classes, averages = truth["condition_index"].astype(int), measures.mean(axis=1)
    hu, rim, coarse, _ = averages.T
    order = np.random.default_rng(0).permutation(len(hu))
    # Every patient is tested once, by a fit on the other half.
    folds = (order[::2], order[1::2]), (order[1::2], order[::2])
    right = [
        threshold_accuracy(hu[test], classes[test], fit_thresholds(hu[fit], classes[fit]))
        for fit, test in folds
    ]
    slope, offset = np.polyfit(truth["trabecular_hu"], hu, 1)
    sheet = np.log(truth["cortex_mm"] * truth["cortex_hu"])
    return {
        "patients": len(hu),
        "slices_per_patient": measures.shape[1],
        "mean_and_spread_hu": [
            [float(hu[classes == index].mean()), float(hu[classes == index].std())]
            for index in range(3)
        ],
        "published_class_hu": list(PUBLISHED_CLASS_HU),
        "published_mean_and_spread_hu": {
            name: list(pair) for name, pair in PUBLISHED_SPREADS.items()
        },
        "bias_hu": float((hu - truth["trabecular_hu"]).mean()),
        "residual_hu": float((hu - slope * truth["trabecular_hu"] - offset).std()),
        "slope_measured_on_true": float(slope),
        "spread_between_levels_hu": float(measures[:, :, 0].std(axis=1, ddof=1).mean()),
        "r_true_hu_measured_hu": correlation(truth["trabecular_hu"], hu),
        "r_t_score_measured_hu": correlation(truth["t_score"], hu),
        "r_cortex_measured_rim_beyond_hu": correlation(sheet, beyond(rim, hu)),
        "r_texture_measured_coarse_spread": correlation(truth["trabecular_sd_hu"], coarse),
        "hu_threshold_accuracy": float(np.mean(right)),
        "hu_regression": cross_validated(hu[:, None], classes, folds),
        "hu_rim_and_grain_regression": cross_validated(averages, classes, folds),
    }


def correlation(one: Floats, other: Floats) -> float:
    """Pearson's r."""
    return float(np.corrcoef(one, other)[0, 1])


def beyond(one: Floats, other: Floats) -> Floats:
    """What is left of one measure when another explains all that it can."""
    return np.asarray(one - np.polyval(np.polyfit(other, one, 1), other))


def cross_validated(features: Floats, classes: NDArray[np.int64], folds: Folds) -> Record:
    """Score logistic regression, every patient by the fit on the other half."""
    chances = np.empty((len(classes), 3))
    for fit, test in folds:
        LOGISTIC.fit(features[fit], classes[fit])
        chances[test] = LOGISTIC.predict_proba(features[test])
    return asdict(score(classes, chances))


PLAIN = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
"""Box behind a label that crosses a line."""


def draw(classes: Floats, mean: Floats, record: Record) -> None:
    """Draw the measured attenuation beside the published one, and the scores beside the paper's."""
    plt.rcParams.update({"font.size": 8, "axes.linewidth": 0.7, "axes.titlesize": 9})
    figure = plt.figure(figsize=(9.4, 4.2), dpi=200)
    left = figure.add_gridspec(2, 1, height_ratios=(3, 1), hspace=0.08, left=0.16, right=0.54)
    top = figure.add_subplot(left[0])
    draw_histograms(top, classes, mean, record)
    draw_means(figure.add_subplot(left[1], sharex=top), classes, mean)
    draw_scores(figure.add_subplot(figure.add_gridspec(1, 1, left=0.74, right=0.99)[0]), record)
    error = np.sqrt(0.75 * 0.25 / len(mean))
    note = (
        "Synthetic patients; the difficulty is set to resemble the paper's figures and says "
        f"nothing about patients.\nFilled: {VIRTUAL_PATIENTS:,} patients without images. "
        f"Open: {len(mean)} rendered patients (standard error of the accuracy {error:.3f})."
    )
    figure.text(0.5, -0.1, note, ha="center", color="0.35", linespacing=1.4)
    figure.savefig(Path(__file__).with_suffix(".png"), bbox_inches="tight", facecolor="white")


def draw_histograms(axes: Axes, classes: Floats, mean: Floats, record: Record) -> None:
    """One histogram a class, with the normal curve of the model over it."""
    edges = [10.0 * step for step in range(31)]
    line = np.linspace(0, 300, 301)
    for index, (name, colour) in enumerate(zip(NAMES, COLOURS)):
        one = mean[classes == index]
        label = f"{name}\n{one.mean():.0f} ± {one.std():.0f} HU"
        axes.hist(one, edges, color=colour, alpha=0.35, density=True)
        axes.hist(one, edges, color=colour, histtype="step", linewidth=0.8, density=True)
        centre, spread = record["virtual"]["classes"][index]["measured_hu"]
        curve = np.exp(-0.5 * ((line - centre) / spread) ** 2) / spread / np.sqrt(2 * np.pi)
        axes.plot(line, curve, color=colour, linewidth=1.5)
        place = (35.0, 0.0185), (131.0, 0.0247), (225.0, 0.0165)
        axes.text(
            *place[2 - index],
            label,
            color=colour,
            ha="center",
            fontweight="bold",
            zorder=5,
            bbox=PLAIN,
        )
    for limit in PUBLISHED_LIMITS_HU:
        axes.axvline(limit, color="0.4", linewidth=0.8, linestyle=(0, (2, 2)))
        axes.text(limit, 0.0286, f"{limit:.0f}", ha="center", va="bottom", color="0.4", fontsize=7)
    axes.set(xlim=(0, 300), ylim=(0, 0.0285), yticks=[])
    axes.set_title(f"a  Trabecular attenuation, {len(mean)} rendered patients", loc="left", pad=14)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelbottom=False)


def draw_means(axes: Axes, classes: Floats, mean: Floats) -> None:
    """Means and spreads of this phantom above the published ones."""
    for index, colour in enumerate(COLOURS):
        one = mean[classes == index]
        axes.errorbar(one.mean(), 0.15 * (1 - index), xerr=one.std(), fmt="o", color=colour,
                      capsize=2, markersize=4.5)  # fmt: skip
        axes.plot(PUBLISHED_CLASS_HU[index], -1, "D", color=colour, markersize=5)
    for place, (centre, spread) in enumerate(PUBLISHED_SPREADS.values()):
        axes.errorbar(centre, -2 - place, xerr=spread, fmt="D", color="0.45", capsize=2,
                      markersize=4)  # fmt: skip
    names = ["this phantom ± SD", "536 patients by DXA", *PUBLISHED_SPREADS]
    axes.set(ylim=(-len(names) + 0.5, 0.5), xlabel="mean of the eroded bodies of L1 to L4, HU")
    axes.set_yticks([-place for place in range(len(names))], names)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw_scores(axes: Axes, record: Record) -> None:
    """Accuracy and macro AUC of what can be known, beside the paper's."""
    exact, fitted, seen = (
        record["virtual"]["exact"], record["virtual"]["fitted"], record["rendered"],
    )  # fmt: skip
    rows: dict[str, Record] = {
        "two limits on HU": fitted["hu_thresholds"],
        "… limits in images": {"accuracy": seen["hu_threshold_accuracy"]},
        "regression on HU": fitted["hu_regression"],
        "… regression in images": seen["hu_regression"],
        "HU, age and sex": exact["measured_hu_age_sex"],
        "HU, rim and grain in images": seen["hu_rim_and_grain_regression"],
        "best possible": exact["best_possible"],
    }
    colours = {"accuracy": "#31567f", "macro_auc": "#8a4f9e"}
    for name, colour in colours.items():
        paper = record["paper"][name]
        axes.axvline(paper, color=colour, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        title = f"{name.replace('_auc', ' AUC')}\npaper {paper:g}"
        axes.text(paper, 0.62, title, ha="center", color=colour, fontsize=7.5)
        for place, (row, values) in enumerate(rows.items()):
            if name not in values:
                continue
            value, fill = values[name], "white" if "images" in row else colour
            axes.plot(value, -place, "o", color=colour, markerfacecolor=fill, markersize=5.5)
            side, align = (0.012, "left") if value > paper else (-0.012, "right")
            text = f"{value:.3f}".lstrip("0")
            axes.text(value + side, -place, text, ha=align, va="center", color=colour)
    axes.set(xlim=(0.66, 0.97), ylim=(-len(rows) + 0.5, 0.55))
    axes.set_yticks([-place for place in range(len(rows))], list(rows))
    axes.set_title("b  What can be known of the class", loc="left", pad=26, x=-0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


if __name__ == "__main__":
    main()
