"""From logits of slices to the class, the probabilities and the advice of a patient.

The probabilities of a vertebra are the mean of the calibrated probabilities of its slices, those
of the patient the mean over vertebrae, so that each counts alike however many slices cut it. The
advice follows section 3.5 of the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from osteoscreen import texts
from osteoscreen.bundle import BundleSettings
from osteoscreen.findings import (
    CONDITIONS,
    Abstention,
    BoneCondition,
    Certainty,
    Probabilities,
    Reservation,
    ReservationCode,
)

Agreement = Literal["agree", "neither", "disagree"]


@dataclass(frozen=True)
class Decision:
    """What is said of a patient.

    Args:
        condition: The class; ``None`` where no statement is made.
        certainty: How much is said.
        abstention: Why no statement is made, if none is.
        prediction_set: Classes that remain possible.
        advice: For the radiologist.
        agreement: How the class stands to what the attenuation points to; ``None`` if to nothing.
        reservations: What the decision itself gives reason for.
    """

    condition: BoneCondition | None
    certainty: Certainty
    abstention: Abstention | None
    prediction_set: tuple[BoneCondition, ...]
    advice: str
    agreement: Agreement | None
    reservations: tuple[Reservation, ...]


@dataclass(frozen=True)
class Evidence:
    """What is known besides the probabilities; all of it may be unknown.

    Args:
        suggests_osteoporosis: Whether the attenuation points to osteoporosis, or away from it.
        unlike_score: Distance from the calibration patients.
        has_intact_level: Whether some vertebra of L1 to L4 counts.
        thickness_mm: Of the slices.
        noise_hu: Spread of trabecular HU, the median over the vertebrae that count.
    """

    suggests_osteoporosis: bool | None = None
    unlike_score: float | None = None
    has_intact_level: bool = True
    thickness_mm: float | None = None
    noise_hu: float | None = None


def decide(probabilities: Probabilities, settings: BundleSettings, evidence: Evidence) -> Decision:
    """Turn probabilities into class, certainty and advice, all from one place.

    Args:
        probabilities: Of the patient.
        settings: Quantile and operating points of the bundle.
        evidence: What else is known.
    """
    leading = probabilities.condition
    quantile = settings.classifier.conformal_quantile
    possible = prediction_set(probabilities, quantile) if quantile is not None else ()
    abstention = _abstention(possible, settings, evidence)
    reservations = []
    agreement = agreement_of(leading, evidence.suggests_osteoporosis)
    if agreement == "disagree" and evidence.suggests_osteoporosis is not None:
        networks = texts.IN_SENTENCE[leading]
        says = texts.ATTENUATION_SAYS[evidence.suggests_osteoporosis]
        reservations.append(
            texts.reservation(ReservationCode.DISAGREEMENT, networks=networks, says=says)
        )
    if abstention is not None:
        faults = texts.REASONS_BETWEEN.join(_faults(settings, evidence))
        reason = texts.ABSTENTIONS[abstention].format(faults=faults)
        abstained = texts.reservation(ReservationCode.ABSTAINED, reason=reason)
        said = (*reservations, abstained)
        return Decision(
            None, Certainty.ABSTAINED, abstention, possible, abstained.text, agreement, said
        )
    point = settings.operating_points.clear_probability
    doubts = texts.REASONS_BETWEEN.join(_doubts(probabilities, point, possible, agreement))
    if doubts:
        reservations.append(texts.reservation(ReservationCode.DOUBTFUL, reasons=doubts))
    return Decision(
        leading,
        Certainty.DOUBTFUL if doubts else Certainty.CLEAR,
        None,
        possible,
        advise(probabilities, clear=not doubts),
        agreement,
        tuple(reservations),
    )


def agreement_of(leading: BoneCondition, suggests_osteoporosis: bool | None) -> Agreement | None:
    """Compare the class of the networks with what the attenuation points to, or away from."""
    if suggests_osteoporosis is None:
        return None
    is_osteoporosis = leading is BoneCondition.OSTEOPOROSIS
    if is_osteoporosis and suggests_osteoporosis:
        return "agree"
    against = BoneCondition.NORMAL if suggests_osteoporosis else BoneCondition.OSTEOPOROSIS
    return "disagree" if leading is against else "neither"


def _abstention(
    possible: tuple[BoneCondition, ...], settings: BundleSettings, evidence: Evidence
) -> Abstention | None:
    if not evidence.has_intact_level:
        return Abstention.NO_INTACT_LEVEL
    if any(_faults(settings, evidence)):
        return Abstention.IMAGE_QUALITY
    score = evidence.unlike_score
    if settings.typical is not None and (score is None or score > settings.typical.limit):
        return Abstention.UNLIKE_TRAINING  # what cannot be compared is unlike, too
    return Abstention.ANY_CLASS if len(possible) == len(CONDITIONS) else None


def _faults(settings: BundleSettings, evidence: Evidence) -> Iterator[str]:
    """Say what of the images is not good enough."""
    points = settings.operating_points
    thickness, noise = evidence.thickness_mm or 0.0, evidence.noise_hu or 0.0
    if thickness > points.thickest_mm:
        yield texts.TOO_THICK.format(thickness=thickness, most=points.thickest_mm)
    if noise > points.noisiest_hu:
        yield texts.TOO_NOISY.format(noise=noise, most=points.noisiest_hu)


def _doubts(
    probabilities: Probabilities,
    clear_probability: float,
    possible: Sequence[BoneCondition],
    agreement: Agreement | None,
) -> Iterator[str]:
    """Say what keeps the leading class from being clear."""
    if max(probabilities.as_tuple()) < clear_probability:
        yield texts.NOT_REACHED.format(probability=clear_probability)
    others = [texts.IN_SENTENCE[one] for one in possible if one is not probabilities.condition]
    if others:
        yield texts.STILL_POSSIBLE.format(others=texts.OTHERS_BETWEEN.join(others))
    if agreement == "disagree":
        yield texts.CONTRADICTED


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return probabilities of the last axis; a temperature above 1 makes them milder."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=-1, keepdims=True))


def to_probabilities(values: NDArray[np.float64]) -> Probabilities:
    """Turn three numbers that sum to 1 into the result's probabilities."""
    shares = np.clip(values, 0, 1) / np.clip(values, 0, 1).sum()
    return Probabilities(**dict(zip(CONDITIONS, map(float, shares))))


def aggregate(slice_probabilities: NDArray[np.float64]) -> Probabilities:
    """Return the probabilities of a vertebra, or of a patient: the mean over its parts.

    Args:
        slice_probabilities: Of slices or vertebrae, shape (parts, 3), at least one.
    """
    return to_probabilities(slice_probabilities.mean(axis=0))


def is_clear(
    probabilities: Probabilities, clear_probability: float, quantile: float | None = None
) -> bool:
    """Return whether the leading class has a clear majority and stands alone in its set.

    Args:
        probabilities: Of the patient.
        clear_probability: Operating point of the bundle.
        quantile: Of the prediction sets; ``None`` where the bundle has none.
    """
    possible = prediction_set(probabilities, quantile)
    return not any(_doubts(probabilities, clear_probability, possible, None))


def advise(probabilities: Probabilities, *, clear: bool) -> str:
    """Return the advice for the radiologist (paper, section 3.5)."""
    return texts.ADVICE[probabilities.condition, clear]


def prediction_set(
    probabilities: Probabilities, quantile: float | None
) -> tuple[BoneCondition, ...]:
    """Return the classes that the split-conformal set holds, with the condition always in it.

    Args:
        probabilities: Of the patient.
        quantile: Calibrated largest 1 - p; ``None`` gives the condition alone.
    """
    values = probabilities.as_tuple()
    limit = -1.0 if quantile is None else quantile
    return tuple(
        condition
        for condition, value in zip(CONDITIONS, values)
        if 1 - value <= limit or condition is probabilities.condition
    )
