"""Screen one standing volume: marks, choice of slices, rois, probabilities, decision."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscreen import __version__
from osteoscreen.bundle import Bundle, ClassifierSettings
from osteoscreen.errors import RefusalCode
from osteoscreen.findings import (
    NOTICE,
    OWN_DATA_NOTICE,
    Acquisition,
    Refusal,
    Reservation,
    ReservationCode,
    ScreeningResult,
    SliceFinding,
    Subject,
)
from osteoscreen.screening.decision import (
    advise,
    aggregate,
    is_clear,
    prediction_set,
    softmax,
    to_probabilities,
)
from osteoscreen.screening.marking import Marks, mark_volume
from osteoscreen.screening.roi import RoiSettings, cut_roi
from osteoscreen.volume import Volume

BONE_PERCENTILE = 95.0
BONE_HU = 150.0
"""The brightest twentieth of a vertebra is cortex and arch, above 150 HU even in osteoporosis;
unenhanced soft tissue and water stay below 100 HU."""

FEW_SLICES = 4
"""Below four slices the mean over slices is less certain than the card's figures (four a case)."""


@dataclass(frozen=True)
class Scanned:
    """What is known about the series besides its pixels.

    Args:
        subject: Who, without identity.
        acquisition: How.
        reservations: Raised while reading.
        index_of: Position in the input of each slice of the standing volume.
    """

    subject: Subject
    acquisition: Acquisition
    reservations: tuple[Reservation, ...]
    index_of: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Screening:
    """A result with the pictures behind it.

    Args:
        result: What is said.
        marks: Marks on the standing volume.
        chosen: Slices of the standing volume that were classified.
    """

    result: ScreeningResult
    marks: Marks
    chosen: tuple[int, ...]


def screen_volume(
    volume: Volume,
    scanned: Scanned,
    bundle: Bundle,
    *,
    advance: Callable[[int], None] | None = None,
) -> Screening:
    """Screen one standing volume.

    Args:
        volume: CT in HU, slices rising to the head.
        scanned: What is known about the series.
        bundle: Model bundle.
        advance: Called with the number of slices just marked.
    Returns: The result, screened, or refused as NO_LUMBAR, with the marks.
    """
    started = time.perf_counter()
    marks = mark_volume(volume, bundle, advance=advance)
    marked = time.perf_counter()
    chosen = choose_slices(volume, marks, bundle)
    if chosen:
        findings = _findings(volume, marks, chosen, scanned, bundle)
    timing = {"marks": marked - started, "classify": time.perf_counter() - marked}
    is_synthetic = bundle.settings.trained_on.is_synthetic
    common: dict[str, Any] = {
        "notice": NOTICE if is_synthetic else OWN_DATA_NOTICE,
        "subject": scanned.subject,
        "acquisition": scanned.acquisition,
        "bundle": bundle.reference,
        "software": f"osteoscreen {__version__}",
        "timing_s": {name: round(value, 3) for name, value in timing.items()},
    }
    if not chosen:
        text = "no lumbar vertebra was marked in any slice, or no mark holds bone"
        refusal = Refusal(code=RefusalCode.NO_LUMBAR, text=text)
        result = ScreeningResult(
            status="refused", refusal=refusal, reservations=scanned.reservations, **common
        )
        return Screening(result, marks, ())
    probabilities = aggregate(np.array([one.probabilities.as_tuple() for one in findings]))
    point = bundle.settings.operating_points.clear_probability
    quantile = bundle.settings.classifier.conformal_quantile
    clear = is_clear(probabilities, point, quantile)
    own = _reservations(volume, marks, chosen, scanned, bundle)
    doubt = () if clear else (_doubtful(point),)
    result = ScreeningResult(
        status="screened",
        condition=probabilities.condition,
        probabilities=probabilities,
        prediction_set=prediction_set(probabilities, quantile) if quantile is not None else (),
        advice=advise(probabilities, clear=clear),
        slices=tuple(findings),
        reservations=(*doubt, *scanned.reservations, *own),
        **common,
    )
    return Screening(result, marks, chosen)


def choose_slices(volume: Volume, marks: Marks, bundle: Bundle) -> tuple[int, ...]:
    """Choose the slices through the middle of vertebral bodies.

    A slice is chosen when its mark reaches a share of the largest one in the series: slices
    through a disc or an endplate show less. A mark without bone in it is never chosen.
    """
    points = bundle.settings.operating_points
    areas = mark_areas_mm2(volume, marks.body if marks.body.any() else marks.vertebra)
    enough = areas >= max(points.smallest_mark_mm2, points.area_share * areas.max(initial=0))
    has_roi = _classified_mark(marks, bundle).any(axis=(1, 2))
    candidates = [int(index) for index in np.flatnonzero(enough & has_roi)]
    return tuple(i for i in candidates if _holds_bone(volume.hu[i], marks.vertebra[i]))


def _holds_bone(hu: NDArray[np.float32], vertebra: NDArray[np.bool_]) -> bool:
    """Whether a mark holds compact bone; water or soft tissue that was marked does not."""
    return bool(np.percentile(hu[vertebra], BONE_PERCENTILE) >= BONE_HU)


def mark_areas_mm2(volume: Volume, mark: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area of a mark in each slice, mm2, shape (slices,)."""
    return np.asarray(mark.sum(axis=(1, 2)) * float(np.prod(volume.spacing_mm[1:])))


def cut_rois(
    volume: Volume, marks: Marks, chosen: tuple[int, ...], settings: ClassifierSettings
) -> NDArray[np.float32]:
    """Cut the rois that BCC-Net sees of the chosen slices.

    Args:
        volume: Standing CT in HU.
        marks: Its marks.
        chosen: Slices, at least one, each with a mark.
        settings: What the classifier sees.
    Returns: Grey 0..255, shape (slices, size, size).
    """
    mark = marks.body if settings.mark == "body" else marks.vertebra
    roi_settings = RoiSettings(settings.size, settings.window_hu)
    spacing = volume.spacing_mm[1:]
    return np.stack(
        [
            cut_roi(volume.hu[index], mark[index], spacing, roi_settings, fill=settings.fill)
            for index in chosen
        ]
    )


def roi_logits(
    volume: Volume, marks: Marks, chosen: tuple[int, ...], bundle: Bundle
) -> NDArray[np.float64]:
    """Run BCC-Net on the rois of the chosen slices.

    Args:
        volume: Standing CT in HU.
        marks: Its marks.
        chosen: Slices, at least one, each with a mark.
        bundle: Model bundle.
    Returns: Logits before the temperature, shape (slices, 3).
    """
    rois = cut_rois(volume, marks, chosen, bundle.settings.classifier)
    return bundle.logits(rois).astype(np.float64)


def _classified_mark(marks: Marks, bundle: Bundle) -> NDArray[np.bool_]:
    return marks.body if bundle.settings.classifier.mark == "body" else marks.vertebra


def _findings(
    volume: Volume, marks: Marks, chosen: tuple[int, ...], scanned: Scanned, bundle: Bundle
) -> list[SliceFinding]:
    logits = roi_logits(volume, marks, chosen, bundle)
    scores = softmax(logits, bundle.settings.classifier.temperature)
    areas = mark_areas_mm2(volume, _classified_mark(marks, bundle))
    positions = volume.slice_positions_mm
    return [
        SliceFinding(
            index=scanned.index_of[index],
            position_mm=round(float(positions[index]), 3),
            mark_area_mm2=round(float(areas[index]), 1),
            probabilities=to_probabilities(score),
        )
        for index, score in zip(chosen, scores)
    ]


def _doubtful(clear: float) -> Reservation:
    text = (
        f"No class is clear: none reaches a probability of {clear:.0%} and stands alone in the "
        "prediction set."
    )
    return Reservation(code=ReservationCode.DOUBTFUL, text=text)


def _reservations(
    volume: Volume,
    marks: Marks,
    chosen: tuple[int, ...],
    scanned: Scanned,
    bundle: Bundle,
) -> list[Reservation]:
    trained, acquisition = bundle.settings.trained_on, scanned.acquisition
    found = []

    def add(code: ReservationCode, text: str) -> None:
        found.append(Reservation(code=code, text=text))

    if trained.is_synthetic:
        add(
            ReservationCode.SYNTHETIC_TRAINING,
            "The networks were trained on synthetic CT and never saw a real patient.",
        )
    if volume.hu.shape[0] > 1:
        add(
            ReservationCode.LEVELS_UNKNOWN,
            "Levels are not labelled in this version: nothing confirms that the marked vertebrae "
            "are lumbar.",
        )
    if volume.hu.shape[0] == 1:
        add(
            ReservationCode.SINGLE_SLICE,
            "A single slice: nothing confirms that it shows a lumbar vertebra.",
        )
    elif len(chosen) < FEW_SLICES:
        add(ReservationCode.FEW_SLICES, f"Slices that could be classified: {len(chosen)}.")
    thickness = acquisition.thickness_mm
    low, high = trained.thickness_mm
    if thickness is not None and not low <= thickness <= high:
        add(
            ReservationCode.THICKNESS_OTHER,
            f"Slices are {thickness:g} mm thick; the networks were trained on {low:g} to {high:g}.",
        )
    low, high = trained.kvp
    if acquisition.kvp is None:
        add(ReservationCode.KVP_UNKNOWN, "Tube voltage is not recorded; attenuation depends on it.")
    elif not low <= acquisition.kvp <= high:
        trained_kvp = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        add(
            ReservationCode.KVP_OTHER,
            f"Tube voltage is {acquisition.kvp:g} kV; the networks were trained on {trained_kvp}.",
        )
    if any(_touches_edge(marks.vertebra[index]) for index in chosen):
        add(ReservationCode.FIELD_OF_VIEW_CUT, "A marked vertebra touches the edge of the image.")
    return found


def _touches_edge(mark: NDArray[np.bool_]) -> bool:
    return bool(mark[0].any() or mark[-1].any() or mark[:, 0].any() or mark[:, -1].any())
