"""What a radiologist would try first: limits of trabecular HU, and regressions on it.

A regression is fitted on patients of its own and measured on others, as the networks are. What its
patients' bodies measure is read inside MS-Net's own marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from osteoscreen import texts
from osteoscreen.evaluation.metrics import by_patient
from osteoscreen.evaluation.readings import Readings
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.decision import softmax


@dataclass(frozen=True)
class Limits:
    """Two limits of trabecular HU that part three classes.

    Args:
        name: Of the rule.
        normal_hu: Above it bone mass is called normal.
        osteoporosis_hu: Below it osteoporosis is called.
        source: Who found them, and how.
    """

    name: str
    normal_hu: float
    osteoporosis_hu: float
    source: str


LIMITS = (
    Limits(
        "HU limits 160 / 110",
        160.0,
        110.0,
        "Pickhardt 2013: L1 at 120 kV against DXA in 1,867 patients, 90 % sensitive at 160 HU, "
        "over 90 % specific at 110 HU",
    ),
    Limits(
        "HU limits 169 / 104",
        169.0,
        104.0,
        "Insights into Imaging 2023 (s13244-023-01400-1): L1 against DXA in 536 patients, limits "
        "of 90 % sensitivity and of 90 % specificity",
    ),
)
"""Published for osteoporosis against the rest; read here as a rule of three classes."""

REGRESSIONS = {
    "Regression on HU": ("hu",),
    "Regression on HU, age, sex": ("hu", "age", "is_female"),
    "Regression on BCC-Net, age, sex": ("network", "age", "is_female"),
}
"""What each logistic regression knows; the paper's outlook is to add clinical facts (section 4)."""


@dataclass(frozen=True, eq=False)
class Patients:
    """What is known of some patients, one row each.

    Args:
        truth: Class index.
        hu: Mean trabecular attenuation over the slices that were classified; nan without any.
        age: Years; nan where unknown.
        is_female: 1 or 0; nan where unknown or neither.
        network: Log-probabilities of the bundle's classifier, shape (patients, 3).
    """

    truth: NDArray[np.int64]
    hu: NDArray[np.float64]
    age: NDArray[np.float64]
    is_female: NDArray[np.float64]
    network: NDArray[np.float64]


def patients_of(readings: Readings, temperature: float) -> Patients:
    """Join the slices of each patient that was classified and whose condition is known.

    Args:
        readings: What the bundle said.
        temperature: Of its classifier.
    Returns: Rows in the order of ``readings.patient_scores``.
    """
    known = readings.is_known
    cases = [case for case, keep in zip(readings.cases, known) if keep]
    sexes = {"F": 1.0, "M": 0.0}
    columns = np.array(
        [
            (np.nan if case.age is None else case.age, sexes.get(case.sex or "", np.nan))
            for case in cases
        ]
    ).reshape(-1, 2)
    measured = np.isfinite(readings.hu[known])
    values = np.column_stack(
        [
            columns,
            np.where(measured, readings.hu[known], 0),
            measured,
            softmax(readings.logits[known], temperature),
        ]
    )
    truth, mean = by_patient([case.patient_id for case in cases], readings.truth[known], values)
    with np.errstate(invalid="ignore"):
        hu = mean[:, 2] / mean[:, 3]
    return Patients(truth, hu, mean[:, 0], mean[:, 1], np.log(np.maximum(mean[:, 4:], 1e-6)))


def limit_scores(limits: Limits, hu: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each patient lies inside each class of a rule.

    Args:
        limits: The rule.
        hu: Trabecular attenuation of each patient.
    Returns: HU, shape (patients, 3): the highest is the class that the rule gives; each column
        ranks the patients for its class.
    """
    above, below = hu - limits.normal_hu, limits.osteoporosis_hu - hu
    between = np.minimum(-above, -below)
    # A limit itself belongs to the middle class, so the others must not tie with it.
    return np.column_stack([np.nextafter(above, -np.inf), between, np.nextafter(below, -np.inf)])


def fit(names: Sequence[str], patients: Patients) -> Pipeline:
    """Fit a logistic regression of the classes.

    Args:
        names: Fields of ``Patients`` that it knows.
        patients: Of whom all of them are known, at least one of each class.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(features(names, patients), patients.truth)


def features(names: Sequence[str], patients: Patients) -> NDArray[np.float64]:
    """Return the named fields side by side, shape (patients, numbers)."""
    return np.column_stack([getattr(patients, name) for name in names])


@dataclass(frozen=True, eq=False)
class Baseline:
    """What a baseline says of some patients.

    Args:
        name: Of the baseline.
        source: Where it comes from, or why it says nothing.
        kept: Which of the patients it can score, those whose facts are known; all false where it
            says nothing.
        score: Scores of the kept ones, shape (kept, 3).
    """

    name: str
    source: str
    kept: NDArray[np.bool_]
    score: NDArray[np.float64]


def score_baselines(
    fitted_on: Patients, patients: Patients, *, is_of_its_own: bool
) -> list[Baseline]:
    """Score patients by every baseline, each those whose facts it needs are known.

    Args:
        fitted_on: Patients for the regressions, none of them among the others.
        patients: Whom to score.
        is_of_its_own: Whether the networks were not trained on ``fitted_on``: only then a
            regression may be fitted on what they said of it.
    """
    measured = _is_known(("hu",), patients)
    made = [
        _score(one.name, one.source, measured, patients, limit_scores(one, patients.hu[measured]))
        for one in LIMITS
    ]
    for name, facts in REGRESSIONS.items():
        known, kept = _is_known(facts, fitted_on), _is_known(facts, patients)
        source = f"logistic regression, fitted on {int(known.sum())} patients"
        if "network" in facts and not is_of_its_own:
            made.append(
                _nothing(name, "no patients to fit on that no network was trained on", kept)
            )
        elif len(set(fitted_on.truth[known].tolist())) < len(CONDITIONS):
            why = "no case of some class to fit on whose HU, age and sex are known"
            made.append(_nothing(name, why, kept))
        elif not kept.any():
            made.append(_nothing(name, "no case whose facts are known", kept))
        else:
            model = fit(facts, rows_of(fitted_on, known))
            score = np.asarray(model.predict_proba(features(facts, rows_of(patients, kept))))
            made.append(_score(name, source, kept, patients, score))
    return made


def _score(
    name: str,
    source: str,
    kept: NDArray[np.bool_],
    patients: Patients,
    score: NDArray[np.float64],
) -> Baseline:
    """Return what a baseline says, or why nothing: every class is needed to measure it."""
    for index, condition in enumerate(CONDITIONS):
        if not (patients.truth[kept] == index).any():
            why = f"no {texts.IN_SENTENCE[condition]} case whose facts are known"
            return _nothing(name, why, kept)
    return Baseline(name, source, kept, score)


def _nothing(name: str, why: str, kept: NDArray[np.bool_]) -> Baseline:
    nobody = np.zeros(len(kept), bool)
    return Baseline(name, f"undefined: {why}", nobody, np.zeros((0, len(CONDITIONS))))


def _is_known(names: Sequence[str], patients: Patients) -> NDArray[np.bool_]:
    """Return of which patients all the named fields are known."""
    known: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(features(names, patients)), axis=1)
    return known


def rows_of(patients: Patients, kept: NDArray[np.bool_]) -> Patients:
    """Return some of the patients."""
    return Patients(**{one.name: getattr(patients, one.name)[kept] for one in fields(Patients)})
