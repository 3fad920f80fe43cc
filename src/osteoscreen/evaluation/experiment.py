"""A bundle on a cohort, whole: what it says by the paper's protocol and patient by patient, beside
other classifiers and what a radiologist would try first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import Bundle
from osteoscreen.cohort.leakage import check_leakage
from osteoscreen.cohort.manifest import Case, Manifest, Split
from osteoscreen.evaluation.baseline import Patients, patients_of, score_baselines
from osteoscreen.evaluation.calibration import fit_temperature
from osteoscreen.evaluation.classification import (
    CLASSES,
    DISEASED,
    missing_class,
    rate_decisions,
    rate_ranking,
    weighted_kappa_interval,
)
from osteoscreen.evaluation.delong import compare_auc
from osteoscreen.evaluation.evaluate import measure, summarise_overlaps
from osteoscreen.evaluation.kept import read_or_keep
from osteoscreen.evaluation.metrics import (
    BOOTSTRAP_SEED,
    accuracy_score,
    auc_scores,
    bootstrap_interval,
    macro_auc,
    told,
)
from osteoscreen.evaluation.protocol import ProtocolReadings, read_protocol
from osteoscreen.evaluation.readings import Readings, Shows, patient_scores
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.decision import softmax

NARROW_MM = 260.0
"""Fields of view below this are laid around the spine."""
SMALLEST_GROUP = 10
"""Smaller groups are not told: their figures say nothing, and may tell who they are."""
OWN = "BCC-Net"
"""Name of the bundle's own classifier among others."""


@dataclass(frozen=True, eq=False)
class Experiment:
    """What was read for an evaluation.

    Args:
        bundle: The bundle.
        manifest: The cohort.
        tuning: Readings of the calibration split, or of the train split where there is none: what
            the regressions and the rivals' temperatures are fitted on.
        test: Readings of the test split.
        protocol: Readings of the augmented images.
        temperatures: Of the bundle's own classifier, under the name ``OWN``, and of each rival.
    """

    bundle: Bundle
    manifest: Manifest
    tuning: Readings
    test: Readings
    protocol: ProtocolReadings
    temperatures: Mapping[str, float]

    @property
    def is_calibrated_apart(self) -> bool:
        """Whether what is fitted is fitted on patients that no network was trained on."""
        return any(case.split is Split.CALIBRATION for case in self.tuning.cases)


def read_experiment(
    bundle: Bundle,
    manifest: Manifest,
    *,
    protocol: Manifest | None = None,
    rivals: Mapping[str, Bundle] | None = None,
    keep: Path | None = None,
    advance: Callable[[int], None] | None = None,
) -> Experiment:
    """Read everything that an evaluation needs, each slice once.

    Args:
        bundle: Model bundle.
        manifest: Cohort with a test split.
        protocol: Cohort whose test split is read by the paper's protocol; ``None`` for the other.
        rivals: Bundles whose classifiers are compared on the same marks, by name.
        keep: Folder in which the readings of a split are kept; ``None`` keeps none.
        advance: Called with the number of slices, or patients of the protocol, just read.
    Raises:
        InputError: If an image or mask cannot be read.
        ManifestError: If a mask does not fit its image.
        LeakageError: If what is fitted on and test share images.
    """
    fitted = Split.CALIBRATION if manifest.of(Split.CALIBRATION) else Split.TRAIN
    tuning, test = (
        read_or_keep(keep, bundle, manifest, split, rivals=rivals or {}, advance=advance)
        for split in (fitted, Split.TEST)
    )
    check_leakage(tuning.seen, test.seen, (fitted.value, "test"))
    temperatures = {OWN: bundle.settings.classifier.temperature}
    known, patients = tuning.is_known, tuning.known_patients
    is_apart = fitted is Split.CALIBRATION and bool(patients)
    for name, logits in tuning.rivals.items():
        temperatures[name] = (
            fit_temperature(logits[known], tuning.truth[known], patients) if is_apart else 1.0
        )
    views = read_protocol(bundle, protocol or manifest, rivals=rivals, advance=advance)
    check_leakage(tuning.seen, views.seen, (fitted.value, "test of the protocol"))
    return Experiment(bundle, manifest, tuning, test, views, temperatures)


def figures_of(experiment: Experiment) -> dict[str, Any]:
    """Return every figure of an experiment, as JSON holds it.

    Args:
        experiment: What was read.
    Returns: As ``evaluate.measure``, and ``bundle``, ``cohort_sha256``, ``cohort`` (patients by
        class and split), ``segmentation_by`` (Dice index by what a slice shows), ``protocol``,
        ``runs``, ``classifiers`` (baselines on the patients whose facts are known), ``groups``.
    """
    settings = experiment.bundle.settings
    found = measure(settings, experiment.test)
    found["bundle"] = experiment.bundle.reference.model_dump()
    found["cohort_sha256"] = experiment.manifest.sha256
    found["cohort"] = _count(experiment.manifest.cases)
    found["segmentation_by"] = _by_slice(experiment.test)
    found["protocol"] = _protocol(experiment.protocol)
    found["runs"] = settings.runs
    if experiment.test.is_known.any():
        found["classifiers"] = _classifiers(experiment)
        found["groups"] = _groups(experiment.test, settings.classifier.temperature)
    return found


def _count(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    """Count the patients of each class in each split."""
    known = {case.patient_id: (case.split, case.condition) for case in cases if case.condition}
    counts = Counter(known.values())
    return {
        split.value: {condition.value: counts[split, condition] for condition in CONDITIONS}
        for split in Split
        if any(counts[split, condition] for condition in CONDITIONS)
    }


def _by_slice(readings: Readings) -> dict[str, Any]:
    """Return the overlap of the marks by what a slice shows and by its field of view."""
    groups = {one.value: [one is shown for shown in readings.shows] for one in Shows}
    groups["narrow field"] = (readings.width_mm < NARROW_MM).tolist()
    groups["wide field"] = (readings.width_mm >= NARROW_MM).tolist()
    return {
        name: summarise_overlaps([one for one, keep in zip(readings.overlaps, kept) if keep])
        for name, kept in groups.items()
        if any(kept)
    }


def _protocol(readings: ProtocolReadings) -> dict[str, Any]:
    """Return the figures of Tables 3 to 5 by the paper's protocol."""
    found: dict[str, Any] = {
        "patients": len({case.patient_id for case in readings.cases}),
        "cohort": _count(readings.cases),
        "marked_images": len(readings.overlaps),
        "classified_images": len(readings.truth),
        "segmentation": summarise_overlaps(readings.overlaps),
    }
    if len(readings.truth):
        found["classifiers"] = {
            name or OWN: _rate_images(readings.truth, softmax(logits))
            for name, logits in readings.logits.items()
        }
    return found


def _rate_images(y_true: NDArray[np.int64], y_score: NDArray[np.float64]) -> dict[str, Any]:
    """Rate images, without intervals: those of one patient are no independent ones."""
    reasons = [missing_class(y_true, index) for index in CLASSES]
    areas = auc_scores(y_true, y_score)
    return {
        "accuracy": accuracy_score(y_true, y_score),
        "auc": {name: told(float(a), why) for name, a, why in zip(CONDITIONS, areas, reasons)},
        "macro_auc": told(float(areas.mean()), " and ".join(filter(None, reasons))),
        **rate_decisions(y_true, y_score.argmax(axis=1)),
    }


def _classifiers(experiment: Experiment) -> dict[str, Any]:
    """Compare all classifiers; the baselines on the patients whose attenuation was measured."""
    test = patients_of(experiment.test, experiment.temperatures[OWN])
    tuning = patients_of(experiment.tuning, experiment.temperatures[OWN])
    own = np.exp(test.network)
    everybody = np.ones(len(test.truth), bool)
    found = {OWN: _rate(test, everybody, own, own, "the bundle")}
    for name in experiment.test.rivals:
        _, score = patient_scores(experiment.test, experiment.temperatures[name], rival=name)
        found[name] = _rate(test, everybody, score, own, "on the same marks")
    for one in score_baselines(tuning, test, is_of_its_own=experiment.is_calibrated_apart):
        found[one.name] = (
            _rate(test, one.kept, one.score, own[one.kept], one.source)
            if one.kept.any()
            else {"patients": 0, "source": one.source}
        )
    return found


def _rate(
    patients: Patients,
    kept: NDArray[np.bool_],
    score: NDArray[np.float64],
    own: NDArray[np.float64],
    source: str,
) -> dict[str, Any]:
    truth = patients.truth[kept]
    return {
        "patients": len(truth),
        "source": source,
        **rate_ranking(truth, score),
        **rate_decisions(truth, score.argmax(axis=1)),
        "weighted_kappa_interval": weighted_kappa_interval(truth, score.argmax(axis=1)),
        "delong": _compare(truth == DISEASED, score[:, DISEASED], own[:, DISEASED]),
    }


def _compare(
    is_diseased: NDArray[np.bool_], score: NDArray[np.float64], own: NDArray[np.float64]
) -> dict[str, Any]:
    counts = int(is_diseased.sum()), int((~is_diseased).sum())
    if min(counts) < 2:
        why = "undefined: fewer than two cases with or without osteoporosis"
        return dict.fromkeys(("difference", "standard_error", "p_value"), why)
    found = compare_auc(is_diseased, score, own)
    return {
        "difference": found.difference,
        "standard_error": found.standard_error,
        "p_value": found.p_value,
    }


def rate_on_scanner(experiment: Experiment, classifier: str, scanner: str) -> dict[str, Any]:
    """Return the headline of one classifier on the test patients of one scanner.

    Args:
        experiment: What was read.
        classifier: ``OWN`` or the name of a rival.
        scanner: As the manifest names it.
    Returns: ``patients`` and, if there are any, as ``classification.rate_ranking``.
    """
    rival = None if classifier == OWN else classifier
    temperature = experiment.temperatures[classifier]
    truth, score = patient_scores(experiment.test, temperature, rival=rival)
    kept = np.array([case.scanner == scanner for case in _patient_cases(experiment.test)], bool)
    found: dict[str, Any] = {"patients": int(kept.sum())}
    return found | (rate_ranking(truth[kept], score[kept]) if kept.any() else {})


def _patient_cases(readings: Readings) -> list[Case]:
    """Return a row of each patient, in the order of ``patient_scores``."""
    first: dict[str, Case] = {}
    for case, keep in zip(readings.cases, readings.is_known):
        if keep:
            first.setdefault(case.patient_id, case)
    return list(first.values())


def _groups(readings: Readings, temperature: float) -> dict[str, Any]:
    """Return accuracy and AUC by scanner, sex and age."""
    truth, score = patient_scores(readings, temperature)
    names = [_group_names(case) for case in _patient_cases(readings)]
    found = {}
    for name in sorted({name for one in names for name in one}):
        kept = np.array([name in one for one in names])
        if kept.sum() < SMALLEST_GROUP:
            continue
        y_true, y_score = truth[kept], score[kept]
        is_right = y_score.argmax(axis=1) == y_true
        rng = np.random.default_rng(BOOTSTRAP_SEED)
        found[name] = {
            "patients": len(y_true),
            "accuracy": float(is_right.mean()),
            "accuracy_interval": bootstrap_interval(_mean_of(is_right), y_true, rng),
            "macro_auc": told(
                macro_auc(y_true, y_score),
                " and ".join(filter(None, (missing_class(y_true, index) for index in CLASSES))),
            ),
        }
    return found


def _mean_of(values: NDArray[np.bool_]) -> Callable[[NDArray[np.int64]], float]:
    return lambda rows: float(values[rows].mean())


def _group_names(case: Case) -> list[str]:
    names = []
    if case.scanner:
        names.append(f"scanner {case.scanner}")
    if case.sex:
        names.append(f"sex {case.sex}")
    if case.age is not None:
        decade = case.age // 10 * 10
        names.append(f"age {decade} to {decade + 9}")
    return names
