"""The PDF: one page whatever happens, and never at odds with the page and the result."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from osteoscreen import texts
from osteoscreen.errors import RefusalCode
from osteoscreen.findings import (
    CONDITIONS,
    Abstention,
    Acquisition,
    BundleReference,
    Certainty,
    LeftOut,
    LevelFinding,
    Probabilities,
    Refusal,
    Reservation,
    ReservationCode,
    ScreeningResult,
    Subject,
)
from osteoscreen.report.attenuation import attenuation_drawing
from osteoscreen.report.content import PictureName, describe
from osteoscreen.report.drawing import Drawing, Lettering, Place
from osteoscreen.report.page import render_html
from osteoscreen.report.pdf import CHART, RING, render_pdf
from osteoscreen.report.ring import ring_drawing
from pdf_words import drawn, fonts, pages, words
from promises import promises

SIZES: dict[PictureName, tuple[int, int]] = {
    "overlay": (1200, 1052),
    "sagittal": (500, 1030),
    "looked": (380, 900),
}
"""As large as pictures get."""

SMALLEST = 5.5
"""Points; less cannot be read."""

LONG = "A reservation that goes on and on about what the scan was like. " * 2


def _png(size: tuple[int, int]) -> bytes:
    file = BytesIO()
    Image.new("L", size, 90).save(file, "PNG")
    return file.getvalue()


PICTURES = {name: _png(size) for name, size in SIZES.items()}


def _levels(count: int) -> tuple[LevelFinding, ...]:
    names = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5", "L6", "S1")
    return tuple(
        LevelFinding(
            level=name,
            confidence=0.97,
            slices=(at,),
            attenuation_hu=150.0 - 9 * at,
            attenuation_spread_hu=30.0,
            left_out=None if at % 2 else LeftOut.NOT_LUMBAR,
            probabilities=_shares(0.2, 0.3, 0.5),
        )
        for at, name in enumerate(names[:count])
    )


def _shares(normal: float, low: float, osteoporosis: float) -> Probabilities:
    return Probabilities(normal_bone_mass=normal, low_bone_mass=low, osteoporosis=osteoporosis)


def _result(
    probabilities: Probabilities, certainty: Certainty, **changes: object
) -> ScreeningResult:
    codes = {
        Certainty.CLEAR: (),
        Certainty.DOUBTFUL: (ReservationCode.DOUBTFUL,),
        Certainty.ABSTAINED: (ReservationCode.ABSTAINED,),
    }[certainty]
    is_abstained = certainty is Certainty.ABSTAINED
    fields: dict[str, object] = {
        "status": "screened",
        "notice": texts.NOTICE,
        "condition": None if is_abstained else probabilities.condition,
        "certainty": certainty,
        "abstention": Abstention.ANY_CLASS if is_abstained else None,
        "probabilities": probabilities,
        "advice": "Measure again in a year.",
        "reservations": tuple(Reservation(code=one, text="It is not clear.") for one in codes),
        "software": "osteoscreen 0.1",
    }
    return ScreeningResult.model_validate(fields | changes)


def _printed(result: ScreeningResult) -> str:
    return words(render_pdf(describe(result, {}, title="Report")))


@settings(max_examples=30, deadline=None)
@given(
    parts=st.lists(st.floats(0.001, 1), min_size=3, max_size=3),
    certainty=st.sampled_from(Certainty),
)
def test_pdf_page_and_result_never_contradict_each_other(
    parts: list[float], certainty: Certainty
) -> None:
    values = np.array(parts) / sum(parts)
    result = _result(_shares(*map(float, values)), certainty)
    assert result.probabilities is not None
    content = describe(result, {}, title="Report")
    printed = words(render_pdf(content))
    page = unescape(re.sub(r"<[^>]*>", " ", render_html(content).split("</style>")[1]))
    page = page.replace("\N{NO-BREAK SPACE}", " ")
    headline = texts.headline(result.probabilities, certainty)
    for said in (printed, page):
        assert headline in said
        assert (headline + "?" in said) is False
        shares = re.findall(r"[<>]?\d+\.\d %", said)
        wanted = [texts.percent(one) for one in result.probabilities.as_tuple()]
        assert shares == [one.replace("\N{NO-BREAK SPACE}", " ") for one in wanted]
        others = {texts.LABELS[one] + "?" for one in CONDITIONS} | {texts.NO_STATEMENT}
        assert not any(other in said for other in others - {headline})


def test_the_pdf_says_what_the_result_says() -> None:
    result = _result(
        _shares(0.1, 0.2, 0.7),
        Certainty.CLEAR,
        subject=Subject(key="hash-of-someone", age=61, sex="F", study_date="20240318"),
        acquisition=Acquisition(kvp=120, kernel="B30f", manufacturer="MAKER"),
        bundle=BundleReference(name="small", version="1.2", sha256="0123456789abcdef" * 4),
        levels=_levels(5),
    )
    printed = _printed(result)
    for word in (
        result.notice, "Osteoporosis", "70.0 %", "Measure again in a year.", "age 61 years",
        "sex female", "study date 2024-03-18", "Tube voltage: 120 kV", "Kernel: B30f",
        "Contrast agent: unknown", "small", "0123456789ab", "osteoscreen 0.1", "T12",
        "132 HU", texts.LIMITS, texts.NO_RESERVATIONS,
        f"{result.notice} Preliminary, not verified.", "A result never excludes osteoporosis.",
    ):  # fmt: skip
        assert word in printed, word
    assert promises(printed) == []
    assert "hash-of-someone" not in printed


def test_a_refused_pdf_has_the_reason_and_no_probability() -> None:
    refusal = Refusal(code=RefusalCode.NO_LUMBAR, text="no lumbar vertebra was marked")
    result = ScreeningResult(
        status="refused",
        notice=texts.NOTICE,
        refusal=refusal,
        levels=_levels(2),
        software="osteoscreen",
    )
    printed = _printed(result)
    assert "Not screened" in printed
    assert "No lumbar vertebra was marked" in printed
    assert "NO_LUMBAR" in printed
    assert "Preliminary, not verified." in printed
    assert "%" not in printed
    assert not any(texts.LABELS[condition] in printed for condition in CONDITIONS)


@pytest.mark.parametrize("level_count", [0, 8])
@pytest.mark.parametrize("note_count", [1, 12, 28, 90])
def test_the_pdf_is_one_page_however_much_there_is_to_say(
    level_count: int, note_count: int
) -> None:
    notes = [Reservation(code=ReservationCode.DOUBTFUL, text=LONG) for _ in range(note_count)]
    result = _result(
        _shares(0.3, 0.4, 0.3), Certainty.DOUBTFUL, levels=_levels(level_count),
        reservations=tuple(notes), series_choice=LONG * 3,
    )  # fmt: skip
    pdf = render_pdf(describe(result, PICTURES, title="Report " * 30))
    printed = words(pdf)
    assert pages(pdf) == 1
    kept = printed.count("DOUBTFUL")
    left_out = note_count - kept
    assert (f"{left_out} more: no room" in printed) == (left_out > 0)
    assert kept == note_count or note_count > 12
    assert min(float(size) for size in re.findall(rb"/F\S+ ([\d.]+) Tf", drawn(pdf))) >= SMALLEST
    assert _lowest(pdf) >= 0


def test_letters_of_ring_and_chart_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[float] = []
    write = Drawing.write

    def written(self: Drawing, place: Place, words: str, lettering: Lettering) -> None:
        sizes.append(lettering.size)
        write(self, place, words, lettering)

    monkeypatch.setattr(Drawing, "write", written)
    assert attenuation_drawing(_levels(5), None) is not None
    assert min(sizes) * CHART >= SMALLEST
    sizes.clear()
    ring_drawing(_shares(0.1, 0.2, 0.7), Certainty.DOUBTFUL)
    assert min(sizes) * RING >= SMALLEST


def _lowest(pdf: bytes) -> float:
    """Lowest place of a word on the page, in points from the lower edge."""
    places = [float(y) for y in re.findall(rb"1 0 0 1 [\d.-]+ ([\d.-]+) cm", drawn(pdf))]
    return min(places)


def test_a_word_without_end_stays_on_the_page() -> None:
    result = _result(
        _shares(0.3, 0.4, 0.3), Certainty.CLEAR,
        acquisition=Acquisition(kernel="K" * 5000), series_choice="x" * 5000,
    )  # fmt: skip
    pdf = render_pdf(describe(result, PICTURES, title="T" * 500))
    assert pages(pdf) == 1
    assert _lowest(pdf) >= 0


def test_equal_reports_are_equal_files_with_their_own_fonts() -> None:
    content = describe(_result(_shares(0.1, 0.2, 0.7), Certainty.CLEAR), PICTURES, title="Report")
    pdf = render_pdf(content)
    assert pdf == render_pdf(content)
    assert all(b"BitstreamVera" in one for one in fonts(pdf))
    assert b"/Lang (en)" in pdf
    assert pdf != render_pdf(replace(content, title="Another"))


def test_markup_and_letters_that_the_font_lacks_do_no_harm() -> None:
    strange = "<b>&amp; \N{CJK UNIFIED IDEOGRAPH-9AA8}</b> \x07"
    printed = _printed(
        _result(_shares(0.1, 0.2, 0.7), Certainty.CLEAR, acquisition=Acquisition(kernel=strange))
    )
    assert "Kernel: <b>&amp; ?</b> ?" in printed
