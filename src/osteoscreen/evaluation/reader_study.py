"""The paper's three radiologists (Table 6, Appendix A): what they said of its test patients."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from osteoscreen.evaluation.classification import rate_decisions
from osteoscreen.evaluation.metrics import BOOTSTRAP_SEED, bootstrap_interval
from osteoscreen.findings import CONDITIONS, BoneCondition

APPENDIX_A = "reader_study.csv"
"""Appendix A of the paper, a row a patient, beside this file."""


@dataclass(frozen=True, eq=False)
class ReaderStudy:
    """What several readers said of the same patients.

    Args:
        truth: Class index of each patient.
        readings: Class index that each reader gave each patient, by reader.
    """

    truth: NDArray[np.int64]
    readings: dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Reading:
    """How well one reader did.

    Args:
        reader: Who.
        precision_scores: Of each class, in order of the classes (equation 6); a text that
            says why where it is undefined.
        accuracy_score: Share of patients that are right.
        accuracy_interval: Its 95 % interval over patients.
        kappa_score: Cohen's kappa, agreement with the truth beyond chance.
        weighted_kappa_score: The same with quadratic weights: to take osteoporosis for normal bone
            mass counts four times as much as to take it for low bone mass.
    """

    reader: str
    precision_scores: tuple[float | str, ...]
    accuracy_score: float
    accuracy_interval: tuple[float, float]
    kappa_score: float | str
    weighted_kappa_score: float | str


def read_appendix_a() -> ReaderStudy:
    """Return the paper's reader study."""
    file = resources.files("osteoscreen.evaluation") / APPENDIX_A
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    names = [name for name in rows[0] if name not in ("sample", "condition")]
    return ReaderStudy(
        _indices([row["condition"] for row in rows]),
        {name: _indices([row[name] for row in rows]) for name in names},
    )


def _indices(conditions: list[str]) -> NDArray[np.int64]:
    return np.array([CONDITIONS.index(BoneCondition(one)) for one in conditions], np.int64)


def rate(study: ReaderStudy) -> tuple[Reading, ...]:
    """Compare every reader with the truth.

    Args:
        study: At least one patient of each class.
    Returns: A reading a reader, in their order.
    """
    return tuple(_rate(name, study.truth, said) for name, said in study.readings.items())


def _rate(name: str, truth: NDArray[np.int64], said: NDArray[np.int64]) -> Reading:
    right, found = said == truth, rate_decisions(truth, said)
    return Reading(
        reader=name,
        precision_scores=tuple(found["precision"][condition] for condition in CONDITIONS),
        accuracy_score=float(right.mean()),
        accuracy_interval=bootstrap_interval(
            lambda rows: float(right[rows].mean()), truth, np.random.default_rng(BOOTSTRAP_SEED)
        ),
        kappa_score=found["kappa"],
        weighted_kappa_score=found["weighted_kappa"],
    )
