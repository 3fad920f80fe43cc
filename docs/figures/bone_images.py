"""Measure the bone of rendered patients: what is left of it in an image."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import pairwise
from multiprocessing import get_context
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from osteoscreen.cohort.places import slice_places
from osteoscreen.cohort.plan import SLICES, CohortPlan, Preset
from osteoscreen.phantom import SliceImage, draw_patient, draw_scan, protocol, render_slice
from osteoscreen.phantom.anatomy import streams
from osteoscreen.phantom.difficulty import Floats, fit_thresholds, score, threshold_accuracy

IMAGE_SEED = 90_001
"""Patients of this seed are drawn for this figure only: in no training and no test cohort."""
PLAN = CohortPlan(Preset.COHORT, cases=1, seed=IMAGE_SEED, slices=SLICES[Preset.COHORT])
"""Slices lie where those of a plain cohort do: one a level from L1 to L4, around its middle."""
DISTANCES = (0.0, 0.05, 0.1, 0.15, 0.2)
"""Limits of the distance from the middle of a body, as shares of its height: the basivertebral
vein runs through the middle."""
MATRIX = 320
"""Rows of the rendered slices: about a millimetre a pixel."""
EROSION_MM = 4.0
"""The region keeps this far from the wall, as opportunistic screening does (TotalSegmentator's
spine report erodes by 4 mm)."""
PUBLISHED_CLASS_HU = (178.0, 143.0, 118.0)
"""Mean L1 attenuation of normal, low bone mass and osteoporosis by DXA in 536 British patients
(Insights Imaging 2023, 14:57); no spreads in the abstract."""
PUBLISHED_SPREADS = {"99 abdominal CT": (128.8, 48.6), "women of 20 to 30": (236.0, 42.0)}
"""Mean and standard deviation of L1: Pompe 2015 (Eur Radiol 25:283); Hendrickson 2018
(PMC6047377)."""

Record = dict[str, Any]
"""What goes into the JSON file."""
Folds = tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]
"""Patients to fit on and to test on."""

TRUTHS = (
    "condition_index", "t_score", "trabecular_hu", "cortex_mm", "cortex_hu", "trabecular_sd_hu",
)  # fmt: skip
"""What is known of a patient's bone, by the names of ``Bone``."""
RIM_MM = 3.0
"""Depth of the rim that holds the cortex of a body with its blur."""
FINE_MM = 1.5
"""Blur that parts fine from coarse grain."""


class Classifier(Protocol):
    """What scikit-learn's classifiers have in common."""

    def fit(self, features: Floats, truth: NDArray[np.int64]) -> object:
        """Learn from features of shape (patients, features)."""

    def predict_proba(self, features: Floats) -> Floats:
        """Return probabilities of shape (patients, classes)."""


LOGISTIC: Classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def measure_images(patients: int, workers: int) -> tuple[dict[str, Floats], Floats]:
    """Render slices of L1 to L4 and measure the bodies.

    Returns: The truth by name, each of shape (patients,), and the measures of
        ``measure_slice`` with the place of the slice, shape (patients, levels, 5).
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
    measures = []
    for place in slice_places(patient, scan, PLAN, rngs["slices"]):
        image = render_slice(patient, scan, place.z_mm, rngs["noise"])
        level = str(place.level)
        vertebra = patient.spine.vertebra(level)
        share = (place.z_mm - vertebra.centre_mm[2]) / vertebra.height_mm
        measures.append([*measure_slice(image, level, scan.pixel_mm), share])
    return [float(getattr(patient.bone, name)) for name in TRUTHS], measures


def measure_slice(image: SliceImage, level: str, pixel_mm: float) -> list[float]:
    """Return mean, rim, coarse and fine spread of the body of one level, all in HU."""
    body = image.labels == 2 * image.levels.index(level) + 1
    depth = ndimage.distance_transform_edt(body, sampling=pixel_mm)
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
    classes, averages = truth["condition_index"].astype(int), measures[:, :, :4].mean(axis=1)
    hu, rim, coarse, _ = averages.T
    order = np.random.default_rng(0).permutation(len(hu))
    # Every patient is tested once, by a fit on the other half.
    folds = (order[::2], order[1::2]), (order[1::2], order[::2])
    right = [
        threshold_accuracy(hu[test], classes[test], fit_thresholds(hu[fit], classes[fit]))
        for fit, test in folds
    ]
    line = stats.linregress(truth["trabecular_hu"], hu)
    error = hu - truth["trabecular_hu"]
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
        "bias_hu": float(error.mean()),
        "bias_hu_se": float(stats.sem(error)),
        "residual_hu": float((error - (line.slope - 1) * truth["trabecular_hu"]).std()),
        "slope_measured_on_true": float(line.slope),
        "slope_measured_on_true_se": float(line.stderr),
        "spread_between_levels_hu": float(measures[:, :, 0].std(axis=1, ddof=1).mean()),
        "bias_by_distance_from_the_middle": describe_heights(truth["trabecular_hu"], measures),
        "largest_standard_error_of_r": float(1 / np.sqrt(len(hu) - 3)),
        "r_true_hu_measured_hu": correlation(truth["trabecular_hu"], hu),
        "r_t_score_measured_hu": correlation(truth["t_score"], hu),
        "r_cortex_measured_rim_beyond_hu": correlation(sheet, beyond(rim, hu)),
        "r_texture_measured_coarse_spread": correlation(truth["trabecular_sd_hu"], coarse),
        "hu_threshold_accuracy": float(np.mean(right)),
        "hu_threshold_accuracy_se": float(np.sqrt(np.mean(right) * (1 - np.mean(right)) / len(hu))),
        "hu_regression": cross_validated(hu[:, None], classes, folds),
        "hu_rim_and_grain_regression": cross_validated(averages, classes, folds),
    }


def describe_heights(true_hu: Floats, measures: Floats) -> list[Record]:
    """Error of single slices by their distance from the middle of the body.

    The error of a slice is taken against the mean of its patient's four, so that the scanner's
    offset drops out; the mean of all slices is 0.
    """
    error = measures[:, :, 0] - true_hu[:, None]
    error = error - error.mean(axis=1, keepdims=True)
    away = np.abs(measures[:, :, 4])
    parts = [(away >= low) & (away < high) for low, high in pairwise(DISTANCES)]
    return [
        {
            "of_the_height": [low, high],
            "slices": int(part.sum()),
            "error_hu": float(error[part].mean()),
            "error_hu_se": float(stats.sem(error[part])),
        }
        for part, (low, high) in zip(parts, pairwise(DISTANCES))
    ]


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
