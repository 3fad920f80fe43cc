"""FHIR: what is written reads back as R4B, says what the result says, and names nobody."""

from __future__ import annotations

import html
import importlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from pydicom.sr.codedict import codes as dictionary

from osteoscreen import texts
from osteoscreen.dicom import codes
from osteoscreen.dicom.fhir import LOINC, OWN, SNOMED, UCUM, write_fhir
from osteoscreen.errors import RefusalCode
from osteoscreen.findings import (
    Abstention,
    BoneCondition,
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

ISSUED = datetime(2026, 11, 26, 6, 30, tzinfo=UTC)
STUDY = "2.25.123456789"
KEY = "0123456789abcdef"

R4 = {
    "Bundle": {"type", "timestamp", "entry"},
    "DiagnosticReport": {
        "text", "status", "category", "code", "subject", "effectiveDateTime", "issued", "result",
        "imagingStudy", "conclusion",
    },
    "Observation": {
        "status", "category", "code", "subject", "effectiveDateTime", "issued", "valueQuantity",
        "valueCodeableConcept", "dataAbsentReason", "note", "bodySite", "device", "derivedFrom",
        "component",
    },
    "Device": {"deviceName", "type", "version", "note"},
}  # fmt: skip
"""Elements that stand alike in FHIR 4.0.1 and 4.3.0 (hl7.org/fhir/R4 and /R4B, resource pages).

HL7's explanation of R4B (hl7.org/fhir/R4B/r4b-explanation.html): outside the modules it names, R4
and R4B are the same, without any difference of function.
"""


def _levels() -> tuple[LevelFinding, ...]:
    chances = Probabilities(normal_bone_mass=0.1, low_bone_mass=0.3, osteoporosis=0.6)
    return (
        LevelFinding(
            level="L1", confidence=0.93, slices=(4, 5), attenuation_hu=81.5,
            attenuation_median_hu=80.0, attenuation_spread_hu=33.0, height_mm=24.5,
            probabilities=chances,
        ),
        LevelFinding(
            level="L6", confidence=None, slices=(), attenuation_hu=None, probabilities=None,
            left_out=LeftOut.NOT_LUMBAR,
        ),
    )  # fmt: skip


def _result(**changes: object) -> ScreeningResult:
    fields: dict[str, Any] = {
        "status": "screened",
        "notice": texts.NOTICE,
        "condition": BoneCondition.OSTEOPOROSIS,
        "certainty": Certainty.CLEAR,
        "probabilities": Probabilities(normal_bone_mass=0.05, low_bone_mass=0.15, osteoporosis=0.8),
        "prediction_set": (BoneCondition.OSTEOPOROSIS,),
        "advice": "Look <closer> & measure.",
        "attenuation_hu": 81.5,
        "levels": _levels(),
        "subject": Subject(key=KEY, age=63, sex="F", study_date="20240131"),
        "reservations": (
            Reservation(code=ReservationCode.KVP_UNKNOWN, text="The tube voltage is unknown."),
        ),
        "bundle": BundleReference(name="phantom-v1", version="0.4.0", sha256="ab" * 32),
        "software": "osteoscreen 0.1.0",
    }
    return ScreeningResult(**(fields | changes))


def _refused() -> ScreeningResult:
    return ScreeningResult(
        status="refused",
        notice=texts.NOTICE,
        refusal=Refusal(code=RefusalCode.NO_LUMBAR, text="no lumbar vertebra was found"),
        reservations=(Reservation(code=ReservationCode.LOSSY, text="Compressed with loss."),),
        software="osteoscreen 0.1.0",
    )


def _doubtful() -> ScreeningResult:
    """The class of the clear result, but not clear."""
    reservation = Reservation(code=ReservationCode.DOUBTFUL, text="No class is clear.")
    return _result(
        certainty=Certainty.DOUBTFUL,
        probabilities=Probabilities(normal_bone_mass=0.05, low_bone_mass=0.4, osteoporosis=0.55),
        prediction_set=(BoneCondition.LOW, BoneCondition.OSTEOPOROSIS),
        reservations=(reservation,),
    )


def _abstained() -> ScreeningResult:
    reservation = Reservation(code=ReservationCode.ABSTAINED, text="All classes are possible.")
    return _result(
        condition=None,
        certainty=Certainty.ABSTAINED,
        abstention=Abstention.ANY_CLASS,
        prediction_set=tuple(BoneCondition),
        advice="No statement.",
        reservations=(reservation,),
    )


RESULTS = {
    "clear": _result(),
    "doubtful": _doubtful(),
    "abstained": _abstained(),
    "refused": _refused(),
}


def _written(result: ScreeningResult, folder: Path) -> dict[str, Any]:
    path = folder / "fhir.json"
    assert write_fhir(result, STUDY, path, issued=ISSUED)
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _of(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    resources = [entry["resource"] for entry in bundle["entry"]]
    return [one for one in resources if one["resourceType"] == kind]


def _coded(component: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Concept and value of the components whose value is a concept."""
    return [
        (one["code"]["coding"][0]["code"], one["valueCodeableConcept"]["coding"][0]["code"])
        for one in component
        if "valueCodeableConcept" in one
    ]


def _walk(element: object) -> Iterator[dict[str, Any]]:
    """All elements, from the outermost inwards."""
    if isinstance(element, dict):
        yield element
    inner = element.values() if isinstance(element, dict) else element
    if isinstance(inner, list) or isinstance(element, dict):
        for one in inner:  # type: ignore[attr-defined] # a list, or the values of a dict
            yield from _walk(one)


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_written_reads_back_as_r4b(name: str, tmp_path: Path) -> None:
    written = _written(RESULTS[name], tmp_path)
    again = Bundle.model_validate_json(json.dumps(written)).model_dump_json()
    assert json.loads(again) == written
    for entry in written["entry"]:
        kind = entry["resource"]["resourceType"]
        module = importlib.import_module(f"fhir.resources.R4B.{kind.lower()}")
        getattr(module, kind).model_validate(entry["resource"])


@pytest.mark.parametrize("name", RESULTS)
def test_only_elements_that_r4_and_r4b_share_are_used(name: str, tmp_path: Path) -> None:
    written = _written(RESULTS[name], tmp_path)
    for resource in (written, *(entry["resource"] for entry in written["entry"])):
        assert resource.keys() - {"resourceType"} <= R4[resource["resourceType"]]


@pytest.mark.parametrize("name", RESULTS)
def test_every_reference_leads_somewhere_and_every_resource_is_preliminary(
    name: str, tmp_path: Path
) -> None:
    written = _written(RESULTS[name], tmp_path)
    addresses = [entry["fullUrl"] for entry in written["entry"]]
    assert len(set(addresses)) == len(addresses)
    references = {one["reference"] for one in _walk(written) if "reference" in one}
    assert references <= {*addresses}
    (report,) = _of(written, "DiagnosticReport")
    observations = _of(written, "Observation")
    assert len(report.get("result", [])) == len(observations)
    assert {one["status"] for one in (report, *observations)} == {"preliminary"}


def test_the_values_are_those_of_the_result(tmp_path: Path) -> None:
    result = _result()
    condition, mean, first, second = _of(_written(result, tmp_path), "Observation")
    assert condition["valueCodeableConcept"]["coding"] == [{"system": OWN, "code": "OSTEOPOROSIS"}]
    found = {
        one["code"]["coding"][0]["code"]: one["valueQuantity"]["value"]
        for one in condition["component"]
        if "valueQuantity" in one
    }
    assert found == {"P_NORMAL": 0.05, "P_LOW": 0.15, "P_OSTEOPOROSIS": 0.8}
    assert mean["valueQuantity"] == {
        "value": 81.5, "unit": "HU", "system": UCUM, "code": "[hnsf'U]"
    }  # fmt: skip
    assert first["valueQuantity"]["value"] == 81.5
    assert first["bodySite"]["text"] == "L1"
    components = {one["code"]["coding"][0]["code"] for one in first["component"]}
    assert components >= {
        "LEVEL_MEDIAN_HU", "LEVEL_SD_HU", "LEVEL_HEIGHT", "NAME_CONFIDENCE", "P_LOW"
    }  # fmt: skip
    assert "valueQuantity" not in second
    assert "component" not in second
    assert "NOT_LUMBAR" in second["note"][-1]["text"]


def test_an_abstention_has_probabilities_and_a_reason_but_no_class(tmp_path: Path) -> None:
    condition = _of(_written(_abstained(), tmp_path), "Observation")[0]
    assert "valueCodeableConcept" not in condition
    assert condition["dataAbsentReason"]["text"] == "No statement."
    assert _coded(condition["component"]) == [
        ("CERTAINTY", "ABSTAINED"),
        ("ABSTENTION", "ANY_CLASS"),
        ("PREDICTION_SET", "NORMAL"),
        ("PREDICTION_SET", "LOW"),
        ("PREDICTION_SET", "OSTEOPOROSIS"),
    ]


def test_a_program_and_a_reader_tell_a_doubtful_class_from_a_clear_one(tmp_path: Path) -> None:
    clear, doubtful = (
        _of(_written(one, tmp_path), "Observation")[0] for one in (_result(), _doubtful())
    )
    assert _coded(clear["component"]) == [
        ("CERTAINTY", "CLEAR"), ("PREDICTION_SET", "OSTEOPOROSIS")
    ]  # fmt: skip
    assert _coded(doubtful["component"]) == [
        ("CERTAINTY", "DOUBTFUL"), ("PREDICTION_SET", "LOW"), ("PREDICTION_SET", "OSTEOPOROSIS")
    ]  # fmt: skip
    assert clear["valueCodeableConcept"]["coding"] == doubtful["valueCodeableConcept"]["coding"]
    assert clear["valueCodeableConcept"]["text"] == "Looks like osteoporosis"
    assert doubtful["valueCodeableConcept"]["text"] == "Looks like osteoporosis, doubtful"


def test_words_are_those_of_the_measurement_report() -> None:
    looks = {one: texts.FHIR_LOOKS.format(condition=texts.IN_SENTENCE[one]) for one in codes.CLASS}
    assert looks == {one: code.meaning for one, code in codes.CLASS.items()}
    for said, coded in (
        (texts.FHIR_CERTAINTIES, codes.CERTAINTIES),
        (texts.FHIR_ABSTENTIONS, codes.ABSTENTIONS),
    ):
        assert said == {one: code.meaning for one, code in coded.items()}


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("clear", "Looks like osteoporosis (normal bone mass 5.0 %, low bone mass 15.0 %, "
         "osteoporosis 80.0 %)."),
        ("doubtful", "Looks like osteoporosis, doubtful (normal bone mass 5.0 %, low bone mass "
         "40.0 %, osteoporosis 55.0 %)."),
        ("abstained", "No statement (normal bone mass 5.0 %, low bone mass 15.0 %, "
         "osteoporosis 80.0 %)."),
        ("refused", "Not screened: NO_LUMBAR: no lumbar vertebra was found"),
    ],
)  # fmt: skip
def test_conclusion_and_narrative_say_finding_advice_reservations_and_notice(
    name: str, finding: str, tmp_path: Path
) -> None:
    result = RESULTS[name]
    (report,) = _of(_written(result, tmp_path), "DiagnosticReport")
    said = [
        finding,
        *([result.advice] if result.advice else []),
        *(f"{one.code}: {one.text}" for one in result.reservations),
        f"{result.notice} Preliminary, not verified.",
    ]
    assert result.reservations
    assert report["conclusion"].replace("\N{NO-BREAK SPACE}", " ").split("\n") == said
    paragraphs = re.findall(r"<p>(.*?)</p>", report["text"]["div"])
    assert [html.unescape(one).replace("\N{NO-BREAK SPACE}", " ") for one in paragraphs] == said


def test_a_refusal_is_a_report_without_observations(tmp_path: Path) -> None:
    written = _written(_refused(), tmp_path)
    (report,) = _of(written, "DiagnosticReport")
    assert "no lumbar vertebra was found" in report["conclusion"]
    assert not _of(written, "Observation")
    assert "effectiveDateTime" not in report


@pytest.mark.parametrize("name", RESULTS)
def test_every_resource_says_what_it_is_for(name: str, tmp_path: Path) -> None:
    result = RESULTS[name]
    written = _written(result, tmp_path)
    (report,), (device,) = _of(written, "DiagnosticReport"), _of(written, "Device")
    assert report["conclusion"].endswith(f"{result.notice} Preliminary, not verified.")
    for one in (device, *_of(written, "Observation")):
        assert one["note"][0]["text"] == result.notice
    assert device["version"][0]["value"] == result.software


def test_the_study_is_named_and_the_patient_is_not(tmp_path: Path) -> None:
    written = _written(_result(), tmp_path)
    (report,) = _of(written, "DiagnosticReport")
    assert report["imagingStudy"][0]["identifier"] == {
        "system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"
    }  # fmt: skip
    assert report["effectiveDateTime"] == "2024-01-31"
    for one in (report, *_of(written, "Observation")):
        assert one["subject"].keys() == {"type", "display"}
    assert KEY not in json.dumps(written)
    assert not _of(written, "Patient")


def test_text_in_the_narrative_is_escaped(tmp_path: Path) -> None:
    (report,) = _of(_written(_result(), tmp_path), "DiagnosticReport")
    assert "Look &lt;closer&gt; &amp; measure." in report["text"]["div"]
    assert "Look <closer> & measure." in report["conclusion"]


def test_codes_of_public_systems_are_the_pinned_ones(tmp_path: Path) -> None:
    """No validator knows whether a code means what its text says."""
    used = {
        (one["system"], one["code"])
        for name in RESULTS
        for one in _walk(_written(RESULTS[name], tmp_path))
        if {"system", "code"} <= one.keys() and one["system"] != OWN
    }
    hl7 = "http://terminology.hl7.org/CodeSystem"
    assert used == {
        (LOINC, "18748-4"),
        (SNOMED, dictionary.SCT.LumbarSpine.value),
        (SNOMED, dictionary.SCT.L1Vertebra.value),
        (UCUM, "[hnsf'U]"),
        (UCUM, "mm"),
        (UCUM, "1"),
        (f"{hl7}/v2-0074", "RAD"),
        (f"{hl7}/observation-category", "imaging"),
        (f"{hl7}/data-absent-reason", "unknown"),
    }
    assert codes.VERTEBRA_OF_LEVEL["L6"] in codes.UNVERIFIED  # and so L6 has its name only


def test_every_code_of_our_own_is_published_and_no_measurement_is_named_as_a_method(
    tmp_path: Path,
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "codes.md").read_text(encoding="utf-8")
    used = {
        one["code"]
        for name in RESULTS
        for one in _walk(_written(RESULTS[name], tmp_path))
        if one.get("system") == OWN
    }
    assert used
    assert {one for one in used if f"| `{one}` | {codes.PRIVATE} |" not in page} == set()
    assert not used & {codes.TRABECULAR_REGION.value, codes.MEAN_OF_LEVELS.value}


def test_our_own_system_never_changes() -> None:
    assert OWN == "urn:oid:2.25.8334978611974350275543222180892097780"


def test_without_the_extra_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fhir.resources.R4B.bundle", None)
    assert not write_fhir(_result(), STUDY, tmp_path / "fhir.json", issued=ISSUED)
    assert not (tmp_path / "fhir.json").exists()
