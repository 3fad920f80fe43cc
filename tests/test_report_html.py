"""The page: self-contained, escaped, readable, and never at odds with its result."""

from __future__ import annotations

import base64
import html
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from osteoscreen import texts
from osteoscreen.errors import RefusalCode
from osteoscreen.findings import (
    CONDITIONS,
    Abstention,
    Acquisition,
    BoneCondition,
    BundleReference,
    Certainty,
    ContrastPhase,
    LevelFinding,
    Probabilities,
    Refusal,
    Reservation,
    ReservationCode,
    ScreeningResult,
    SliceFinding,
    Subject,
)
from osteoscreen.report import palette
from osteoscreen.report.content import PictureName, describe
from osteoscreen.report.page import render_html
from osteoscreen.report.ring import ring_drawing
from promises import promises

HOSTILE = "<script>alert('x')</script>\"&<img src=http://evil.example/x>"
CONTRAST = 4.5
"""Smallest contrast of text, WCAG 2.2 success criterion 1.4.3."""

VOID = {"meta", "link", "img", "br", "hr", "input"}


def shares(normal: float, low: float, osteoporosis: float) -> Probabilities:
    return Probabilities(normal_bone_mass=normal, low_bone_mass=low, osteoporosis=osteoporosis)


PNG = ring_drawing(shares(0.2, 0.3, 0.5), Certainty.CLEAR).png()
PICTURES: dict[PictureName, bytes] = {"overlay": PNG, "sagittal": PNG, "looked": PNG}

SLICES = (
    SliceFinding(
        index=41,
        position_mm=-34.25,
        mark_area_mm2=2104.6,
        probabilities=shares(0.913, 0.081, 0.006),
    ),
    SliceFinding(
        index=43, position_mm=None, mark_area_mm2=1987.0, probabilities=shares(0.4, 0.35, 0.25)
    ),
)


def screened(**changes: object) -> ScreeningResult:
    found = shares(0.72, 0.2065, 0.0735)
    fields: dict[str, object] = {
        "status": "screened",
        "notice": texts.NOTICE,
        "condition": found.condition,
        "certainty": Certainty.CLEAR,
        "probabilities": found,
        "prediction_set": (BoneCondition.NORMAL,),
        "advice": "The bone looks normal to the networks.",
        "slices": SLICES,
        "reservations": (
            Reservation(code=ReservationCode.KVP_UNKNOWN, text="the tube voltage is unknown."),
        ),
        "bundle": BundleReference(name="small", version="1.2", sha256="0123456789abcdef" * 4),
        "software": "osteoscreen 0.1",
        "timing_s": {"reading_slices": 1.25},
    }
    return ScreeningResult.model_validate(fields | changes)


def refused(**changes: object) -> ScreeningResult:
    fields: dict[str, object] = {
        "status": "refused",
        "notice": texts.NOTICE,
        "refusal": Refusal(code=RefusalCode.NO_LUMBAR, text="no lumbar vertebra was marked."),
        "software": "osteoscreen 0.1",
    }
    return ScreeningResult.model_validate(fields | changes)


def page(result: ScreeningResult, *, title: str = "Bone screening from CT") -> str:
    return render_html(describe(result, PICTURES, title=title))


class Reading(HTMLParser):
    """Collects tags and visible words, and checks that tags close in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and that it is open."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the tag that was opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the words that a reader sees."""
        if self._open and self._open[-1] not in {"style", "title"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All visible words on one line."""
        return re.sub(r"[ \n]+", " ", " ".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of one name."""
        return [attributes for name, attributes in self.tags if name == tag]


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two sRGB colours (WCAG 2.2, relative luminance)."""
    lights = []
    for colour in (first, second):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("result", [screened(), refused()])
def test_page_is_well_formed_and_loads_nothing(result: ScreeningResult) -> None:
    source = page(result)
    reading = Reading(source)
    assert "http://" not in source
    assert "https://" not in source
    assert not re.search(r"@import|url\(", source)
    names = {name for name, _ in reading.tags}
    assert names.isdisjoint({"script", "iframe", "object", "embed", "form", "base"})
    for _, attributes in reading.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")


def test_hostile_words_are_escaped_wherever_they_stand() -> None:
    result = screened(
        advice=HOSTILE,
        certainty=Certainty.DOUBTFUL,
        reservations=(Reservation(code=ReservationCode.DOUBTFUL, text=HOSTILE),),
        acquisition=Acquisition(kernel=HOSTILE, manufacturer=HOSTILE, model=HOSTILE),
        subject=Subject(study_date=HOSTILE),
        bundle=BundleReference(name=HOSTILE, version=HOSTILE, sha256=HOSTILE),
        software=HOSTILE,
        timing_s={HOSTILE: 1.0},
        levels=(
            LevelFinding(
                level=HOSTILE, confidence=0.9, slices=(), attenuation_hu=None, probabilities=None
            ),
        ),
    )
    source = page(result, title=HOSTILE)
    reading = Reading(source)
    assert "<script" not in source
    assert len(reading.all("img")) == 4
    assert HOSTILE in reading.text
    refusal = Refusal(code=RefusalCode.FAILED, text=HOSTILE)
    assert "<script" not in page(refused(refusal=refusal), title=HOSTILE)


def test_every_probability_on_the_page_is_the_results() -> None:
    result = screened()
    assert result.probabilities is not None
    wanted = [*result.probabilities.as_tuple()]
    wanted += [value for one in result.slices for value in one.probabilities.as_tuple()]
    said = re.findall(r"[<>]?\d+\.\d\N{NO-BREAK SPACE}%", Reading(page(result)).text)
    assert said == [texts.percent(value) for value in wanted]
    widths = [float(match) for match in re.findall(r'style="width: ([\d.]+)%"', page(result))]
    assert widths == pytest.approx([100 * v for v in result.probabilities.as_tuple()], abs=0.005)


def test_condition_advice_and_words_come_from_the_result() -> None:
    result = screened(
        subject=Subject(key="hash-of-someone", age=61, sex="F", study_date="20240318"),
        acquisition=Acquisition(kvp=120.0, kernel="B30f", thickness_mm=1.25, contrast=False),
    )
    text = Reading(page(result)).text
    for word in (
        texts.NOTICE,
        "Normal bone mass",
        "The bone looks normal to the networks.",
        "Prediction set",
        "The tube voltage is unknown.",
        "KVP_UNKNOWN",
        "61\N{NO-BREAK SPACE}years",
        "female",
        "2024-03-18",
        "120\N{NO-BREAK SPACE}kV",
        "B30f",
        "1.25\N{NO-BREAK SPACE}mm",
        "none, by the header",
        "\N{MINUS SIGN}34.2",
        "2105",
        "0123456789ab",
        "osteoscreen 0.1",
    ):
        assert word in text
    assert "hash-of-someone" not in page(result)


def test_what_is_unknown_is_said_so() -> None:
    text = Reading(page(screened(bundle=None, timing_s={}, prediction_set=()))).text
    for name in (
        "age",
        "sex",
        "study date",
        "Tube voltage",
        "Model bundle",
    ):
        assert re.search(rf"{name}\s+{texts.NOT_RECORDED}", text)
    assert re.search(r"Contrast agent\s+unknown", text)
    assert re.search(rf"Attenuation\s+{texts.ABSENT}", text)
    assert re.search(rf"Prediction set\s+{texts.ABSENT}", text)
    assert re.search(rf"Levels\s+{texts.NOT_LABELLED}", text)


def test_levels_and_attenuation_are_shown_where_they_exist() -> None:
    levels = (
        LevelFinding(
            level="L1",
            confidence=0.93,
            slices=(41,),
            attenuation_hu=-3.4,
            probabilities=shares(0.5, 0.3, 0.2),
        ),
        LevelFinding(
            level="L2", confidence=0.9, slices=(), attenuation_hu=None, probabilities=None
        ),
    )
    result = screened(levels=levels, attenuation_hu=72.4)
    text = Reading(page(result)).text
    assert "L1, L2" in text
    assert "72\N{NO-BREAK SPACE}HU" in text
    assert "\N{MINUS SIGN}3\N{NO-BREAK SPACE}HU" in text
    assert "50.0\N{NO-BREAK SPACE}%" in text
    table = describe(result, {}, title="a").levels
    assert table is not None
    unknown = (texts.ABSENT,) * 3
    assert table.rows[1] == ("L2", "0.90", texts.ABSENT, texts.NOTHING, texts.YES, *unknown)


def test_a_doubtful_page_asks_and_gives_the_reason() -> None:
    reason = "No class reaches 60 % of the probability."
    doubt = Reservation(code=ReservationCode.DOUBTFUL, text=reason)
    source = page(screened(reservations=(doubt,), certainty=Certainty.DOUBTFUL))
    assert "Normal bone mass?" in Reading(source).text
    assert Reading(source).text.count(reason) == 2
    assert "doubtful" in str(Reading(source).all("img")[0]["alt"])
    assert "Normal bone mass?" not in Reading(page(screened())).text


def test_an_abstention_states_nothing_and_gives_the_reason() -> None:
    reason = "No statement: all three conditions are possible."
    code = Reservation(code=ReservationCode.ABSTAINED, text=reason)
    result = screened(
        condition=None,
        certainty=Certainty.ABSTAINED,
        abstention=Abstention.ANY_CLASS,
        prediction_set=tuple(BoneCondition),
        advice=reason,
        reservations=(code,),
    )
    reading = Reading(page(result))
    assert "No statement" in reading.text
    assert "Normal bone mass?" not in reading.text
    assert reading.text.count(reason) == 2
    assert "no statement" in str(reading.all("img")[0]["alt"])


def test_a_refused_page_shows_the_reason_and_no_probability() -> None:
    result = refused(
        slices=SLICES,
        prediction_set=CONDITIONS,
        levels=(
            LevelFinding(
                level="L1",
                confidence=0.9,
                slices=(41,),
                attenuation_hu=None,
                probabilities=SLICES[0].probabilities,
            ),
        ),
    )
    source = page(result)
    reading = Reading(source)
    assert "No lumbar vertebra was marked." in reading.text
    assert "NO_LUMBAR" in reading.text
    assert "%" not in reading.text
    assert not any(texts.LABELS[condition] in reading.text for condition in CONDITIONS)
    assert not any("%" in str(attributes.get("style")) for _, attributes in reading.tags)
    assert len(reading.all("img")) == 2  # slices and overview; no ring, chart or saliency
    assert "2105" in reading.text


def test_images_are_inside_the_page_and_described() -> None:
    images = Reading(page(screened())).all("img")
    assert len(images) == 4
    for image in images:
        assert image["alt"]
        uri = str(image["src"])
        assert base64.b64decode(uri.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
        assert int(str(image["width"])) > int(str(image["height"])) > 0
    assert texts.percent(0.2065) in str(images[0]["alt"])


@pytest.mark.parametrize("result", [screened(), refused(slices=SLICES)])
def test_pictures_may_be_absent(result: ScreeningResult) -> None:
    source = render_html(describe(result, {}, title="Report"))
    assert len(Reading(source).all("img")) == (result.status == "screened")  # the ring


def test_a_picture_in_another_format_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be a PNG"):
        render_html(describe(screened(), {"overlay": b"GIF89a"}, title="Report"))


def test_the_page_has_landmarks_and_its_scrollers_can_be_reached_by_keyboard() -> None:
    reading = Reading(page(screened()))
    for landmark in ("header", "main", "footer"):
        assert len(reading.all(landmark)) == 1
    regions = [one for _, one in reading.tags if one.get("role") == "region"]
    assert regions
    assert all(one["tabindex"] == "0" and one["aria-labelledby"] for one in regions)
    levels = [int(name[1]) for name, _ in reading.tags if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_page_has_language_title_one_heading_and_scoped_table_headers() -> None:
    source = page(screened())
    reading = Reading(source)
    assert reading.all("html")[0]["lang"] == "en"
    assert "<title>Bone screening from CT</title>" in source
    assert len(reading.all("h1")) == 1
    assert all(header.get("scope") in {"col", "row"} for header in reading.all("th"))
    assert ":focus-visible" in source
    ids = [attributes["id"] for _, attributes in reading.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in reading.tags:
        assert attributes.get("aria-labelledby", ids[0]) in ids


@pytest.mark.parametrize(("text", "background"), palette.TEXT_PAIRS)
def test_text_stands_out_from_its_background(text: str, background: str) -> None:
    assert contrast(text, background) >= CONTRAST


def test_black_on_white_has_the_known_contrast() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_the_page_uses_no_colour_outside_the_palette() -> None:
    known = {v for v in vars(palette).values() if isinstance(v, str) and v.startswith("#")}
    known |= set(palette.CONDITION_COLOURS.values())
    style = re.search(r"<style>(.*?)</style>", page(screened()), flags=re.DOTALL)
    assert style is not None
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", style[1])) <= known


def test_the_words_never_promise_the_absence_of_disease() -> None:
    folder = Path(palette.__file__).parent
    said = [(folder / name).read_text(encoding="utf-8") for name in ("report.html.j2", "pdf.py")]
    catalogue = _strings({name: one for name, one in vars(texts).items() if name.isupper()})
    assert len(catalogue) > 200
    assert [found for one in (*said, *catalogue) if (found := promises(one))] == []


def _strings(value: object) -> list[str]:
    """All texts in a text, a dictionary or a tuple of them."""
    if isinstance(value, dict):
        return [one for part in value.values() for one in _strings(part)]
    if isinstance(value, tuple):
        return [one for part in value for one in _strings(part)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    ("said", "is_promise"),
    [
        ("A result never excludes osteoporosis.", False),
        ("It does not exclude\nosteoporosis.", False),
        ("This excludes osteoporosis.", True),
        ("It rules out disease.", True),
        ("There is no osteoporosis.", True),
        ("A Healthy spine.", True),
        ("It suggests nothing further.", True),
    ],
)
def test_promises_are_told_from_denials(said: str, *, is_promise: bool) -> None:
    assert bool(promises(said)) is is_promise


@pytest.mark.parametrize("result", [screened(), refused()])
def test_every_page_is_preliminary_and_excludes_nothing(result: ScreeningResult) -> None:
    text = Reading(page(result)).text
    assert f"{texts.NOTICE} Preliminary, not verified." in text
    assert "A result never excludes osteoporosis." in text


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (0.0, "0.0 %"),
        (0.0002, "<0.1 %"),
        (0.0005, "0.1 %"),
        (0.0065, "0.7 %"),
        (0.9933, "99.3 %"),
        (0.9996, ">99.9 %"),
        (1.0, "100.0 %"),
    ],
)
def test_percentages_never_round_to_certainty(probability: float, said: str) -> None:
    assert texts.percent(probability) == said.replace(" ", "\N{NO-BREAK SPACE}")


def test_numbers_have_a_true_minus_and_no_negative_zero() -> None:
    assert texts.number(-34.25, 1) == "\N{MINUS SIGN}34.2"
    assert texts.number(-0.01, 1) == "0.0"


def test_the_page_is_the_same_for_the_same_result() -> None:
    assert page(screened()) == page(screened())
    assert html.unescape(page(screened())).count(texts.NOTICE) == 2


def test_the_contrast_phase_stands_with_what_says_so() -> None:
    named = Acquisition(
        phase=ContrastPhase.VENOUS, phase_evidence='the series description says "portal"'
    )
    reading = Reading(page(screened(acquisition=named)))
    assert 'venous (the series description says "portal")' in reading.text
    assert texts.PHASE in reading.text
    assert texts.PHASE not in Reading(page(screened())).text
