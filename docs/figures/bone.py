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
from osteoscreen.phantom import SliceImage, draw_patient, draw_scan, render_slice
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
MEASUREMENT_HU = 6.0
"""Spread of a measured patient's mean around the true one: scanner offset 5 HU (``scanner.py``),
noise and vein the rest; ``rendered.residual_hu`` confirms it."""

PUBLISHED_HU = {
    "UK, 536 patients (Insights Imaging 2023)": (178.0, 143.0, 118.0),
    "feasibility study of this project": (182.0, 132.0, 88.0),
}
"""Mean HU: normal, low bone mass, osteoporosis by DXA."""
PUBLISHED_SPREAD_HU = (38.0, 49.0)
"""Spread within an age band (38 to 44, Jang 2019) and of a whole series (49, Pompe 2015)."""
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

NAMES = ("normal", "low bone mass", "osteoporosis")
COLOURS = ("#2a7f62", "#d98e04", "#b3362b")


def main() -> None:
    """Compute all figures, write the record and draw the picture."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patients", type=int, default=300)
    options.add_argument("--workers", type=int, default=1)
    chosen = options.parse_args()
    virtual = measure_virtual()
    truth, hu = measure_images(chosen.patients, chosen.workers)
    record = {
        "notice": "Difficulty set to resemble the paper's figures; no clinical result.",
        "paper": {"accuracy": 0.7665, "macro_auc": 0.9167, "class_auc": [0.9715, 0.8320, 0.9467]},
        "virtual": virtual,
        "rendered": describe_images(truth, hu),
    }
    home = Path("results/phantom")
    home.mkdir(parents=True, exist_ok=True)
    (home / "difficulty.json").write_text(json.dumps(record, indent=2) + "\n")
    draw(truth["condition_index"], hu.mean(axis=1), record)


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


def measure_images(patients: int, workers: int) -> tuple[dict[str, Floats], Floats]:
    """Render the middle slices of L1 to L4 and measure the bodies.

    Returns: The truth by name, each of shape (patients,), and HU of shape (patients, 4).
    """
    if workers == 1:
        rows = [measure_patient(case) for case in range(patients)]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            rows = list(pool.map(measure_patient, range(patients), chunksize=4))
    table = np.array(rows, dtype=float)
    names = ("condition_index", "age", "is_female", "t_score", "vbmd_mg_cm3", "trabecular_hu")
    return dict(zip(names, table.T)), table[:, len(names) :]


def measure_patient(case: int) -> tuple[float, ...]:
    """Image one patient; return the truth and the attenuation of each level."""
    patient = draw_patient(IMAGE_SEED, case)
    rngs = streams(IMAGE_SEED, case)
    scan = draw_scan(
        rngs["scan"],
        is_randomised=False,
        trunk_half_width_mm=patient.trunk.half_width_mm,
        matrix=MATRIX,
    )
    means = []
    for level in LEVELS:
        z_mm = patient.vertebra(level).centre_mm[2]
        image = render_slice(patient, scan, z_mm, rngs["noise"])
        depth = ndimage.distance_transform_edt(body_of(image), sampling=scan.pixel_mm)
        means.append(float(image.hu[depth > EROSION_MM].mean()))
    bone = patient.bone
    truth = (bone.t_score, bone.vbmd_mg_cm3, bone.trabecular_hu)
    return (bone.condition_index, patient.age, patient.sex == "F", *truth, *means)


def body_of(image: SliceImage) -> NDArray[np.bool_]:
    """Return the vertebral bodies of a slice."""
    return np.asarray(image.body if hasattr(image, "body") else image.labels == 1)


def describe_images(truth: dict[str, Floats], hu: Floats) -> Record:
    """Compare measured with true attenuation, and score the baselines on what was measured."""
    classes, mean = truth["condition_index"].astype(int), hu.mean(axis=1)
    order = np.random.default_rng(0).permutation(len(mean))
    # Every patient is tested once, by a fit on the other half.
    halves = order[::2], order[1::2]
    right = [
        threshold_accuracy(mean[test], classes[test], fit_thresholds(mean[fit], classes[fit]))
        for fit, test in (halves, halves[::-1])
    ]
    chances = np.empty((len(mean), 3))
    for fit, test in (halves, halves[::-1]):
        LOGISTIC.fit(mean[fit, None], classes[fit])
        chances[test] = LOGISTIC.predict_proba(mean[test, None])
    slope, offset = np.polyfit(truth["trabecular_hu"], mean, 1)
    left = mean - slope * truth["trabecular_hu"] - offset
    return {
        "patients": len(mean),
        "slices_per_patient": hu.shape[1],
        "mean_and_spread_hu": [
            [float(mean[classes == index].mean()), float(mean[classes == index].std())]
            for index in range(3)
        ],
        "published_mean_hu": {name: list(values) for name, values in PUBLISHED_HU.items()},
        "published_spread_hu": list(PUBLISHED_SPREAD_HU),
        "bias_hu": float((mean - truth["trabecular_hu"]).mean()),
        "residual_hu": float(left.std()),
        "spread_between_levels_hu": float(hu.std(axis=1, ddof=1).mean()),
        "slope_measured_on_true": float(slope),
        "r_true_measured": float(np.corrcoef(truth["trabecular_hu"], mean)[0, 1]),
        "r_t_score_measured": float(np.corrcoef(truth["t_score"], mean)[0, 1]),
        "hu_threshold_accuracy": float(np.mean(right)),
        "hu_regression": asdict(score(classes[order], chances[order])),
    }


def draw(classes: Floats, mean: Floats, record: Record) -> None:
    """Draw the measured attenuation beside the published one, and the scores beside the paper's."""
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "axes.linewidth": 0.8})
    figure = plt.figure(figsize=(9.6, 4.3), dpi=200)
    grid = figure.add_gridspec(
        2, 2, height_ratios=(3.2, 1), width_ratios=(1.35, 1), hspace=0.06, wspace=0.42
    )
    top = figure.add_subplot(grid[0, 0])
    draw_histograms(top, classes, mean, record)
    draw_means(figure.add_subplot(grid[1, 0], sharex=top), classes, mean)
    draw_scores(figure.add_subplot(grid[:, 1]), record)
    figure.text(
        0.5, -0.045,
        "Synthetic patients. The difficulty is set to resemble the paper's figures; "
        "it says nothing about clinical accuracy.",
        ha="center", fontsize=8, color="0.35",
    )  # fmt: skip
    figure.savefig(Path(__file__).with_suffix(".png"), bbox_inches="tight", facecolor="white")


def draw_histograms(axes: Axes, classes: Floats, mean: Floats, record: Record) -> None:
    """One histogram a class, with the normal curve of the model behind it."""
    edges = [10.0 * step for step in range(31)]
    line = np.linspace(0, 300, 301)
    for index, (name, colour) in enumerate(zip(NAMES, COLOURS)):
        one = mean[classes == index]
        label = f"{name}: {one.mean():.0f} ± {one.std():.0f} HU"
        axes.hist(one, edges, color=colour, alpha=0.45, label=label, density=True)
        axes.hist(one, edges, color=colour, histtype="step", linewidth=1.0, density=True)
        centre, spread = record["virtual"]["classes"][index]["measured_hu"]
        bias = record["rendered"]["bias_hu"]
        curve = np.exp(-0.5 * ((line - centre - bias) / spread) ** 2) / spread / np.sqrt(2 * np.pi)
        axes.plot(line, curve, color=colour, linewidth=1.4)
    axes.set(xlim=(0, 300), ylabel="density", yticks=[])
    axes.set_ylim(top=axes.get_ylim()[1] * 1.12)
    axes.set_title(
        f"a  Trabecular attenuation in {len(mean)} rendered patients", loc="left", fontsize=9.5
    )
    axes.legend(frameon=False, fontsize=8, loc="upper right", handlelength=1.2)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelbottom=False)


def draw_means(axes: Axes, classes: Floats, mean: Floats) -> None:
    """Class means, ours with spread above the published ones."""
    rows = {"this phantom (mean ± SD)": [mean[classes == index].mean() for index in range(3)]}
    rows.update({name: list(values) for name, values in PUBLISHED_HU.items()})
    for place, (name, values) in enumerate(rows.items()):
        for index, value in enumerate(values):
            spread = mean[classes == index].std() if place == 0 else 0
            axes.errorbar(
                value, -place, xerr=spread or None, fmt="o" if place == 0 else "D",
                color=COLOURS[index], markersize=5 if place == 0 else 4.5, capsize=2.5,
                markerfacecolor=COLOURS[index] if place == 0 else "white",
            )  # fmt: skip
        axes.text(296, -place, name, fontsize=6.8, ha="right", va="center", color="0.3")
    axes.set(ylim=(-len(rows) + 0.4, 0.6), yticks=[], xlabel="mean of eroded L1 to L4 bodies, HU")
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw_scores(axes: Axes, record: Record) -> None:
    """Accuracy and macro AUC of what can be known, beside the paper's."""
    exact, fitted = record["virtual"]["exact"], record["virtual"]["fitted"]
    paper, seen = record["paper"], record["rendered"]
    rows = (
        ("two HU thresholds", fitted["hu_thresholds"]["accuracy"], None, "o"),
        ("… in rendered images", seen["hu_threshold_accuracy"], None, "s"),
        (
            "HU regression",
            fitted["hu_regression"]["accuracy"],
            fitted["hu_regression"]["macro_auc"],
            "o",
        ),
        (
            "… in rendered images",
            seen["hu_regression"]["accuracy"],
            seen["hu_regression"]["macro_auc"],
            "s",
        ),
        ("HU, age and sex", *pair(exact["measured_hu_age_sex"]), "o"),
        ("all of the bone", *pair(exact["best_possible_without_age_and_sex"]), "o"),
        ("best possible", *pair(exact["best_possible"]), "o"),
    )
    for place, (_, accuracy, area, marker) in enumerate(rows):
        for value, colour in ((accuracy, "#31567f"), (area, "#8a4f9e")):
            if value is None:
                continue
            hollow = "white" if marker == "s" else colour
            axes.plot(value, -place, marker, color=colour, markerfacecolor=hollow, markersize=6)
            axes.text(
                value, -place + 0.24, f"{value:.3f}"[1:], ha="center", fontsize=7.5, color=colour
            )
    for value, name, colour in (
        (paper["accuracy"], "accuracy", "#31567f"), (paper["macro_auc"], "macro AUC", "#8a4f9e")
    ):  # fmt: skip
        axes.axvline(value, color=colour, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.text(
            value, 0.75, f"{name}\n(paper {value:.3f})", ha="center", fontsize=7.5, color=colour
        )
    axes.set(xlim=(0.69, 0.97), ylim=(-len(rows) + 0.4, 0.7), yticks=[-n for n in range(len(rows))])
    axes.set_yticklabels([row[0] for row in rows])
    axes.set_title("b  What can be known of the class", loc="left", fontsize=9.5, pad=30)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def pair(one: Record) -> tuple[float, float]:
    """Accuracy and macro AUC of a score."""
    return one["accuracy"], one["macro_auc"]


if __name__ == "__main__":
    main()
