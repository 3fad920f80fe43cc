"""Evaluate a model bundle on a cohort: marks against masks, classes against conditions.

As in the paper (section 3.5), the classifier is tested on the marks that MS-Net makes, not on the
reference masks. The headline is one result a patient, with a 95 % interval over patients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import Bundle, BundleSettings
from osteoscreen.cohort.leakage import NONE, Fingerprints, Watch
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.evaluation.calibration import calibration_error
from osteoscreen.evaluation.classification import rate_classes
from osteoscreen.evaluation.metrics import by_patient, overlap
from osteoscreen.evaluation.operating_point import OperatingPoint
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.decision import softmax
from osteoscreen.screening.marking import Marks, mark_volume
from osteoscreen.screening.screen import choose_slices, roi_logits
from osteoscreen.volume import Volume


@dataclass(frozen=True, eq=False)
class Readings:
    """What a bundle says of the slices of a cohort.

    Args:
        case_ids, patients: Of each slice.
        overlaps: Scores of each slice against its masks, by ``mark.score``; empty without a mask.
        truth: Class index of each slice, -1 where unknown.
        logits: Shape (slices, 3); nan where the slice is not one that a screening classifies.
        seen: Fingerprints of the slices.
    """

    case_ids: list[str]
    patients: list[str]
    overlaps: list[dict[str, float]]
    truth: NDArray[np.int64]
    logits: NDArray[np.float64]
    seen: Fingerprints = NONE


def read_cohort(
    bundle: Bundle,
    manifest: Manifest,
    split: Split,
    *,
    advance: Callable[[int], None] | None = None,
) -> Readings:
    """Run both networks on every slice of a split.

    Args:
        bundle: Model bundle.
        manifest: Cohort.
        split: Which part of it.
        advance: Called with the number of slices just read.
    Returns: A reading a slice; none where the split is empty.
    Raises:
        InputError: If an image or mask cannot be read.
        ManifestError: If a mask does not fit its image.
    """
    readings = Readings([], [], [], np.zeros(0, np.int64), np.zeros((0, len(CONDITIONS))))
    truth: list[int] = []
    logits: list[NDArray[np.float64]] = []
    watch = Watch()
    slices = watch.passing(read_slices(manifest, manifest.of(split)))
    for _, group in groupby(slices, key=lambda one: one.case.case_id):
        case = list(group)
        overlaps, said = _read_case(bundle, case)
        condition = case[0].case.condition
        readings.case_ids.extend(one.case.case_id for one in case)
        readings.patients.extend(one.case.patient_id for one in case)
        readings.overlaps.extend(overlaps)
        truth += [-1 if condition is None else CONDITIONS.index(condition)] * len(case)
        logits.append(said)
        if advance:
            advance(len(case))
    return replace(
        readings,
        truth=np.array(truth, np.int64),
        logits=np.concatenate([readings.logits, *logits]),
        seen=watch.seen,
    )


def _read_case(
    bundle: Bundle, case: list[LabelledSlice]
) -> tuple[list[dict[str, float]], NDArray[np.float64]]:
    """Mark and classify a case as a screening does: the slices that it would not choose say nan."""
    row_mm, column_mm = case[0].spacing_mm
    # The place of the slices does not matter to the networks, their pixel spacing does.
    affine = np.array([[0, 0, column_mm, 0], [0, row_mm, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    volume = Volume(np.stack([one.hu for one in case]), affine)
    marks = mark_volume(volume, bundle)
    logits = np.full((len(case), len(CONDITIONS)), np.nan)
    chosen = choose_slices(volume, marks, bundle)
    if chosen:
        logits[list(chosen)] = roi_logits(volume, marks, chosen, bundle)
    return [_overlaps(bundle, marks, index, one) for index, one in enumerate(case)], logits


def _overlaps(bundle: Bundle, marks: Marks, index: int, one: LabelledSlice) -> dict[str, float]:
    pairs = {"vertebra": (marks.vertebra, one.vertebra), "body": (marks.body, one.body)}
    return {
        f"{name}_{score}": value
        for name, (marked, reference) in pairs.items()
        if reference.any() and name in bundle.settings.segmenter.marks
        for score, value in asdict(overlap(marked[index], reference)).items()
    }


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
    return summarise(
        readings,
        settings.classifier.temperature,
        quantile=settings.classifier.conformal_quantile,
        points=tuple(OperatingPoint(name, at) for name, at in named.items() if at is not None),
    )


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
        ``calibration_error_before``: the same without the temperature).
    """
    found: dict[str, Any] = {"slices": len(readings.patients)}
    found["patients"] = len(set(readings.patients))
    found["patients_not_classified"] = _unsaid(readings)
    found["segmentation"] = _segmentation(readings.overlaps)
    said = np.isfinite(readings.logits).all(axis=1)
    found["slices_not_classified"] = int((~said).sum())
    known = said & (readings.truth >= 0)
    if known.any():
        truth, score = patient_scores(readings, temperature)
        found["classification"] = rate_classes(truth, score, quantile=quantile, points=points)
        found["classification"]["calibration_error_before"] = calibration_error(
            *patient_scores(readings, 1.0)
        )
    return found


def patient_scores(
    readings: Readings, temperature: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Join the slices of each patient whose condition is known.

    Args:
        readings: What the bundle said; one slice at least has a condition and was classified.
        temperature: Of the classifier.
    Returns: Class index and probabilities of each patient, the mean over its slices.
    """
    known = np.isfinite(readings.logits).all(axis=1) & (readings.truth >= 0)
    patients = [name for name, keep in zip(readings.patients, known) if keep]
    return by_patient(patients, readings.truth[known], softmax(readings.logits[known], temperature))


def _segmentation(overlaps: list[dict[str, float]]) -> dict[str, Any]:
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
