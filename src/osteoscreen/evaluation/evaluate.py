"""Every figure of a bundle on a cohort: marks against masks, classes against conditions.

The headline is one result a patient, with a 95 % interval over patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from osteoscreen.bundle import BundleSettings
from osteoscreen.evaluation.calibration import calibration_bins, calibration_error
from osteoscreen.evaluation.classification import rate_classes
from osteoscreen.evaluation.operating_point import OperatingPoint
from osteoscreen.evaluation.readings import Readings, patient_scores


def measure(settings: BundleSettings, readings: Readings) -> dict[str, Any]:
    """Return the figures of a cohort at a bundle's own temperature, sets and operating points.

    Args:
        settings: Of the bundle.
        readings: What it said.
    Returns: As ``summarise`` gives them.
    """
    points = settings.operating_points
    named = {
        "sensitive": points.sensitive_probability,
        "specific": points.specific_probability,
    }
    found = summarise(
        readings,
        settings.classifier.temperature,
        quantile=settings.classifier.conformal_quantile,
        points=tuple(OperatingPoint(name, at) for name, at in named.items() if at is not None),
    )
    if "prediction_sets" in found.get("classification", {}):
        sets = found["classification"]["prediction_sets"]
        sets["nominal_coverage"] = settings.classifier.conformal_coverage
    return found


def summarise(
    readings: Readings,
    temperature: float,
    *,
    quantile: float | None = None,
    points: tuple[OperatingPoint, ...] = (),
) -> dict[str, Any]:
    """Return the figures of a cohort: slices for the marks, patients for the classes.

    Args:
        readings: What the bundle said.
        temperature: Of the classifier.
        quantile: Of the prediction sets; ``None`` leaves them out.
        points: Thresholds of P(osteoporosis) to measure.
    Returns: Counts, ``segmentation`` (mean, median and tenth percentile of each score), and, where
        a marked slice has a condition, ``classification`` (``classification.rate_classes``, and
        ``calibration_before`` and ``calibration_error_before``: without the temperature).
    """
    found: dict[str, Any] = {"slices": len(readings.patients)}
    found["patients"] = len(set(readings.patients))
    found["patients_not_classified"] = _unsaid(readings)
    found["segmentation"] = summarise_overlaps(readings.overlaps)
    said = np.isfinite(readings.logits).all(axis=1)
    found["slices_not_classified"] = int((~said).sum())
    if readings.is_known.any():
        truth, score = patient_scores(readings, temperature)
        found["classification"] = rate_classes(truth, score, quantile=quantile, points=points)
        before = patient_scores(readings, 1.0)
        found["classification"]["calibration_error_before"] = calibration_error(*before)
        found["classification"]["calibration_before"] = [
            asdict(one) for one in calibration_bins(*before) if one.patients
        ]
    return found


def summarise_overlaps(overlaps: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return count, mean, median and tenth percentile of each score.

    Args:
        overlaps: Scores of each image by name; an image may lack some.
    """
    names = sorted({name for scores in overlaps for name in scores})
    found = {}
    for name in names:
        values = np.array([scores[name] for scores in overlaps if name in scores])
        found[name] = {
            "slices": len(values),
            "mean": float(values.mean()),
            "median": float(np.median(values)),
            "tenth_percentile": float(np.percentile(values, 10)),
        }
    return found


def _unsaid(readings: Readings) -> int:
    """Patients of whom no slice was classified: they are missing from the classes' figures."""
    said: list[bool] = np.isfinite(readings.logits[:, 0]).tolist()
    heard = {name for name, keep in zip(readings.patients, said) if keep}
    return len(set(readings.patients) - heard)
