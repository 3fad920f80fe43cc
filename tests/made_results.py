"""A CT series, the marks of three vertebrae in it and a result that goes with them, all made up."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bad_inputs import series
from osteoscreen import texts
from osteoscreen.dicom.discovery import find_series
from osteoscreen.dicom.segment import NumberedSegments, number_vertebrae
from osteoscreen.dicom.series import CTSeries, read_series
from osteoscreen.errors import RefusalCode
from osteoscreen.findings import (
    BoneCondition,
    BundleReference,
    Certainty,
    LeftOut,
    LevelFinding,
    Probabilities,
    ReferenceBand,
    Refusal,
    Reservation,
    ReservationCode,
    ScreeningResult,
    Subject,
)

LEVELS = ("L3", "L2", "L1")
"""Rising, two slices each."""


def made_series(folder: Path) -> CTSeries:
    """Write and read a series of six slices."""
    series(folder, study_date="20240131", study_description="ABDOMEN")
    return read_series(find_series(folder).series[0])


def made_marks(shape: tuple[int, ...] = (6, 72, 72)) -> NumberedSegments:
    """Mark a body and an arch behind it; L1 has no arch in its upper slice."""
    marks, named = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    marks[:, 30:45, 25:44] = 1
    marks[:5, 50:60, 33:37] = 2
    for slice_, number in enumerate((1, 1, 2, 2, 3, 3)):
        named[slice_] = number
    return number_vertebrae(marks, named, LEVELS)


def shares(normal: float, low: float, osteoporosis: float) -> Probabilities:
    """Three probabilities."""
    return Probabilities(normal_bone_mass=normal, low_bone_mass=low, osteoporosis=osteoporosis)


def made_result(**changes: object) -> ScreeningResult:
    """A doubtful result of three vertebrae, one of them left out."""
    fields: dict[str, object] = {
        "status": "screened",
        "notice": texts.NOTICE,
        "condition": BoneCondition.LOW,
        "certainty": Certainty.DOUBTFUL,
        "probabilities": shares(1 / 3 - 0.1, 1 / 3 + 0.2, 1 / 3 - 0.1),
        "prediction_set": (BoneCondition.LOW, BoneCondition.OSTEOPOROSIS),
        "advice": "DXA or QCT would tell.",
        "attenuation_hu": 118.25,
        "attenuation_band": ReferenceBand(
            level="L1",
            attenuation_hu=120.5,
            above_hu=100,
            up_to_hu=160,
            meaning="between the limits",
            suggests_osteoporosis=None,
            source="a paper",
            holds_for="120 kVp",
        ),
        "levels": (
            LevelFinding(
                level="L1",
                confidence=0.987,
                slices=(4, 5),
                attenuation_hu=120.5,
                attenuation_median_hu=119.0,
                attenuation_spread_hu=31.7,
                probabilities=shares(0.25, 0.5, 0.25),
            ),
            LevelFinding(
                level="L2",
                confidence=0.987,
                slices=(2, 3),
                attenuation_hu=116.0,
                attenuation_median_hu=115.5,
                attenuation_spread_hu=30.1,
                probabilities=shares(0.2, 0.6, 0.2),
            ),
            LevelFinding(
                level="L3",
                confidence=0.987,
                slices=(0, 1),
                attenuation_hu=None,
                left_out=LeftOut.CUT,
                probabilities=None,
            ),
        ),
        "reservations": (
            Reservation(code=ReservationCode.DOUBTFUL, text="No class has a clear majority."),
            Reservation(code=ReservationCode.LEVEL_LEFT_OUT, text="L3 does not count: cut off."),
        ),
        "subject": Subject(key="0123456789abcdef", age=61, sex="F"),
        "bundle": BundleReference(name="made", version="1.2", sha256="ab" * 32),
        "software": "osteoscreen 9.9",
        "timing_s": {"read": 0.5},
    }
    return ScreeningResult.model_validate(fields | changes)


def made_refusal() -> ScreeningResult:
    """A series that shows no lumbar spine."""
    refusal = Refusal(code=RefusalCode.NO_LUMBAR, text="no lumbar vertebra was marked")
    return ScreeningResult(
        status="refused", notice=texts.NOTICE, refusal=refusal, software="osteoscreen 9.9"
    )


def made_pdf(words: str = "a report") -> bytes:
    """Draw a page; the same words are the same bytes."""
    figure, page = Figure(), BytesIO()
    figure.text(0.1, 0.9, words)
    figure.savefig(page, format="pdf", metadata={"CreationDate": None})
    return page.getvalue()
