"""From logits of slices to the class, the probabilities and the advice of a patient.

The patient's probabilities are the mean of the calibrated probabilities of its slices, as the
paper's test images are of one patient each and several images of one vary little
(notes in docs/method.md). The advice follows section 3.5 of the paper.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscreen.findings import CONDITIONS, BoneCondition, Probabilities

ADVICE = {
    (BoneCondition.NORMAL, True): "This image alone suggests nothing further.",
    (BoneCondition.NORMAL, False): (
        "Consider the risk of osteoporosis; suggest more exercise where fitting."
    ),
    (BoneCondition.LOW, True): (
        "Early treatment is the radiologist's decision; measure bone mineral density regularly."
    ),
    (BoneCondition.LOW, False): (
        "Further examination, such as DXA, is needed to confirm the bone condition."
    ),
    (BoneCondition.OSTEOPOROSIS, True): (
        "Early treatment is the radiologist's decision; measure bone mineral density regularly."
    ),
    (BoneCondition.OSTEOPOROSIS, False): (
        "Further examination, such as DXA, is needed to confirm the bone condition."
    ),
}
"""Advice by class and clarity (paper, section 3.5)."""


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
    """Return the patient's probabilities: the mean over slices.

    Args:
        slice_probabilities: Shape (slices, 3), at least one slice.
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
    return (
        max(probabilities.as_tuple()) >= clear_probability
        and len(prediction_set(probabilities, quantile)) == 1
    )


def advise(probabilities: Probabilities, *, clear: bool) -> str:
    """Return the advice for the radiologist (paper, section 3.5)."""
    return ADVICE[probabilities.condition, clear]


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
