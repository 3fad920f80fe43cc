"""Reasons for caution that the marked and named series itself gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

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

LEFT_OUT = {
    LeftOut.CUT: "the series cuts it off",
    LeftOut.DENSE: "metal, cement or compact bone fills a part of it",
    LeftOut.COLLAPSED: "it is much lower than the others",
    LeftOut.OUTLIER: "its attenuation is unlike that of the others",
}


def scan_reservations(acquisition: Acquisition, settings: BundleSettings) -> Iterator[Reservation]:
    """What the bundle was not trained on."""
    trained = settings.trained_on
    if trained.is_synthetic:
        yield _reserve(
            ReservationCode.SYNTHETIC_TRAINING,
            "The networks were trained on synthetic CT and never saw a real patient.",
        )
    thickness = acquisition.thickness_mm
    low, high = trained.thickness_mm
    if thickness is not None and not low <= thickness <= high:
        yield _reserve(
            ReservationCode.THICKNESS_OTHER,
            f"Slices are {thickness:g} mm thick; the networks were trained on {low:g} to {high:g}.",
        )
    low, high = trained.kvp
    if acquisition.kvp is None:
        yield _reserve(
            ReservationCode.KVP_UNKNOWN,
            "Tube voltage is not recorded; attenuation depends on it.",
        )
    elif not low <= acquisition.kvp <= high:
        trained_kvp = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        yield _reserve(
            ReservationCode.KVP_OTHER,
            f"Tube voltage is {acquisition.kvp:g} kV; the networks were trained on {trained_kvp}.",
        )


SATURATED_HU = 3071.0
"""The highest value of the usual 12-bit scale: 4095 - 1024."""


def slice_reservations(
    hu: NDArray[np.float32], chosen: Sequence[int], marks: Marks
) -> Iterator[Reservation]:
    """What the classified slices give reason for; ``hu`` is the series."""
    count = len(hu)
    if any((hu[at][marks.vertebra[at]] >= SATURATED_HU).any() for at in chosen):
        yield _reserve(
            ReservationCode.SATURATED,
            f"Values in a marked vertebra reach {SATURATED_HU:g} HU, the end of the 12-bit scale.",
        )
    if count == 1:
        yield _reserve(
            ReservationCode.SINGLE_SLICE,
            "A single slice: nothing confirms that it shows a lumbar vertebra.",
        )
    elif len(chosen) < FEW_SLICES:
        yield _reserve(
            ReservationCode.FEW_SLICES, f"Slices that could be classified: {len(chosen)}."
        )
    if any(_touches_edge(marks.vertebra[index]) for index in chosen):
        yield _reserve(
            ReservationCode.FIELD_OF_VIEW_CUT, "A marked vertebra touches the edge of the image."
        )


def _touches_edge(mark: NDArray[np.bool_]) -> bool:
    return bool(mark[0].any() or mark[-1].any() or mark[:, 0].any() or mark[:, -1].any())


def unnamed_reservations(count: int) -> Iterator[Reservation]:
    """What a series without named vertebrae gives reason for."""
    if count > 1:
        yield _reserve(
            ReservationCode.LEVELS_UNKNOWN,
            "The vertebrae are not named: nothing confirms that they are lumbar.",
        )


def level_reservations(
    levels: Sequence[LevelFinding], settings: BundleSettings, *, is_odd: bool
) -> Iterator[Reservation]:
    """What the named vertebrae give reason for, but for their class."""
    confidence = min((one.confidence for one in levels if one.confidence is not None), default=1.0)
    if confidence < settings.operating_points.level_confidence:
        yield _reserve(
            ReservationCode.LEVELS_UNSURE,
            f"The names of the vertebrae may be off by one; they are right with a probability of "
            f"{confidence:.0%}.",
        )
    if is_odd:
        yield _reserve(
            ReservationCode.TRANSITIONAL,
            "Four or six lumbar vertebrae were counted; names count from the head down.",
        )
    for one in levels:
        if one.left_out in LEFT_OUT:
            yield _reserve(
                ReservationCode.LEVEL_LEFT_OUT,
                f"{one.level} does not count: {LEFT_OUT[one.left_out]}.",
            )
    counted = [one for one in levels if one.left_out is None]
    if len(counted) < FEW_LEVELS:
        yield _reserve(
            ReservationCode.FEW_LEVELS,
            f"Vertebrae of L1 to L4 that count: {len(counted)}; {FEW_LEVELS} are usual.",
        )


def shift_reservations(
    condition: BoneCondition | None, shifted: Mapping[str, BoneCondition]
) -> Iterator[Reservation]:
    """Whether the class hangs on the names; without a class nothing does."""
    other = sorted({one.label.lower() for one in shifted.values() if one is not condition})
    if condition is not None and other:
        yield _reserve(
            ReservationCode.LEVELS_MATTER,
            f"If every name were off by one, the class would be {' or '.join(other)}.",
        )


def _reserve(code: ReservationCode, text: str) -> Reservation:
    return Reservation(code=code, text=text)
