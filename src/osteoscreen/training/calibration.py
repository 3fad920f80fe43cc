"""The calibration of a bundle: temperature, prediction sets, operating points, what is typical."""

from __future__ import annotations

import numpy as np

from osteoscreen.bundle import BundleSettings
from osteoscreen.errors import RunError
from osteoscreen.evaluation.calibration import conformal_quantile, fit_temperature
from osteoscreen.evaluation.classification import DISEASED
from osteoscreen.evaluation.operating_point import point_of_sensitivity, point_of_specificity
from osteoscreen.evaluation.readings import Readings, patient_scores
from osteoscreen.screening.unlike import fit_typical, patient_features

COVERAGE = 0.9
"""Share of patients whose class the prediction set shall hold."""

POINT_SHARE = 0.9
"""Sensitivity, and specificity, for osteoporosis at the two operating points."""


def calibrate(settings: BundleSettings, readings: Readings) -> BundleSettings:
    """Fit temperature, quantile, operating points and what is typical, on means over slices.

    Args:
        settings: Of the bundle.
        readings: What it said of patients that neither trained nor test it.
    Raises:
        RunError: If nothing was classified.
    """
    known = readings.is_known
    if not known.any():
        raise RunError("a calibration needs slices in which MS-Net marks a vertebra, got none")
    temperature = fit_temperature(
        readings.logits[known], readings.truth[known], readings.known_patients
    )
    truth, score = patient_scores(readings, temperature)
    tuned: dict[str, float] = {
        "temperature": temperature,
        "conformal_quantile": conformal_quantile(truth, score, COVERAGE),
        "conformal_coverage": COVERAGE,
    }
    groups = np.array(readings.known_patients)
    features = np.stack(
        [
            patient_features(
                readings.logits[known][groups == name], readings.hu[known][groups == name]
            )
            for name in dict.fromkeys(readings.known_patients)
        ]
    )
    points: dict[str, float] = {}
    is_diseased = truth == DISEASED
    if is_diseased.any() and not is_diseased.all():
        for name, choose in (
            ("sensitive", point_of_sensitivity),
            ("specific", point_of_specificity),
        ):
            chosen = choose(name, POINT_SHARE, is_diseased, score[:, DISEASED])
            points[f"{name}_probability"] = chosen.threshold
    return settings.model_copy(
        update={
            "classifier": settings.classifier.model_copy(update=tuned),
            "typical": fit_typical(features),
            "operating_points": settings.operating_points.model_copy(update=points),
        }
    )
