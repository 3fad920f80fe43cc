"""Evaluate a model bundle on a cohort: marks against masks, classes against conditions.

As in the paper (section 3.5), the classifier is tested on the marks that MS-Net makes, not on the
reference masks. The headline is one result a patient, with a 95 % interval over patients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import Bundle
from osteoscreen.cohort.manifest import Manifest, Split
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.evaluation.metrics import (
    accuracy_score,
    auc_scores,
    bootstrap_interval,
    by_patient,
    overlap,
)
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.decision import softmax
from osteoscreen.screening.marking import mark_volume
from osteoscreen.screening.roi import RoiSettings, cut_roi
from osteoscreen.volume import Volume

BOOTSTRAP_SEED = 20180101


@dataclass(frozen=True, eq=False)
class Readings:
    """What a bundle says of the slices of a cohort.

    Args:
        case_ids, patients: Of each slice.
        overlaps: Scores of each slice against its masks, by ``mark.score``; empty without a mask.
        truth: Class index of each slice, -1 where unknown.
        logits: Shape (slices, 3); nan where nothing was marked.
    """

    case_ids: list[str]
    patients: list[str]
    overlaps: list[dict[str, float]]
    truth: NDArray[np.int64]
    logits: NDArray[np.float64]


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
    names: list[str] = []
    patients: list[str] = []
    overlaps: list[dict[str, float]] = []
    truth: list[int] = []
    logits: list[NDArray[np.float64]] = []
    for one in read_slices(manifest, manifest.of(split)):
        names.append(one.case.case_id)
        patients.append(one.case.patient_id)
        scores, said = _read_slice(bundle, one)
        overlaps.append(scores)
        logits.append(said)
        condition = one.case.condition
        truth.append(-1 if condition is None else CONDITIONS.index(condition))
        if advance:
            advance(1)
    return Readings(
        names,
        patients,
        overlaps,
        np.array(truth, np.int64),
        np.array(logits, np.float64).reshape(-1, len(CONDITIONS)),
    )


def _read_slice(bundle: Bundle, one: LabelledSlice) -> tuple[dict[str, float], NDArray[np.float64]]:
    row_mm, column_mm = one.spacing_mm
    # A slice alone: its place does not matter to the marks, its pixel spacing does.
    affine = np.array([[0, 0, column_mm, 0], [0, row_mm, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    marks = mark_volume(Volume(one.hu[None], affine), bundle)
    pairs = {"vertebra": (marks.vertebra[0], one.vertebra), "body": (marks.body[0], one.body)}
    scores = {
        f"{name}_{score}": value
        for name, (marked, reference) in pairs.items()
        if reference.any() and name in bundle.settings.segmenter.marks
        for score, value in asdict(overlap(marked, reference)).items()
    }
    settings = bundle.settings.classifier
    mark = marks.body[0] if settings.mark == "body" else marks.vertebra[0]
    if not mark.any():
        return scores, np.full(len(CONDITIONS), np.nan)
    roi = cut_roi(
        one.hu,
        mark,
        one.spacing_mm,
        RoiSettings(settings.size, settings.window_hu),
        fill=settings.fill,
    )
    return scores, bundle.logits(roi[None])[0].astype(np.float64)


def summarise(readings: Readings, temperature: float) -> dict[str, Any]:
    """Return the figures of a cohort: slices for the marks, patients for the classes.

    Args:
        readings: What the bundle said.
        temperature: Of the classifier.
    Returns: Counts, ``segmentation`` (mean, median and tenth percentile of each score), and, where
        a marked slice has a condition, ``classification`` (one result a patient, with 95 %
        intervals over patients).
    """
    found: dict[str, Any] = {"slices": len(readings.patients)}
    found["patients"] = len(set(readings.patients))
    found["segmentation"] = _segmentation(readings.overlaps)
    said = np.isfinite(readings.logits).all(axis=1)
    found["slices_without_mark"] = int((~said).sum())
    known = said & (readings.truth >= 0)
    if not known.any():
        return found
    patients = [name for name, keep in zip(readings.patients, known) if keep]
    truth, score = by_patient(
        patients, readings.truth[known], softmax(readings.logits[known], temperature)
    )
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    found["classification"] = {
        "patients": len(truth),
        "accuracy": accuracy_score(truth, score),
        "accuracy_interval": bootstrap_interval(
            lambda rows: accuracy_score(truth[rows], score[rows]), truth, rng
        ),
        "auc": dict(zip(CONDITIONS, map(float, auc_scores(truth, score)))),
        "macro_auc": float(auc_scores(truth, score).mean()),
        "macro_auc_interval": bootstrap_interval(
            lambda rows: float(auc_scores(truth[rows], score[rows]).mean()), truth, rng
        ),
    }
    return found


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
