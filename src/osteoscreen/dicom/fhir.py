"""A result as FHIR: one DiagnosticReport, its Observations, and the Device that made them.

The release is R4 (4.0.1), with elements only that are the same in R4B, whose models check what is
written. Everything is preliminary. No resource says who the patient is: the receiver sets
``subject`` from the study, which is named by its Study Instance UID.

| what | code | source |
|---|---|---|
| report | LOINC 18748-4 Diagnostic imaging study | DICOM PS3.16 CID 7000; LOINC |
| section of the report | RAD | HL7 v2 table 0074 |
| kind of observation | imaging | HL7 CodeSystem observation-category |
| lumbar spine, L1 and so on | SNOMED CT | ``codes.py`` |
| Hounsfield unit, pure number | UCUM ``[hnsf'U]``, ``1`` | DICOM PS3.16 CID 301; UCUM |
| a value that is not there | unknown | HL7 CodeSystem data-absent-reason |

All else is of our own system (``codes.py``). The class is, too: a code of a disease would enter as
a diagnosis what is no more than how bone looks to networks. A DiagnosticReport has no performer
here: R4 knows people and organisations only, and none has looked.
"""

from __future__ import annotations

import html
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom.sr.coding import Code

from osteoscreen import texts
from osteoscreen.dicom import codes
from osteoscreen.dicom.instance import derived_uid
from osteoscreen.findings import (
    CONDITIONS,
    BoneCondition,
    Certainty,
    LevelFinding,
    Probabilities,
    Refusal,
    Reservation,
    ScreeningResult,
)

OWN = f"urn:oid:{derived_uid('osteoscreen/codes')}"
"""Our own code system; a UID from a name (DICOM PS3.5 section B.2), as the project owns no URL."""

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
SYSTEM_OF = {"LN": LOINC, "SCT": SNOMED, "UCUM": UCUM, codes.PRIVATE: OWN}
"""System of a coding scheme, by its designator in DICOM."""
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
DICOM_UID = "urn:dicom:uid"
"""System of a Study Instance UID, its value ``urn:oid:`` and the UID (FHIR R4, ImagingStudy)."""

DECIMALS = 4
"""Of probabilities; more say nothing."""

Element = dict[str, Any]


def write_fhir(result: ScreeningResult, study_uid: str, path: Path, *, issued: datetime) -> bool:
    """Write a result as a FHIR bundle, a collection, where fhir.resources is installed.

    Args:
        result: Screened or refused.
        study_uid: Study Instance UID.
        path: File to write, JSON.
        issued: When, with its time zone.
    Returns: Whether a file was written.
    """
    try:
        from fhir.resources.R4B.bundle import Bundle
    except ImportError:
        return False
    bundle = Bundle.model_validate(_bundle(result, study_uid, issued))
    path.write_text(bundle.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return True


def _bundle(result: ScreeningResult, study_uid: str, issued: datetime) -> Element:
    study = {
        "type": "ImagingStudy",
        "identifier": {"system": DICOM_UID, "value": f"urn:oid:{study_uid}"},
    }
    device = _entry(_device(result))
    common: Element = {
        "status": "preliminary",
        "category": [_category("observation-category", "imaging")],
        "subject": _subject(),
        **_when(result, issued),
        "derivedFrom": [study],
        "device": {"reference": device["fullUrl"]},
    }
    observations = [_entry(common | one) for one in _observations(result)]
    report = _entry(_report(result, study, issued, [one["fullUrl"] for one in observations]))
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": issued.isoformat(),
        "entry": [report, *observations, device],
    }


def _entry(resource: Element) -> Element:
    """A resource with an address by which the others of the bundle refer to it."""
    return {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": resource}


def _report(
    result: ScreeningResult, study: Element, issued: datetime, observations: Sequence[str]
) -> Element:
    said = [*_conclusion(result)]
    paragraphs = "".join(f"<p>{html.escape(one, quote=False)}</p>" for one in said)
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs}</div>'
    report: Element = {
        "resourceType": "DiagnosticReport",
        "text": {"status": "generated", "div": div},
        "status": "preliminary",
        "category": [_category("v2-0074", "RAD")],
        "code": _coded(codes.DIAGNOSTIC_IMAGING_REPORT, texts.FHIR_REPORT),
        "subject": _subject(),
        **_when(result, issued),
        "imagingStudy": [study],
        "conclusion": "\n".join(said),
    }
    if observations:
        report["result"] = [{"reference": one} for one in observations]
    return report


def _conclusion(result: ScreeningResult) -> Iterator[str]:
    """Say the finding or the refusal, what to do, the reservations, and what it is for."""
    if result.refusal is not None:
        yield texts.REFUSED_BECAUSE.format(reason=_told(result.refusal))
    if result.probabilities is not None:
        headline = texts.NO_STATEMENT
        if result.condition is not None:
            headline = _looks_like(result.condition, result.certainty)
        shares = texts.shares(result.probabilities)
        yield texts.CAPTURED.format(headline=headline, shares=shares)
    if result.advice is not None:
        yield result.advice
    yield from map(_told, result.reservations)
    yield texts.banner(result)


def _device(result: ScreeningResult) -> Element:
    versions = [{"type": {"text": texts.FHIR_SOFTWARE}, "value": result.software}]
    if result.bundle is not None:
        value = f"{result.bundle.name} {result.bundle.version}, sha256 {result.bundle.sha256}"
        versions.append({"type": {"text": texts.FHIR_BUNDLE}, "value": value})
    return {
        "resourceType": "Device",
        "deviceName": [{"name": "osteoscreen", "type": "user-friendly-name"}],
        "type": {"text": texts.FHIR_DEVICE},
        "version": versions,
        "note": [{"text": result.notice}],
    }


def _when(result: ScreeningResult, issued: datetime) -> Element:
    """The date of the scan, where the header tells it, and the time of the report."""
    found: Element = {"issued": issued.isoformat()}
    date = result.subject.study_date
    if date is not None:
        found["effectiveDateTime"] = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    return found


def _observations(result: ScreeningResult) -> Iterator[Element]:
    if result.probabilities is None:
        return
    yield _condition(result, result.probabilities)
    if result.attenuation_hu is not None:
        band = result.attenuation_band
        told = result.attenuation_note
        if band is not None:
            told = texts.BAND_SAID_FHIR.format(meaning=band.meaning, source=band.source)
        yield {
            "resourceType": "Observation",
            "code": _coded(codes.PATIENT_HU, texts.FHIR_MEAN),
            "bodySite": _lumbar_spine(),
            "valueQuantity": _hu(result.attenuation_hu),
            "note": _notes(result, [told] if told else []),
        }
    for level in result.levels:
        yield _level(result, level)


def _condition(result: ScreeningResult, probabilities: Probabilities) -> Element:
    """The class, or why there is none, with what speaks for each."""
    found: Element = {
        "resourceType": "Observation",
        "code": _coded(codes.MOST_PROBABLE_CLASS, texts.FHIR_CONDITION),
        "bodySite": _lumbar_spine(),
        "component": [
            *_chances(probabilities),
            *({"code": code, "valueCodeableConcept": value} for code, value in _statements(result)),
        ],
        "note": _notes(result, [_told(one) for one in result.reservations]),
    }
    if result.condition is None:
        found["dataAbsentReason"] = _absent(result.advice or texts.FHIR_NO_STATEMENT)
    else:
        said = _looks_like(result.condition, result.certainty)
        found["valueCodeableConcept"] = _coded(codes.CLASS[result.condition], said)
    return found


def _statements(result: ScreeningResult) -> Iterator[tuple[Element, Element]]:
    """Concepts and their values, as the measurement report codes them."""
    if result.certainty is not None:
        code = codes.CERTAINTIES[result.certainty]
        said = texts.FHIR_CERTAINTIES[result.certainty]
        yield _coded(codes.CERTAINTY, texts.FHIR_CERTAINTY), _coded(code, said)
    if result.abstention is not None:
        code = codes.ABSTENTIONS[result.abstention]
        said = texts.FHIR_ABSTENTIONS[result.abstention]
        yield _coded(codes.ABSTENTION, texts.FHIR_ABSTENTION), _coded(code, said)
    for one in result.prediction_set:
        yield (
            _coded(codes.PREDICTION_SET, texts.FHIR_SET),
            _coded(codes.CLASS[one], _looks_like(one)),
        )


def _looks_like(condition: BoneCondition, certainty: Certainty | None = None) -> str:
    is_doubtful = certainty is Certainty.DOUBTFUL
    said = texts.FHIR_LOOKS_DOUBTFUL if is_doubtful else texts.FHIR_LOOKS
    return said.format(condition=texts.IN_SENTENCE[condition])


def _level(result: ScreeningResult, level: LevelFinding) -> Element:
    """The attenuation of one vertebra, and its probabilities."""
    site = codes.VERTEBRA_OF_LEVEL.get(level.level)
    values = [
        (codes.LEVEL_MEDIAN_HU, texts.FHIR_MEDIAN, level.attenuation_median_hu, _hu),
        (codes.LEVEL_SD_HU, texts.FHIR_SPREAD, level.attenuation_spread_hu, _hu),
        (codes.LEVEL_HEIGHT, texts.FHIR_HEIGHT, level.height_mm, _mm),
        (codes.NAME_CONFIDENCE, texts.FHIR_CONFIDENCE, level.confidence, _one),
    ]
    components = [
        {"code": _coded(code, text), "valueQuantity": quantity(value)}
        for code, text, value, quantity in values
        if value is not None
    ]
    left_out = [texts.FHIR_LEFT_OUT.format(code=level.left_out)] if level.left_out else []
    found: Element = {
        "resourceType": "Observation",
        "code": _coded(codes.LEVEL_HU, texts.FHIR_LEVEL),
        "bodySite": _concept(level.level)
        if site is None or site in codes.UNVERIFIED
        else _coded(site, level.level),
        "note": _notes(result, left_out),
    }
    if level.attenuation_hu is None:
        found["dataAbsentReason"] = _absent(texts.FHIR_NOT_MEASURED)
    else:
        found["valueQuantity"] = _hu(level.attenuation_hu)
    components += [*_chances(level.probabilities)] if level.probabilities else []
    return found | ({"component": components} if components else {})


def _chances(probabilities: Probabilities) -> Iterator[Element]:
    for one, value in zip(CONDITIONS, probabilities.as_tuple()):
        text = texts.FHIR_PROBABILITY.format(condition=texts.IN_SENTENCE[one])
        yield {"code": _coded(codes.PROBABILITY_OF[one], text), "valueQuantity": _one(value)}


def _notes(result: ScreeningResult, more: Sequence[str]) -> list[Element]:
    """What is to be read with a value, also where it lies apart from the report."""
    return [{"text": text} for text in (result.notice, *more)]


def _told(reason: Refusal | Reservation) -> str:
    return f"{reason.code}: {reason.text}"


def _lumbar_spine() -> Element:
    return _coded(codes.LUMBAR_SPINE, texts.FHIR_SITE)


def _subject() -> Element:
    """Point at the patient without telling who it is."""
    return {"type": "Patient", "display": texts.FHIR_SUBJECT}


def _category(system: str, code: str) -> Element:
    return _concept(texts.FHIR_CATEGORIES[code], (f"{TERMINOLOGY}/{system}", code))


def _coded(code: Code, text: str) -> Element:
    """A concept of ``codes.py`` in the words of the language."""
    return _concept(text, (SYSTEM_OF[code.scheme_designator], code.value))


def _concept(text: str, *codings: tuple[str, str]) -> Element:
    concept: Element = {"text": text}
    if codings:
        concept["coding"] = [{"system": system, "code": code} for system, code in codings]
    return concept


def _absent(text: str) -> Element:
    return _concept(text, (f"{TERMINOLOGY}/data-absent-reason", "unknown"))


def _hu(value: float) -> Element:
    return {"value": value, "unit": "HU", "system": UCUM, "code": codes.HOUNSFIELD_UNIT.value}


def _mm(value: float) -> Element:
    return {"value": value, "unit": "mm", "system": UCUM, "code": codes.MILLIMETER.value}


def _one(value: float) -> Element:
    return {"value": round(value, DECIMALS), "system": UCUM, "code": codes.NO_UNITS.value}
