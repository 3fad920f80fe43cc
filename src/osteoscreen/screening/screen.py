"""Screen one standing volume: marks, levels, slices, attenuation, probabilities, decision."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteoscreen import __version__, texts
from osteoscreen.bundle import PLACES, Bundle
from osteoscreen.errors import RefusalCode
from osteoscreen.findings import (
    Acquisition,
    Probabilities,
    Refusal,
    Reservation,
    ScreeningResult,
    SliceFinding,
    Subject,
)
from osteoscreen.screening.attenuation import trabecular_hu
from osteoscreen.screening.bands import reference_band
from osteoscreen.screening.bodies import part_bodies
from osteoscreen.screening.decision import Evidence, aggregate, decide, softmax, to_probabilities
from osteoscreen.screening.given import GivenMarks, given_bodies, has_odd_count
from osteoscreen.screening.level_findings import (
    left_out,
    level_findings,
    patient_hu,
    patient_noise_hu,
    patient_probabilities,
    see_vertebrae,
    shifted_conditions,
)
from osteoscreen.screening.marking import Marks, mark_volume
from osteoscreen.screening.naming import name_levels, place_probabilities
from osteoscreen.screening.reservations import (
    level_reservations,
    scan_reservations,
    shift_reservations,
    slice_reservations,
    unnamed_reservations,
)
from osteoscreen.screening.slices import (
    body_areas_mm2,
    choose_slices,
    classified_mark,
    holds_bone,
    mark_areas_mm2,
    roi_logits,
)
from osteoscreen.screening.unlike import patient_features, unlike_score
from osteoscreen.screening.vertebrae import Vertebra, find_vertebrae
from osteoscreen.volume import Volume

LUMBAR = ("L1", "L2", "L3", "L4", "L5")
NOT_LUMBAR = 0.5
"""A single slice from this probability on; it has no neighbours that could tell."""
SACRUM_MARKS = {"S1": "below"}
DOUBTFUL_REGION = 0.2
"""From this probability on that none of the vertebrae is lumbar, nothing is said of them."""
LEAST_FIT = 0.3
"""Where the names fit the slices less, these are in no order that a spine has: a head phantom has
0.14, spines 0.45 and more (docs/levels.md)."""


@dataclass(frozen=True)
class Scanned:
    """What is known about the series besides its pixels.

    Args:
        subject: Who, without identity.
        acquisition: How.
        reservations: Raised while reading.
        index_of: Position in the input of each slice of the standing volume.
        choice: Why this series of its study; ``None`` where there was no choice.
    """

    subject: Subject
    acquisition: Acquisition
    reservations: tuple[Reservation, ...]
    index_of: tuple[int, ...]
    choice: str | None = None


@dataclass(frozen=True, eq=False)
class Screening:
    """A result with the pictures behind it.

    Args:
        result: What is said.
        marks: Marks on the standing volume.
        chosen: Slices of the standing volume that were classified.
        vertebrae: The named vertebrae, rising; none where nothing has a name.
        bodies: Number of the vertebra that each voxel of a body belongs to; ``None`` as above.
    """

    result: ScreeningResult
    marks: Marks
    chosen: tuple[int, ...]
    vertebrae: tuple[Vertebra, ...] = ()
    bodies: NDArray[np.uint8] | None = None


def screen_volume(
    volume: Volume,
    scanned: Scanned,
    bundle: Bundle,
    *,
    given: GivenMarks | None = None,
    advance: Callable[[int], None] | None = None,
) -> Screening:
    """Screen one standing volume.

    Args:
        volume: CT in HU, slices rising to the head.
        scanned: What is known about the series.
        bundle: Model bundle.
        given: Marks from elsewhere, instead of MS-Net's.
        advance: Called with the number of slices just marked.
    Returns: The result, screened, or refused as NO_LUMBAR, with the marks.
    """
    clock = _Clock()
    needs_own = given is None or given.body is None
    own = mark_volume(volume, bundle, advance=advance) if needs_own else None
    marks = own if given is None else given.joined(own)
    assert marks is not None
    clock.lap("marks")
    named = _named(volume, marks, bundle, given)
    is_unnamed = named is None and len(volume.hu) == 1
    elsewhere = _elsewhere(volume, marks, bundle) if is_unnamed else 0.0
    clock.lap("levels")
    one = _Series(volume, marks, scanned, bundle, clock)
    if elsewhere > NOT_LUMBAR:
        return one.refuse(texts.NOT_LUMBAR_SLICE.format(probability=elsewhere))
    return one.screen_unnamed() if named is None else one.screen_named(named)


def _elsewhere(volume: Volume, marks: Marks, bundle: Bundle) -> float:
    """Probability that a single slice shows no lumbar vertebra; 0 where the bundle cannot tell."""
    if bundle.settings.levels is None:
        return 0.0
    (places,) = place_probabilities(volume, marks, bundle)
    return float(1 - sum(places[PLACES.index(level)] for level in LUMBAR))


@dataclass(frozen=True, eq=False)
class _Named:
    """Bodies with names: their map, their vertebrae, and how sure the names are."""

    bodies: NDArray[np.uint8]
    vertebrae: tuple[Vertebra, ...]
    confidence: float | None = None
    no_lumbar_probability: float = 0.0
    is_odd: bool = False
    fit: float = 1.0


def _named(volume: Volume, marks: Marks, bundle: Bundle, given: GivenMarks | None) -> _Named | None:
    """Name the vertebrae, by the given masks or by LevelNet; ``None`` where nothing can."""
    if given is not None and given.levels:
        bodies, names = given_bodies(given, marks)
        vertebrae = find_vertebrae(bodies, names, volume.spacing_mm)
        return _Named(bodies, vertebrae, is_odd=has_odd_count(names))
    levels = name_levels(volume, marks, bundle) if len(volume.hu) > 1 else None
    if levels is None:
        return None
    bodies = part_bodies(marks.body_or_vertebra, levels.spans, volume.spacing_mm)
    return _Named(
        bodies,
        # MS-Net is taught to leave the sacrum out; what it marks there all the same is no S1.
        find_vertebrae(bodies, [SACRUM_MARKS.get(n, n) for n in levels.names], volume.spacing_mm),
        levels.confidence,
        levels.no_lumbar_probability,
        levels.is_odd,
        levels.fit,
    )


class _Clock:
    """How long each step took."""

    def __init__(self) -> None:
        self.timing_s: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.timing_s[name] = round(now - self._since, 3)
        self._since = now


@dataclass(frozen=True, eq=False)
class _Series:
    """A marked series and all that its result is made of."""

    volume: Volume
    marks: Marks
    scanned: Scanned
    bundle: Bundle
    clock: _Clock

    def screen_unnamed(self) -> Screening:
        """Screen slices whose vertebrae have no names, as the paper does."""
        chosen = choose_slices(self.volume, self.marks, self.bundle)
        if not chosen:
            return self.refuse(texts.NOTHING_MARKED)
        logits, chances = self._classify(chosen)
        probabilities = aggregate(np.stack(list(chances.values())))
        thickness = self.scanned.acquisition.thickness_mm
        evidence = Evidence(unlike_score=self._unlike(logits), thickness_mm=thickness)
        reservations = (
            *unnamed_reservations(len(self.volume.hu)),
            *slice_reservations(self.volume.hu, chosen, self.marks),
        )
        told = {
            "slices": self._slices(chances, {}),
            "attenuation_note": texts.NO_BAND.format(reason=texts.BAND_UNNAMED),
        }
        return self._say(probabilities, evidence, reservations, told, chosen)

    def screen_named(self, named: _Named) -> Screening:
        """Screen a series whose vertebrae have names."""
        said = self._screen_named(named)
        if said.result.refusal is not None:
            return said  # what is refused is not named either
        return replace(said, vertebrae=named.vertebrae, bodies=named.bodies)

    def _screen_named(self, named: _Named) -> Screening:
        vertebrae = named.vertebrae
        usable = self._usable()
        lumbar = [one for one in vertebrae if one.is_lumbar and usable & {*one.middle}]
        if not lumbar:
            return self.refuse(texts.NO_LUMBAR)
        if named.no_lumbar_probability > DOUBTFUL_REGION:
            elsewhere = named.no_lumbar_probability
            return self.refuse(texts.NOT_LUMBAR_REGION.format(probability=elsewhere))
        if named.fit < LEAST_FIT:
            return self.refuse(texts.NO_SPINE.format(fit=named.fit))
        chosen = tuple(sorted(usable & {at for one in vertebrae for at in one.middle}))
        logits, chances = self._classify(chosen)
        has_bodies = bool(self.marks.body.any())
        seen = see_vertebrae(self.volume, named.bodies if has_bodies else None, vertebrae, chances)
        reasons = left_out(seen)
        probabilities = patient_probabilities(seen, reasons)
        index_of = self.scanned.index_of
        findings = level_findings(seen, reasons, named.confidence, index_of)
        if probabilities is None:
            return self.refuse(texts.NOTHING_CLASSIFIED)
        points = self.bundle.settings.operating_points
        band, note = reference_band(findings, self.scanned.acquisition, points.level_confidence)
        counted = [at for one, reason in zip(seen, reasons) if reason is None for at in one.chances]
        score = self._unlike({at: logits[at] for at in counted}) if counted else None
        evidence = Evidence(
            suggests_osteoporosis=band.suggests_osteoporosis if band else None,
            unlike_score=score,
            has_intact_level=bool(counted),
            thickness_mm=self.scanned.acquisition.thickness_mm,
            noise_hu=patient_noise_hu(seen, reasons),
        )
        settings = self.bundle.settings
        reservations = (
            *level_reservations(findings, settings, is_odd=named.is_odd),
            *slice_reservations(self.volume.hu, chosen, self.marks),
        )
        names = {at: one.level for one in vertebrae for at in one.middle}
        hu = patient_hu(seen, reasons)
        told = {
            "slices": self._slices(chances, names),
            "levels": findings,
            "attenuation_hu": None if hu is None else round(hu, 1),
            "attenuation_band": band,
            "attenuation_note": note,
            "condition_if_shifted": shifted_conditions(seen, reasons),
        }
        return self._say(probabilities, evidence, reservations, told, chosen)

    def _usable(self) -> set[int]:
        """Slices whose mark is large enough and holds bone."""
        areas = body_areas_mm2(self.volume, self.marks)
        smallest = self.bundle.settings.operating_points.smallest_mark_mm2
        has_roi = classified_mark(self.marks, self.bundle.settings.classifier).any(axis=(1, 2))
        return {
            int(at)
            for at in np.flatnonzero((areas >= smallest) & has_roi)
            if holds_bone(self.volume.hu[at], self.marks.vertebra[at])
        }

    def _classify(
        self, chosen: Sequence[int]
    ) -> tuple[dict[int, NDArray[np.float64]], dict[int, NDArray[np.float64]]]:
        """Logits and calibrated probabilities by slice."""
        logits = roi_logits(self.volume, self.marks, tuple(chosen), self.bundle)
        chances = softmax(logits, self.bundle.settings.classifier.temperature)
        self.clock.lap("classify")
        return dict(zip(chosen, logits)), dict(zip(chosen, chances))

    def _unlike(self, logits: Mapping[int, NDArray[np.float64]]) -> float | None:
        settings = self.bundle.settings.typical
        if settings is None:
            return None
        spacing = self.volume.spacing_mm[1:]
        hu = [trabecular_hu(self.volume.hu[at], self.marks.body[at], spacing) for at in logits]
        features = patient_features(np.stack(list(logits.values())), np.array(hu))
        return unlike_score(features, settings)

    def _slices(
        self, chances: Mapping[int, NDArray[np.float64]], names: Mapping[int, str]
    ) -> tuple[SliceFinding, ...]:
        areas = mark_areas_mm2(
            self.volume, classified_mark(self.marks, self.bundle.settings.classifier)
        )
        positions = self.volume.slice_positions_mm
        return tuple(
            SliceFinding(
                index=self.scanned.index_of[at],
                level=names.get(at),
                position_mm=round(float(positions[at]), 3),
                mark_area_mm2=round(float(areas[at]), 1),
                probabilities=to_probabilities(chance),
            )
            for at, chance in chances.items()
        )

    def _common(self) -> dict[str, Any]:
        return {
            "notice": self.bundle.settings.trained_on.notice,
            "subject": self.scanned.subject,
            "acquisition": self.scanned.acquisition,
            "series_choice": self.scanned.choice,
            "bundle": self.bundle.reference,
            "software": f"osteoscreen {__version__}",
            "timing_s": self.clock.timing_s,
        }

    def refuse(self, text: str) -> Screening:
        """Say that there is no lumbar vertebra, and why."""
        result = ScreeningResult(
            status="refused",
            refusal=Refusal(code=RefusalCode.NO_LUMBAR, text=text),
            reservations=self.scanned.reservations,
            **self._common(),
        )
        return Screening(result, self.marks, ())

    def _say(
        self,
        probabilities: Probabilities,
        evidence: Evidence,
        reservations: Sequence[Reservation],
        told: Mapping[str, Any],
        chosen: tuple[int, ...],
    ) -> Screening:
        decision = decide(probabilities, self.bundle.settings, evidence)
        self.clock.lap("measure")
        score = evidence.unlike_score
        result = ScreeningResult(
            status="screened",
            condition=decision.condition,
            certainty=decision.certainty,
            abstention=decision.abstention,
            probabilities=probabilities,
            prediction_set=decision.prediction_set,
            advice=decision.advice,
            agreement=decision.agreement,
            unlike_score=None if score is None else round(score, 2),
            reservations=(
                *decision.reservations,
                *self.scanned.reservations,
                *scan_reservations(self.scanned.acquisition, self.bundle.settings),
                *reservations,
                *shift_reservations(decision.condition, told.get("condition_if_shifted", {})),
            ),
            **told,
            **self._common(),
        )
        return Screening(result, self.marks, chosen)
