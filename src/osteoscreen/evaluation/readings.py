"""What a bundle says of a cohort, slice by slice.

As in the paper (section 3.5), the classifier is tested on the marks that MS-Net makes, not on the
reference masks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import Bundle
from osteoscreen.cohort.leakage import NONE, Fingerprints, Watch
from osteoscreen.cohort.manifest import Case, Manifest, Split
from osteoscreen.cohort.slices import LabelledSlice, read_slices
from osteoscreen.evaluation.metrics import by_patient, overlap
from osteoscreen.findings import CONDITIONS
from osteoscreen.screening.attenuation import trabecular_hu
from osteoscreen.screening.decision import softmax
from osteoscreen.screening.marking import Marks, mark_volume
from osteoscreen.screening.slices import choose_slices, cut_rois
from osteoscreen.volume import Volume


class Shows(StrEnum):
    """What a slice shows of the spine, by its masks."""

    MIDDLE = "middle"
    """One body, of at least 500 mm2."""
    END = "end"
    """Less of a body, or two."""
    DISC = "disc"
    """Arches alone, beside a disc."""
    NOTHING = "nothing"
    """No vertebra, or no mask that tells."""


MIDDLE_MM2 = 500.0
"""A slice is a middle one when it shows one body of at least this area, two thirds of T10's."""


def what_shows(one: LabelledSlice) -> Shows:
    """Return what a slice shows by its masks; bodies are told apart where the mask names levels."""
    if not one.vertebra.any():
        return Shows.NOTHING
    pixel_mm2 = one.spacing_mm[0] * one.spacing_mm[1]
    marks = one.levels.values() or (one.vertebra,)
    areas = [area for mark in marks if (area := int((mark & one.body).sum()) * pixel_mm2) > 0]
    if not areas:
        return Shows.DISC
    return Shows.MIDDLE if len(areas) == 1 and areas[0] >= MIDDLE_MM2 else Shows.END


@dataclass(frozen=True, eq=False)
class Readings:
    """What a bundle says of some slices of a cohort.

    Args:
        cases: Row of the manifest that each slice is of.
        overlaps: Scores of each slice against its masks, by ``mark.score``; empty without a mask.
        logits: Shape (slices, 3); nan where the slice is not one that a screening classifies.
        hu: Trabecular attenuation of each slice inside the bundle's own mark of the body; nan as
            ``logits``, where the mark is too small to measure, or where the bundle marks no body.
        shows: What each slice shows.
        width_mm: Field of view of each slice, its longer side.
        rivals: Logits of other classifiers on the same marks, by name; as ``logits``.
        seen: Fingerprints of the slices.
    """

    cases: tuple[Case, ...]
    overlaps: tuple[Mapping[str, float], ...]
    logits: NDArray[np.float64]
    hu: NDArray[np.float64]
    shows: tuple[Shows, ...]
    width_mm: NDArray[np.float64]
    rivals: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    seen: Fingerprints = NONE

    @property
    def patients(self) -> list[str]:
        """Patient of each slice."""
        return [case.patient_id for case in self.cases]

    @property
    def truth(self) -> NDArray[np.int64]:
        """Class index of each slice, -1 where unknown."""
        known = [case.condition for case in self.cases]
        return np.array([-1 if one is None else CONDITIONS.index(one) for one in known], np.int64)

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Which slices have a condition and were classified."""
        return np.isfinite(self.logits).all(axis=1) & (self.truth >= 0)

    @property
    def known_patients(self) -> list[str]:
        """Patient of each slice that is known."""
        return [name for name, is_known in zip(self.patients, self.is_known) if is_known]


def read_cohort(
    bundle: Bundle,
    manifest: Manifest,
    split: Split,
    *,
    rivals: Mapping[str, Bundle] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Readings:
    """Run both networks on every slice of a split.

    Args:
        bundle: Model bundle.
        manifest: Cohort.
        split: Which part of it.
        rivals: Bundles whose classifiers read the same marks, by name.
        advance: Called with the number of slices just read.
    Returns: A reading a slice; none where the split is empty.
    Raises:
        InputError: If an image or mask cannot be read.
        ManifestError: If a mask does not fit its image.
    """
    others = dict(rivals or {})
    cases: list[Case] = []
    overlaps: list[Mapping[str, float]] = []
    hu: list[NDArray[np.float64]] = [np.zeros(0)]
    shows: list[Shows] = []
    width_mm: list[float] = []
    nothing = np.zeros((0, len(CONDITIONS)))
    logits: dict[str, list[NDArray[np.float64]]] = {name: [nothing] for name in ("", *others)}
    watch = Watch()
    slices = watch.passing(read_slices(manifest, manifest.of(split)))
    for _, group in groupby(slices, key=lambda one: one.case.case_id):
        case = list(group)
        volume = to_volume(case)
        marks = mark_volume(volume, bundle)
        chosen = choose_slices(volume, marks, bundle)
        cases += [one.case for one in case]
        overlaps += [overlaps_of(bundle, marks, index, one) for index, one in enumerate(case)]
        hu.append(_attenuation(volume, marks, chosen))
        shows += [what_shows(one) for one in case]
        width_mm += [max(np.multiply(one.hu.shape, one.spacing_mm)) for one in case]
        for name, values in _logits(volume, marks, chosen, {"": bundle, **others}).items():
            logits[name].append(values)
        if advance:
            advance(len(case))
    said = {name: np.concatenate(parts) for name, parts in logits.items()}
    return Readings(
        cases=tuple(cases),
        overlaps=tuple(overlaps),
        logits=said.pop(""),
        hu=np.concatenate(hu),
        shows=tuple(shows),
        width_mm=np.array(width_mm, np.float64),
        rivals=said,
        seen=watch.seen,
    )


def to_volume(case: list[LabelledSlice]) -> Volume:
    """Stack the slices of a case. Their place does not matter to the networks, their spacing does.

    Args:
        case: Slices of one image, in order; one at least.
    """
    row_mm, column_mm = case[0].spacing_mm
    affine = np.array([[0, 0, column_mm, 0], [0, row_mm, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    return Volume(np.stack([one.hu for one in case]), affine)


def _attenuation(volume: Volume, marks: Marks, chosen: tuple[int, ...]) -> NDArray[np.float64]:
    found = np.full(len(volume.hu), np.nan)
    for index in chosen:
        found[index] = trabecular_hu(volume.hu[index], marks.body[index], volume.spacing_mm[1:])
    return found


def _logits(
    volume: Volume, marks: Marks, chosen: tuple[int, ...], bundles: Mapping[str, Bundle]
) -> dict[str, NDArray[np.float64]]:
    """Classify as a screening does: the slices that it would not choose say nan."""
    rois: dict[tuple[object, ...], NDArray[np.float32]] = {}
    found = {}
    for name, bundle in bundles.items():
        found[name] = np.full((len(volume.hu), len(CONDITIONS)), np.nan)
        settings = bundle.settings.classifier
        if chosen:
            if settings.sees not in rois:
                rois[settings.sees] = cut_rois(volume, marks, chosen, settings)
            found[name][list(chosen)] = bundle.logits(rois[settings.sees])
    return found


def overlaps_of(bundle: Bundle, marks: Marks, index: int, one: LabelledSlice) -> dict[str, float]:
    """Compare the marks of a slice with its masks.

    Args:
        bundle: What made the marks.
        marks: Of the volume.
        index: Of the slice in it.
        one: The slice with its masks.
    Returns: Scores by ``mark.score``; none of a mark that the masks do not tell.
    """
    pairs = {"vertebra": (marks.vertebra, one.vertebra), "body": (marks.body, one.body)}
    return {
        f"{name}_{score}": value
        for name, (marked, reference) in pairs.items()
        if reference.any() and name in bundle.settings.segmenter.marks
        for score, value in asdict(overlap(marked[index], reference)).items()
    }


def patient_scores(
    readings: Readings, temperature: float, *, rival: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Join the slices of each patient whose condition is known.

    Args:
        readings: What the bundle said; one slice at least has a condition and was classified.
        temperature: Of the classifier.
        rival: Whose logits to take; ``None`` for the bundle's own.
    Returns: Class index and probabilities of each patient, the mean over its slices.
    """
    known = readings.is_known
    logits = readings.logits if rival is None else readings.rivals[rival]
    return by_patient(
        readings.known_patients, readings.truth[known], softmax(logits[known], temperature)
    )
