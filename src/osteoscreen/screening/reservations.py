"""Reasons for caution that the marked and named series itself gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from osteoscreen import texts
from osteoscreen.bundle import BundleSettings
from osteoscreen.findings import (
    Acquisition,
    BoneCondition,
    LeftOut,
    LevelFinding,
    Reservation,
    ReservationCode,
)
from osteoscreen.screening.marking import Marks

FEW_SLICES = 4
"""Below four slices the mean over slices is less certain than the card's figures (four a case)."""
FEW_LEVELS = 2
"""Densitometry takes the mean of two vertebrae at least."""


def scan_reservations(acquisition: Acquisition, settings: BundleSettings) -> Iterator[Reservation]:
    """What the bundle was not trained on."""
    trained = settings.trained_on
    if trained.is_synthetic:
        yield texts.reservation(ReservationCode.SYNTHETIC_TRAINING)
    thickness = acquisition.thickness_mm
    low, high = trained.thickness_mm
    if thickness is not None and not low <= thickness <= high:
        within = texts.span(low, high)
        yield texts.reservation(
            ReservationCode.THICKNESS_OTHER, thickness_mm=thickness, trained=within
        )
    low, high = trained.kvp
    if acquisition.kvp is None:
        yield texts.reservation(ReservationCode.KVP_UNKNOWN)
    elif not low <= acquisition.kvp <= high:
        within = texts.span(low, high)
        yield texts.reservation(ReservationCode.KVP_OTHER, kvp=acquisition.kvp, trained=within)


SATURATED_HU = 3071.0
"""The highest value of the usual 12-bit scale: 4095 - 1024."""


def slice_reservations(
    hu: NDArray[np.float32], chosen: Sequence[int], marks: Marks
) -> Iterator[Reservation]:
    """What the classified slices give reason for; ``hu`` is the series."""
    count = len(hu)
    if any((hu[at][marks.vertebra[at]] >= SATURATED_HU).any() for at in chosen):
        yield texts.reservation(ReservationCode.SATURATED, hu=SATURATED_HU)
    if count == 1:
        yield texts.reservation(ReservationCode.SINGLE_SLICE)
    elif len(chosen) < FEW_SLICES:
        yield texts.reservation(ReservationCode.FEW_SLICES, count=len(chosen))
    if any(_touches_edge(marks.vertebra[index]) for index in chosen):
        yield texts.reservation(ReservationCode.FIELD_OF_VIEW_CUT)


def _touches_edge(mark: NDArray[np.bool_]) -> bool:
    return bool(mark[0].any() or mark[-1].any() or mark[:, 0].any() or mark[:, -1].any())


def unnamed_reservations(count: int) -> Iterator[Reservation]:
    """What a series without named vertebrae gives reason for."""
    if count > 1:
        yield texts.reservation(ReservationCode.LEVELS_UNKNOWN)


def level_reservations(
    levels: Sequence[LevelFinding], settings: BundleSettings, *, is_odd: bool
) -> Iterator[Reservation]:
    """What the named vertebrae give reason for, but for their class."""
    confidence = min((one.confidence for one in levels if one.confidence is not None), default=1.0)
    if confidence < settings.operating_points.level_confidence:
        yield texts.reservation(ReservationCode.LEVELS_UNSURE, confidence=confidence)
    if is_odd:
        yield texts.reservation(ReservationCode.TRANSITIONAL)
    for one in levels:
        if one.left_out is not None and one.left_out is not LeftOut.NOT_LUMBAR:
            reason = texts.LEFT_OUT_BECAUSE[one.left_out]
            yield texts.reservation(ReservationCode.LEVEL_LEFT_OUT, level=one.level, reason=reason)
    counted = [one for one in levels if one.left_out is None]
    if len(counted) < FEW_LEVELS:
        yield texts.reservation(ReservationCode.FEW_LEVELS, count=len(counted), usual=FEW_LEVELS)


def shift_reservations(
    condition: BoneCondition | None, shifted: Mapping[str, BoneCondition]
) -> Iterator[Reservation]:
    """Whether the class hangs on the names; without a class nothing does."""
    other = [one for one in shifted.values() if one is not condition]
    if condition is not None and other:
        yield texts.reservation(ReservationCode.LEVELS_MATTER, conditions=texts.either(other))
