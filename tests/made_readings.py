"""Readings as a test needs them, without images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscreen.cohort.manifest import Case, Split
from osteoscreen.evaluation.readings import Readings, Shows
from osteoscreen.findings import CONDITIONS


def made_readings(
    patients: Sequence[str],
    truth: Sequence[int],
    logits: NDArray[np.float64],
    *,
    overlaps: Sequence[Mapping[str, float]] | None = None,
    hu: NDArray[np.float64] | None = None,
    rivals: Mapping[str, NDArray[np.float64]] | None = None,
    columns: Sequence[Mapping[str, Any]] | None = None,
) -> Readings:
    """One slice a row; ``columns`` are further columns of the manifest, by row."""
    cases = tuple(
        Case(
            case_id=str(index),
            patient_id=patient,
            image="x",
            condition=CONDITIONS[condition],
            split=Split.TEST,
            **(columns[index] if columns else {}),
        )
        for index, (patient, condition) in enumerate(zip(patients, truth, strict=True))
    )
    nothing = np.full(len(cases), np.nan)
    return Readings(
        cases=cases,
        overlaps=tuple(overlaps or [{}] * len(cases)),
        logits=logits,
        hu=nothing if hu is None else hu,
        shows=(Shows.MIDDLE,) * len(cases),
        width_mm=np.full(len(cases), 360.0),
        rivals=rivals or {},
    )
