"""Which series of a study to screen, and why: every other one gets a reason.

The order of the questions is the choice: a series wins by the first one in which it is better. Body
part and slice count come from headers; whether lumbar vertebrae are there is known only once they
are marked, so the series are ranked, and the next one is there where the best shows none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from pydicom.uid import UID

from osteoscreen import texts
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
        place, count = self.ranked.index(series), len(self.ranked)
        said = texts.CHOICE_NEXT if place else texts.CHOICE_BEST if count > 1 else texts.CHOICE_ONLY
        return said.format(place=place + 1, count=count, series=describe(series))


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
        reason, chosen = _difference(series, ranked[0]), describe(ranked[0])
        skipped[series.key] = texts.CHOICE_OTHER.format(
            reason=reason, series=describe(series), chosen=chosen
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
    rated, mm = fitness(series), series.thickness_mm
    thickness = texts.SERIES_THICKNESS_UNKNOWN if mm is None else texts.SERIES_THICKNESS
    parts = [
        texts.SERIES_AXIAL[rated.is_axial],
        texts.SERIES_ORIGINAL[rated.is_original],
        texts.SERIES_LENGTH.format(count=rated.slices, mm=series.length_mm),
        thickness.format(mm=mm),
        texts.SERIES_KERNEL[rated.kernel.name].format(name=series.kernel),
        texts.SERIES_CONTRAST[series.has_contrast],
    ]
    if not rated.is_trunk:
        parts.append(texts.SERIES_PART.format(part=series.body_part))
    return ", ".join(parts)


def _difference(series: SeriesFiles, chosen: SeriesFiles) -> str:
    """Say in what the chosen series is better, by the first question."""
    own, other = fitness(series), fitness(chosen)
    names = (one.name for one in fields(Fitness))
    return next(
        texts.SERIES_LOST[name] for name in names if getattr(own, name) != getattr(other, name)
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
