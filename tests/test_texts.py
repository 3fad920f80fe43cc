"""Every text comes from the catalogue: what is said under a made-up language is all in it.

The technique is pseudo-localisation: each text of the catalogue is put in brackets, its vowels get
accents, and its fields stay outside the brackets. What then stands outside brackets was written
elsewhere, or is a name or a number of the result.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset

from bad_inputs import AFFINE, edit, put, series, spine
from bundles import threshold_bundle
from made_results import made_result, shares
from osteoscreen import findings, texts
from osteoscreen.bundle import Bundle, OperatingPoints
from osteoscreen.dicom import codes
from osteoscreen.dicom.acquisition import reservations_of
from osteoscreen.dicom.choice import Fitness
from osteoscreen.dicom.kernel import Kernel
from osteoscreen.errors import RefusalCode
from osteoscreen.findings import (
    Abstention,
    Acquisition,
    BoneCondition,
    Certainty,
    ContrastPhase,
    LeftOut,
    Refusal,
    ReservationCode,
    ScreeningResult,
)
from osteoscreen.report.content import PictureName, describe
from osteoscreen.report.drawing import Drawing, Lettering, Place
from osteoscreen.report.page import render_html
from osteoscreen.report.pdf import render_pdf
from osteoscreen.screening.bands import reference_band
from osteoscreen.screening.decision import Evidence, decide
from osteoscreen.screening.reservations import (
    level_reservations,
    scan_reservations,
    shift_reservations,
)
from osteoscreen.workflow import Silent, screen_inputs
from pdf_words import words

ACCENTS = str.maketrans("aeiouAEIOU", "áéíóúÁÉÍÓÚ")
SOURCE = Path(texts.__file__).parent


def _pseudo(value: Any) -> Any:  # noqa: ANN401 - any text, or what holds texts
    if isinstance(value, dict):
        return {key: _pseudo(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(_pseudo(one) for one in value)
    assert isinstance(value, str)
    said = ""
    for literal, name, form, _ in Formatter().parse(value):
        has_words = any(letter.isalpha() for letter in literal)
        said += f"«{literal.translate(ACCENTS)}»" if has_words else literal
        said += "" if name is None else f"{{{name}:{form}}}"
    return said


@pytest.fixture
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another language for the time of a test."""
    for name, value in vars(texts).items():
        if name.isupper() and name != "LANGUAGE" and name not in vars(findings):
            monkeypatch.setattr(texts, name, _pseudo(value))


made_up = pytest.mark.usefixtures("_made_up")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All words that are written into pictures."""
    heard: list[str] = []
    write = Drawing.write

    def written(self: Drawing, place: Place, words: str, lettering: Lettering) -> None:
        heard.append(words)
        write(self, place, words, lettering)

    monkeypatch.setattr(Drawing, "write", written)
    return heard


def _left(said: str, names: Sequence[str] = ()) -> str:
    """Return the letters outside brackets that are no name of the result; none is right.

    A value that the PDF cut short ends with an ellipsis instead of its bracket.
    """
    bare = re.sub(r"«[^«»]*[»…]", " ", said)
    for name in sorted(filter(None, names), key=len, reverse=True):
        bare = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", bare)
    return " ".join(re.findall(r"\w*[^\W\d_]\w*|[«»]", bare))


def _names(result: ScreeningResult) -> list[str]:
    """Codes, identifiers and words of the header: what no language changes."""
    how, bundle = result.acquisition, result.bundle
    found = [one.code.value for one in result.reservations]
    found += [one.level for one in result.levels] + [*LeftOut, *RefusalCode]
    found += [result.software, how.kernel or "", how.manufacturer or "", how.model or ""]
    found += [bundle.name, bundle.version, bundle.sha256[:12]] if bundle else []
    return found


class _Page(HTMLParser):
    """Collects text and what stands for pictures and regions."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self._tag = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the attributes that are read out."""
        self._tag = tag
        self.said += [v or "" for name, v in attrs if name in ("alt", "title", "aria-label")]

    def handle_data(self, data: str) -> None:
        """Keep all but the style."""
        if self._tag != "style":
            self.said.append(data)


def _assert_all_in(result: ScreeningResult, page: str, pdf: bytes, names: Sequence[str]) -> None:
    allowed = [*_names(result), *names]
    said = _Page(page).said
    assert len("".join(said)) > 500
    assert [left for one in said if (left := _left(one, allowed))] == []
    assert _left(words(pdf), allowed) == ""


def test_what_is_left_outside_brackets_is_found() -> None:
    assert _left(_pseudo("{level} does not count: {reason}.").format(level="L1", reason="cut")) == (
        "L1 cut"
    )
    assert _left("«Nót» screened 12 «mm»", ["L1"]) == "screened"
    assert _left("L1 «lévél» 3.5, KVP_OTHER", ["L1", "KVP_OTHER"]) == ""
    assert _left("«cut shórt by…") == ""
    assert _left("an open « bracket") == "an open « bracket"


def _decided(
    bundle: Bundle, chances: tuple[float, float, float], evidence: Evidence
) -> ScreeningResult:
    """A result with all that screening functions say of it."""
    found = shares(*chances)
    settings = bundle.settings.model_copy(
        update={"operating_points": OperatingPoints(level_confidence=0.995)}
    )
    decision = decide(found, settings, evidence)
    made = made_result()
    levels = (*made.levels[:2], made.levels[2].model_copy(update={"left_out": LeftOut.DENSE}))
    how = Acquisition(
        kvp=120, contrast=False, thickness_mm=9, kernel="B70f", phase=ContrastPhase.VENOUS,
        phase_evidence=texts.PHASE_CODED.format(term="PORTAL_VENOUS"),
    )  # fmt: skip
    band, _ = reference_band(levels, how, 0.5)
    shifted: Mapping[Any, BoneCondition] = {
        "up": BoneCondition.NORMAL, "down": BoneCondition.OSTEOPOROSIS
    }  # fmt: skip
    reservations = (
        *decision.reservations,
        *scan_reservations(how, settings),
        *scan_reservations(how.model_copy(update={"kvp": 80.0}), settings),
        *scan_reservations(how.model_copy(update={"kvp": None}), settings),
        *level_reservations(levels, settings, is_odd=True),
        *shift_reservations(decision.condition, shifted),
    )
    return made_result(
        notice=bundle.settings.trained_on.notice, condition=decision.condition,
        certainty=decision.certainty, abstention=decision.abstention, probabilities=found,
        prediction_set=decision.prediction_set, advice=decision.advice, levels=levels,
        agreement=decision.agreement, attenuation_band=band, condition_if_shifted=shifted,
        reservations=reservations, acquisition=how,
    )  # fmt: skip


PICTURES: dict[PictureName, bytes] = {
    "overlay": Drawing(600, 500).png(),
    "sagittal": Drawing(250, 500).png(),
    "looked": Drawing(190, 450).png(),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Marks what is bright; has a prediction set."""
    return threshold_bundle(tmp_path_factory.mktemp("bundle"))


@made_up
@pytest.mark.parametrize(
    ("chances", "evidence", "certainty"),
    [
        ((0.02, 0.03, 0.95), Evidence(), Certainty.CLEAR),
        ((0.02, 0.03, 0.95), Evidence(suggests_osteoporosis=False), Certainty.DOUBTFUL),
        ((0.02, 0.48, 0.50), Evidence(), Certainty.DOUBTFUL),
        ((0.33, 0.33, 0.34), Evidence(), Certainty.ABSTAINED),
        ((0.02, 0.03, 0.95), Evidence(has_intact_level=False), Certainty.ABSTAINED),
        ((0.02, 0.03, 0.95), Evidence(noise_hu=500), Certainty.ABSTAINED),
    ],
)
def test_page_pdf_and_charts_say_nothing_of_their_own(
    bundle: Bundle,
    drawn: list[str],
    chances: tuple[float, float, float],
    evidence: Evidence,
    certainty: Certainty,
) -> None:
    result = _decided(bundle, chances, evidence)
    assert result.certainty is certainty
    content = describe(result, PICTURES, title=texts.TITLE.format(name="series-1"))
    names = ["series", "PORTAL_VENOUS"]
    _assert_all_in(result, render_html(content), render_pdf(content), names)
    assert len(drawn) > 5
    assert _left(" ".join(drawn), _names(result)) == ""


@made_up
def test_a_refused_page_and_pdf_say_nothing_of_their_own() -> None:
    reason = texts.NOT_LUMBAR_SLICE.format(probability=0.93)
    result = ScreeningResult(
        status="refused",
        notice=texts.OWN_DATA_NOTICE,
        refusal=Refusal(code=RefusalCode.NO_LUMBAR, text=reason),
        reservations=(texts.reservation(ReservationCode.KVP_UNKNOWN),),
        software="osteoscreen 9.9",
    )
    content = describe(result, PICTURES, title=texts.TITLE.format(name="series-1"))
    _assert_all_in(result, render_html(content), render_pdf(content), ["series"])


def _column() -> NDArray[np.float32]:
    """Four bodies of bone, each of five slices, with discs between them."""
    bone = spine()[0]
    disc = np.minimum(bone, 40)
    return np.stack([disc] * 2 + ([bone] * 5 + [disc] * 2) * 4 + [disc] * 2)


def _named_study(folder: Path) -> tuple[Path, Path]:
    """A series with much to say of it, and a mask that names its vertebrae L4 to L1."""
    hu = _column()
    files = series(
        folder / "ct", hu=hu, kernel="B70f", series_description="LOW DOSE portal venous",
        manufacturer="MAKER", model="MODEL", study_date="20240131",
    )  # fmt: skip
    edit(files, put(ContrastBolusAgent="", LossyImageCompression="01"))
    (folder / "ct" / "copy.dcm").write_bytes(files[0].read_bytes())
    files[-2].unlink()  # what lies beyond it is left out
    labels = np.zeros((len(hu) - 2, *hu.shape[1:]), np.uint8)
    for place, number in enumerate((23, 22, 21, 20)):
        part = slice(7 * place + 2, 7 * place + 7)
        labels[part] = np.where(hu[part] > 200, number, 0)
    affine = np.diag([-1.0, -1, 1, 1]) @ AFFINE[:, [2, 1, 0, 3]]
    mask = folder / "levels.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels.transpose(2, 1, 0), affine), mask)
    return folder / "ct", mask


def _unnamed_study(folder: Path) -> Path:
    """A long series without bone, and a short one with contrast agent that is screened after it."""
    soft = np.minimum(np.concatenate([spine(), spine()]), 40)
    series(folder / "chest", hu=soft, series_uid="2.25.1", body_part="CHEST")
    series(
        folder / "trunk", series_uid="2.25.2", contrast_agent="IODINE", kvp=80, thickness_mm=8,
        body_part="PELVIS",
    )  # fmt: skip
    return folder


def _texts_of(element: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """What a reader of a FHIR resource or of ``result.json`` reads in it."""
    if isinstance(element, dict):
        for key, value in element.items():
            if isinstance(value, str) and key in READ:
                yield re.sub(r"<[^>]*>", "", value)
            else:
                yield from _texts_of(value)
    elif isinstance(element, list):
        for one in element:
            yield from _texts_of(one)


READ = {
    "text", "display", "conclusion", "div", "notice", "advice", "attenuation_note", "meaning",
    "source", "holds_for", "series_choice", "phase_evidence",
}  # fmt: skip


def _sentences(path: Path) -> list[str]:
    """The sentences of a measurement report."""
    container = pydicom.dcmread(path).ContentSequence[-1]
    assert container.ConceptNameCodeSequence[0].CodeValue == codes.QUALITATIVE_EVALUATIONS.value
    return [str(one.TextValue) for one in container.ContentSequence]


@made_up
@pytest.mark.parametrize("is_named", [True, False])
def test_a_screening_says_nothing_of_its_own(
    bundle: Bundle, tmp_path: Path, drawn: list[str], *, is_named: bool
) -> None:
    source, mask = _named_study(tmp_path) if is_named else (_unnamed_study(tmp_path), None)
    rows = screen_inputs([source], tmp_path / "out", bundle, Silent(), mask=mask)
    names = ["LOW DOSE", "portal", "CHEST", "PELVIS"]
    told = [row for row in rows if row.folder]
    assert [(row.code, row.status) for row in rows] == (
        [("", "screened")] if is_named else [("NO_LUMBAR", "skipped"), ("", "screened")]
    )
    for row in told:
        folder = tmp_path / "out" / row.folder
        raw = json.loads((folder / "result.json").read_text())
        result = ScreeningResult.model_validate(raw)
        allowed = [*_names(result), *names, *row.folder.split("-")]
        page = (folder / "report.html").read_text()
        _assert_all_in(result, page, (folder / "report.pdf").read_bytes(), allowed)
        fhir = json.loads((folder / "fhir.json").read_text())
        said = [*_texts_of(raw), *_texts_of(fhir), *_sentences(folder / "measurements.dcm")]
        assert len(said) > 10
        assert [left for one in said if (left := _left(one, allowed))] == []
        assert _left(" ".join(drawn), allowed) == ""


@made_up
def test_every_reason_for_no_band_is_in_the_catalogue() -> None:
    levels = made_result().levels
    known = Acquisition(kvp=120, contrast=False)
    reasons = {
        reference_band(found, known.model_copy(update=change), confidence)[1]
        for found, change, confidence in (
            ((), {}, 0.5),
            ((levels[0].model_copy(update={"left_out": LeftOut.CUT}),), {}, 0.5),
            (levels, {}, 0.99),
            (levels, {"kvp": None}, 0.5),
            (levels, {"kvp": 100.0}, 0.5),
            (levels, {"contrast": None}, 0.5),
            (levels, {"contrast": True}, 0.5),
        )
    }
    assert len(reasons) == 7
    assert {_left(reason or "none", ["L1", "CUT"]) for reason in reasons} == {""}


@made_up
def test_what_headers_tell_of_dose_and_loss_is_in_the_catalogue() -> None:
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.CTDIvol, one.LossyImageCompression, one.LossyImageCompressionRatio = 2.5, "01", 8.0
    said = {found.code: found.text for found in reservations_of([one], Acquisition(), 2.0)}
    assert {"LOW_DOSE", "LOSSY", "NO_IDENTIFIERS"} == {*said}
    assert {_left(text) for text in said.values()} == {""}


def test_every_code_has_its_words() -> None:
    assert {*texts.CAUTIONS} == {*ReservationCode}
    assert {*texts.LABELS} == {*texts.IN_SENTENCE} == {*BoneCondition}
    assert {*texts.ABSTENTIONS} == {*Abstention}
    assert {*texts.RING_ALTS} == {*Certainty}
    assert {*texts.LEFT_OUT} == {*texts.LEFT_OUT_BECAUSE, LeftOut.NOT_LUMBAR} == {*LeftOut}
    assert {*texts.PHASES} == {*ContrastPhase, None}
    assert {*texts.SERIES_LOST} == {one.name for one in fields(Fitness)}
    assert {*texts.SERIES_KERNEL} == {one.name for one in Kernel}


def test_the_template_holds_no_words_of_its_own() -> None:
    source = (SOURCE / "report" / "report.html.j2").read_text(encoding="utf-8")
    bare = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|<style>.*?</style>", "", source, flags=re.DOTALL)
    said = re.sub(r"<[^>]*>", " ", bare)
    assert not re.search(r"\w", said), said.split()


SPEAKERS = (
    "reporting.py",
    *(f"report/{name}.py" for name in ("attenuation", "capture", "content", "looked", "overlay",
                                       "page", "pdf", "ring", "sagittal")),
    *(f"screening/{name.name}" for name in (SOURCE / "screening").glob("*.py")),
    *(f"dicom/{name}.py" for name in ("acquisition", "contrast", "dose", "fhir")),
)  # fmt: skip
"""Where a text would arise whose branch no test above may reach."""


def test_where_texts_are_said_no_sentence_is_written() -> None:
    written = {name: _sentences_in(ast.parse((SOURCE / name).read_text())) for name in SPEAKERS}
    assert {name: found for name, found in written.items() if found} == {}


def _sentences_in(tree: ast.Module) -> list[str]:
    """Strings of two words and more, but for docstrings and errors."""
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    errors = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        for part in ast.walk(node)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and id(node) not in docs | errors
        and re.search(r"\b[A-Za-z]{2,} [a-z]{2,}\b(?!=)", node.value)
    ]  # fmt: skip
