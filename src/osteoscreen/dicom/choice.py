"""Which series of a study to screen, and why: every other one gets a reason.

The order of the questions is the choice: a series wins by the first one in which it is better. Body
part and slice count come from headers; whether lumbar vertebrae are there is known only once they
are marked, so the series are ranked, and the next one is there where the best shows none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.uid import UID

from osteoscreen.dicom.discovery import SeriesFiles
from osteoscreen.dicom.eligibility import CT_CLASSES, derived_words, projection_words
from osteoscreen.dicom.kernel import Kernel, kernel_of

THIN_MM = 5.0
"""Thicker slices blur endplates into the body (the paper's own are 5 mm at most)."""

LONG_MM, SHORT_MM = 120.0, 30.0
"""Three lumbar vertebrae with their discs are about 110 mm long, one is about 35."""

OTHER_PARTS = (
    "ANKLE", "ARM", "BRAIN", "CHEST", "CSPINE", "ELBOW", "EXTREMITY", "FOOT", "HAND", "HEAD",
    "HEART", "HIP", "KNEE", "LEG", "LUNG", "NECK", "PELVIS", "SHOULDER", "SINUS", "THORAX",
    "TSPINE", "WRIST",
)  # fmt: skip
"""Body Part Examined (PS3.16 annex L) of regions without a lumbar spine, where it is told."""


@dataclass(frozen=True, order=True)
class Fitness:
    """How well a series fits, the most important first; compared as a whole.

    Args:
        is_axial: Whether its slices are axial.
        is_original: Whether no slice is derived.
        reach: 2 for three vertebrae and more, 1 for one, 0 for less.
        is_trunk: Whether no other region than the trunk is named.
        is_thin: Whether its slices are 5 mm thick at most.
        kernel: How its kernel renders.
        is_plain: Whether no contrast agent is recorded.
        length_mm: What it covers.
        slices: How many slices it has.
        key: The last word, so that the choice does not depend on the order of files.
    """

    is_axial: bool
    is_original: bool
    reach: int
    is_trunk: bool
    is_thin: bool
    kernel: Kernel
    is_plain: bool
    length_mm: float
    slices: int
    key: str


@dataclass(frozen=True)
class Choice:
    """The series to screen.

    Args:
        ranked: What can be screened, the best first.
        skipped: For each series but the first of these, by ``key``, why it was left.
    """

    ranked: tuple[SeriesFiles, ...]
    skipped: dict[str, str]

    @property
    def chosen(self) -> SeriesFiles | None:
        """The best series; ``None`` where none can be screened."""
        return self.ranked[0] if self.ranked else None

    def reason(self, series: SeriesFiles) -> str:
        """Say how one of the ranked series fits among them."""
        if len(self.ranked) == 1:
            return f"the only CT: {describe(series)}"
        place = self.ranked.index(series)
        rank = f"number {place + 1}" if place else "the best"
        return f"{rank} of {len(self.ranked)} CT series: {describe(series)}"


def choose_series(found: Sequence[SeriesFiles]) -> Choice:
    """Choose the series of one study to screen.

    Args:
        found: The series of one study.
    """
    skipped: dict[str, str] = {}
    candidates: list[SeriesFiles] = []
    for series in found:
        reason = _unfit(series)
        if reason is None:
            candidates.append(series)
        else:
            skipped[series.key] = reason
    ranked = tuple(sorted(candidates, key=fitness, reverse=True))
    for series in ranked[1:]:
        skipped[series.key] = (
            f"another series was chosen: {_difference(series, ranked[0])} "
            f"({describe(series)}; chosen: {describe(ranked[0])})"
        )
    return Choice(ranked, skipped)


def fitness(series: SeriesFiles) -> Fitness:
    """Rate a series by its headers."""
    return Fitness(
        is_axial=series.is_axial,
        is_original=all(kind[:1] == ("ORIGINAL",) for kind in series.image_types),
        reach=(series.length_mm >= SHORT_MM) + (series.length_mm >= LONG_MM),
        is_trunk=series.body_part not in OTHER_PARTS,
        is_thin=series.thickness_mm is not None and series.thickness_mm <= THIN_MM,
        kernel=kernel_of(series.kernel),
        is_plain=not series.has_contrast,
        length_mm=round(series.length_mm, 1),
        slices=len(series.frames),
        key=series.key,
    )


def describe(series: SeriesFiles) -> str:
    """Say in a line what a series is, from its headers."""
    rated = fitness(series)
    thickness = "unknown" if series.thickness_mm is None else f"{series.thickness_mm:g} mm"
    kernel = {Kernel.SHARP: "sharp kernel", Kernel.SOFT: "kernel", Kernel.UNKNOWN: "kernel unknown"}
    return ", ".join(
        part
        for part in (
            "axial" if rated.is_axial else "not axial",
            "original" if rated.is_original else "derived",
            f"{rated.slices} slices over {series.length_mm:.0f} mm",
            f"thickness {thickness}",
            f"{kernel[rated.kernel]} {series.kernel}".strip(),
            "contrast agent recorded" if series.has_contrast else "no contrast agent recorded",
            "" if rated.is_trunk else f"body part {series.body_part}",
        )
        if part
    )


REASONS = {
    "is_axial": "it is not axial",
    "is_original": "it is derived",
    "reach": "it covers less",
    "is_trunk": "it names another body region",
    "is_thin": "its slices are too thick, or of unknown thickness",
    "kernel": "its kernel is sharper, or unknown",
    "is_plain": "a contrast agent is recorded",
    "length_mm": "it covers less",
    "slices": "it has fewer slices",
    "key": "both fit alike, and the later identifier was taken",
}
"""Why a series lost, by the first question in which the chosen one is better."""


def _difference(series: SeriesFiles, chosen: SeriesFiles) -> str:
    own, other = fitness(series), fitness(chosen)
    return next(
        reason for name, reason in REASONS.items() if getattr(own, name) != getattr(other, name)
    )


def _unfit(series: SeriesFiles) -> str | None:
    """Why a series can never be screened, from what its headers say; None if it may be."""
    if series.modality != "CT":
        return f"modality {series.modality or 'unknown'}, not CT"
    other = [one for one in series.sop_classes if one not in ("", *CT_CLASSES)]
    if other:
        return f"{UID(other[0]).name}, not CT slices"
    for image_type in series.image_types:
        named = projection_words(image_type)
        if named:
            return f"image type {named[0]}, not CT slices"
        named = derived_words(image_type)
        if named:
            return f"image type {named[0]}, not conventional CT"
    return None
