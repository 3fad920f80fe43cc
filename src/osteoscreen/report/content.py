"""What a report says and shows, in order: the page and the PDF set the same content in type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from osteoscreen import texts
from osteoscreen.findings import CONDITIONS, Probabilities, ReservationCode, ScreeningResult
from osteoscreen.report.attenuation import attenuation_drawing
from osteoscreen.report.ring import ring_drawing

CHECKSUM_LENGTH = 12
"""Hexadecimal digits of the bundle's SHA-256 that are shown: 48 bits name a bundle well enough to
be looked up, and the whole is in ``result.json``."""

DOUBTS = (ReservationCode.DOUBTFUL, ReservationCode.ABSTAINED)
"""Reservations that stand beside the headline; a result has one of them at most."""

PictureName = Literal["overlay", "sagittal", "looked"]
"""Pictures of the pixels, kept beside the result; the charts are drawn from the result."""


@dataclass(frozen=True)
class Figure:
    """A picture with its words.

    Args:
        png: The picture.
        title: Heading above it.
        caption: Sentence below it.
        alt: What it shows, for those who do not see it.
    """

    png: bytes
    title: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Fact:
    """A name and its value."""

    name: str
    value: str


@dataclass(frozen=True)
class Facts:
    """Facts under a heading; ``key`` names the group in the page."""

    key: str
    heading: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Share:
    """The probability of one condition."""

    condition: str
    label: str
    value: float
    said: str


@dataclass(frozen=True)
class Note:
    """A sentence and its code."""

    text: str
    code: str


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Content:
    """All that a report says.

    Args:
        title: Heading; holds no identity.
        notice: What the product is not, and that the result is preliminary.
        subject: Age, sex and date of the study in a line.
        is_screened: Whether there is a result.
        headline: The condition, or that none is stated.
        doubt: Why the result is not clear, or why there is none; ``None`` where it is clear.
        advice: What to do, or that there is no result.
        code: Of the refusal; ``None`` where screened.
        shares: Probabilities; empty where refused.
        facts: What else is known of the finding; empty where refused.
        ring, attenuation, overlay, sagittal, looked: Figures; ``None`` where there is none.
        reservations: Reasons for caution.
        levels, slices: Tables; ``None`` where there is nothing to tell.
        groups: How and with what the result was made.
    """

    title: str
    notice: str
    subject: str
    is_screened: bool
    headline: str
    doubt: str | None
    advice: str
    code: str | None
    shares: tuple[Share, ...]
    facts: tuple[Fact, ...]
    ring: Figure | None
    attenuation: Figure | None
    overlay: Figure | None
    sagittal: Figure | None
    looked: Figure | None
    reservations: tuple[Note, ...]
    levels: Table | None
    slices: Table | None
    groups: tuple[Facts, ...]

    @property
    def pictures(self) -> tuple[Figure, ...]:
        """The pictures of the pixels that there are, in the order in which they are shown."""
        return tuple(one for one in (self.overlay, self.sagittal, self.looked) if one is not None)


def describe(
    result: ScreeningResult, pictures: Mapping[PictureName, bytes], *, title: str
) -> Content:
    """Put a result into words and charts.

    Every probability, word and code comes from ``result``. A refused result shows no probability,
    even if some of its slices were classified.

    Args:
        result: The screened or refused series.
        pictures: PNG files by name; those that are missing are left out.
        title: Heading; holds no identity.
    """
    is_screened = result.probabilities is not None
    refusal = result.refusal
    doubt = next((one.text for one in result.reservations if one.code in DOUBTS), None)
    if refusal is not None:
        doubt = refusal.text
    return Content(
        title=title,
        notice=texts.banner(result),
        subject=texts.subject(result.subject),
        is_screened=is_screened,
        headline=_headline(result),
        doubt=None if doubt is None else texts.sentence(doubt),
        advice=texts.REFUSED_SENTENCE if result.advice is None else result.advice,
        code=None if refusal is None else refusal.code.value,
        shares=_shares(result.probabilities) if is_screened else (),
        facts=tuple(_finding_facts(result)) if is_screened else (),
        ring=_ring(result),
        attenuation=_attenuation(result),
        overlay=_overlay(result, pictures.get("overlay")),
        sagittal=_sagittal(result, pictures.get("sagittal")),
        looked=_looked(result, pictures.get("looked")),
        reservations=tuple(
            Note(texts.sentence(one.text), one.code.value) for one in result.reservations
        ),
        levels=_levels(result) if result.levels else None,
        slices=_slices(result) if result.slices else None,
        groups=(_acquisition(result), _made_with(result)),
    )


def _headline(result: ScreeningResult) -> str:
    if result.probabilities is None or result.certainty is None:
        return texts.REFUSED
    return texts.headline(result.probabilities, result.certainty)


def _shares(probabilities: Probabilities | None) -> tuple[Share, ...]:
    assert probabilities is not None
    return tuple(
        Share(condition.value, texts.LABELS[condition], value, texts.percent(value))
        for condition, value in zip(CONDITIONS, probabilities.as_tuple())
    )


def _finding_facts(result: ScreeningResult) -> list[Fact]:
    held = ", ".join(texts.LABELS[condition] for condition in result.prediction_set)
    hu = result.attenuation_hu
    facts = [
        Fact(texts.PREDICTION_SET, held or texts.ABSENT),
        Fact(
            texts.ATTENUATION,
            texts.ABSENT if hu is None else texts.quantity(round(hu), texts.HU),
        ),
        Fact(texts.AGREEMENT, texts.AGREEMENTS[result.agreement]),
        Fact(texts.LEVELS, ", ".join(one.level for one in result.levels) or texts.NOT_LABELLED),
    ]
    if result.levels:
        facts.append(Fact(texts.SHIFTED, texts.shifted(result)))
    return [*facts, Fact(texts.BAND, texts.band(result))]


def _ring(result: ScreeningResult) -> Figure | None:
    if result.probabilities is None or result.certainty is None:
        return None
    png = ring_drawing(result.probabilities, result.certainty).png()
    alt = texts.ring_alt(result.probabilities, result.certainty)
    return Figure(png, texts.FINDING, texts.EXPLANATION, alt)


def _attenuation(result: ScreeningResult) -> Figure | None:
    band = result.attenuation_band
    drawing = attenuation_drawing(result.levels, band) if result.probabilities else None
    if drawing is None:
        return None
    reason = (result.attenuation_note or texts.ABSENT).removeprefix(texts.NO_BAND.format(reason=""))
    caption = (
        texts.ATTENUATION_CAPTION
        if band is not None
        else texts.ATTENUATION_CAPTION_WITHOUT.format(reason=reason)
    )
    return Figure(drawing.png(), texts.ATTENUATION, caption, texts.attenuation_alt(result.levels))


def _overlay(result: ScreeningResult, png: bytes | None) -> Figure | None:
    if png is None:
        return None
    if result.probabilities is None:
        return Figure(png, texts.OVERLAY, texts.OVERLAY_CAPTION_REFUSED, texts.OVERLAY_ALT_REFUSED)
    return Figure(png, texts.OVERLAY, texts.OVERLAY_CAPTION, texts.OVERLAY_ALT)


def _sagittal(result: ScreeningResult, png: bytes | None) -> Figure | None:
    if png is None:
        return None
    if not result.levels:
        return Figure(
            png, texts.SAGITTAL, texts.SAGITTAL_CAPTION_REFUSED, texts.SAGITTAL_ALT_UNNAMED
        )
    names = ", ".join(one.level for one in result.levels)
    alt = texts.SAGITTAL_ALT.format(names=names)
    return Figure(png, texts.SAGITTAL, texts.SAGITTAL_CAPTION, alt)


def _looked(result: ScreeningResult, png: bytes | None) -> Figure | None:
    if png is None or result.probabilities is None:
        return None
    condition = texts.IN_SENTENCE[result.probabilities.condition]
    caption = texts.LOOKED_CAPTION.format(condition=condition)
    return Figure(png, texts.LOOKED, caption, texts.LOOKED_ALT.format(condition=condition))


def _percents(probabilities: Probabilities | None) -> tuple[str, ...]:
    if probabilities is None:
        return (texts.ABSENT,) * len(CONDITIONS)
    return tuple(texts.percent(value) for value in probabilities.as_tuple())


def _condition_labels(result: ScreeningResult) -> tuple[str, ...]:
    """Headings of the probabilities; a refused result shows none."""
    return tuple(texts.LABELS[one] for one in CONDITIONS) if result.probabilities else ()


def _levels(result: ScreeningResult) -> Table:
    labels = _condition_labels(result)
    head = (texts.LEVEL, texts.CONFIDENCE, texts.ATTENUATION, texts.SPREAD, texts.COUNTS)
    rows = []
    for one in result.levels:
        hu, spread = one.attenuation_hu, one.attenuation_spread_hu
        rows.append(
            (
                one.level,
                texts.GIVEN if one.confidence is None else texts.number(one.confidence, 2),
                texts.ABSENT if hu is None else texts.quantity(round(hu), texts.HU),
                texts.NOTHING if spread is None else texts.number(spread),
                texts.counts(one),
                *(_percents(one.probabilities) if labels else ()),
            )
        )
    return Table((*head, *labels), tuple(rows))


def _slices(result: ScreeningResult) -> Table:
    labels = _condition_labels(result)
    rows = tuple(
        (
            str(one.index),
            one.level or texts.NOTHING,
            texts.NOT_RECORDED if one.position_mm is None else texts.number(one.position_mm, 1),
            texts.number(one.mark_area_mm2),
            *(_percents(one.probabilities) if labels else ()),
        )
        for one in result.slices
    )
    return Table((texts.SLICE, texts.LEVEL, texts.POSITION, texts.AREA, *labels), rows)


def _fact(name: str, value: str | None) -> Fact:
    return Fact(name, texts.NOT_RECORDED if value is None else value)


def _acquisition(result: ScreeningResult) -> Facts:
    how = result.acquisition
    facts = [
        Fact(texts.KVP, texts.quantity(how.kvp, texts.KV)),
        Fact(texts.THICKNESS, texts.quantity(how.thickness_mm, texts.MM)),
        _fact(texts.KERNEL, how.kernel),
        Fact(texts.CONTRAST, texts.CONTRASTS[how.contrast]),
    ]
    if how.phase_evidence:
        facts.append(Fact(texts.PHASE, texts.phase(how)))
    facts += [_fact(texts.MANUFACTURER, how.manufacturer), _fact(texts.MODEL, how.model)]
    if result.series_choice:
        facts.append(Fact(texts.CHOICE, result.series_choice))
    return Facts("acquisition", texts.ACQUISITION, tuple(facts))


def _made_with(result: ScreeningResult) -> Facts:
    bundle = result.bundle
    facts = (
        _fact(texts.BUNDLE, bundle.name if bundle else None),
        _fact(texts.VERSION, bundle.version if bundle else None),
        _fact(texts.CHECKSUM, bundle.sha256[:CHECKSUM_LENGTH] if bundle else None),
        Fact(texts.SOFTWARE, result.software),
    )
    return Facts("made", texts.MADE_WITH, facts)
