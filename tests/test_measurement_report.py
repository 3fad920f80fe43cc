"""The measurement report says what the result says, number by number, and who says it."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from highdicom.sr import MeasurementReport, srread
from pydicom.dataset import Dataset

from made_results import LEVELS, made_marks, made_refusal, made_result, made_series
from osteoscreen.dicom import codes
from osteoscreen.dicom.measurement_report import measurement_report
from osteoscreen.dicom.segmentation import write_segmentation
from osteoscreen.dicom.series import CTSeries
from osteoscreen.findings import CONDITIONS, ScreeningResult


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> CTSeries:
    return made_series(tmp_path_factory.mktemp("ct"))


@pytest.fixture(scope="module")
def marks(ct: CTSeries, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("marks") / "seg.dcm"
    written = write_segmentation(
        made_marks(), ct.headers, path, algorithm="a", version="1", series_uid="2.25.7"
    )
    assert written is not None
    return pydicom.dcmread(path)


def _written(report: Dataset, folder: Path) -> Dataset:
    path = folder / "sr.dcm"
    report.save_as(path, enforce_file_format=True)
    return pydicom.dcmread(path)


def _items(container: Dataset) -> list[Dataset]:
    """Every content item below one, however deep."""
    found: list[Dataset] = []
    for item in container.get("ContentSequence", []):
        found += [item, *_items(item)]
    return found


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def _texts(container: Dataset, code: str) -> list[str]:
    return [
        item.TextValue
        for item in _items(container)
        if item.ValueType == "TEXT" and _name(item) == code
    ]


def _group(report: Dataset, name: str) -> Dataset:
    """Find the measurement group with a tracking identifier (DCM 125007 and 112039)."""
    groups = [item for item in _items(report) if _name(item) == "125007"]
    (found,) = [one for one in groups if _texts(one, "112039") == [name]]
    return found


def _numbers(group: Dataset) -> dict[tuple[str, str | None], float]:
    """Read the numbers of a group by name and derivation (DCM 121401)."""
    found = {}
    for item in group.ContentSequence:
        if item.ValueType == "NUM":
            derived = [one for one in _items(item) if _name(one) == "121401"]
            how = derived[0].ConceptCodeSequence[0].CodeValue if derived else None
            found[_name(item), how] = float(item.MeasuredValueSequence[0].FloatingPointValue)
    return found


def _evaluations(group: Dataset) -> list[tuple[str, str]]:
    return [
        (_name(item), item.ConceptCodeSequence[0].CodeValue)
        for item in group.ContentSequence
        if (item.ValueType, item.RelationshipType) == ("CODE", "CONTAINS")
    ]


def test_the_numbers_are_those_of_the_result(ct: CTSeries, marks: Dataset, tmp_path: Path) -> None:
    result = made_result()
    report = _written(measurement_report(result, ct.headers, marks), tmp_path)
    patient = _numbers(_group(report, "Patient"))
    assert result.probabilities is not None
    for condition, share in zip(CONDITIONS, result.probabilities.as_tuple()):
        assert patient[codes.PROBABILITY_OF[condition].value, None] == share
    hu = codes.ATTENUATION_COEFFICIENT.value
    assert patient[hu, codes.MEAN.value] == result.attenuation_hu
    assert len(patient) == 4
    for level in result.levels:
        told = _numbers(_group(report, level.level))
        assert told.get((hu, codes.MEAN.value)) == level.attenuation_hu
        assert told.get((hu, codes.MEDIAN.value)) == level.attenuation_median_hu
        assert told.get((hu, codes.STANDARD_DEVIATION.value)) == level.attenuation_spread_hu
        assert told[codes.NAME_CONFIDENCE.value, None] == level.confidence
        shares = (None,) * 3 if level.probabilities is None else level.probabilities.as_tuple()
        assert shares == tuple(
            told.get((codes.PROBABILITY_OF[one].value, None)) for one in CONDITIONS
        )


def test_a_vertebra_has_its_site_its_segment_and_whether_it_counts(
    ct: CTSeries, marks: Dataset, tmp_path: Path
) -> None:
    report = _written(measurement_report(made_result(), ct.headers, marks), tmp_path)
    for level, counts in (("L1", "COUNTED"), ("L2", "COUNTED"), ("L3", "CUT")):
        group = _group(report, level)
        (site,) = [item for item in group.ContentSequence if _name(item) == "363698007"]
        assert site.ConceptCodeSequence[0].CodeValue == codes.VERTEBRA_OF_LEVEL[level].value
        assert _evaluations(group) == [("COUNTS", counts)]
        (image,) = [item for item in group.ContentSequence if item.ValueType == "IMAGE"]
        reference = image.ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == marks.SOPInstanceUID
        number = int(reference.ReferencedSegmentNumber)
        described = marks.SegmentSequence[number - 1]
        assert (described.SegmentNumber, described.SegmentLabel) == (number, f"{level} body")


def test_the_statement_is_coded(ct: CTSeries, marks: Dataset, tmp_path: Path) -> None:
    report = _written(measurement_report(made_result(), ct.headers, marks), tmp_path)
    patient = _group(report, "Patient")
    assert _evaluations(patient) == [
        ("OUTCOME", "SCREENED"),
        ("MOST_PROBABLE", "LOW"),
        ("CERTAINTY", "DOUBTFUL"),
        ("PREDICTION_SET", "LOW"),
        ("PREDICTION_SET", "OSTEOPOROSIS"),
    ]


def test_notice_advice_and_reservations_stand_as_they_are(
    ct: CTSeries, marks: Dataset, tmp_path: Path
) -> None:
    result = made_result()
    report = _written(measurement_report(result, ct.headers, marks), tmp_path)
    assert _texts(report, "NOTICE") == [result.notice]
    assert _texts(report, codes.RECOMMENDATION.value) == [result.advice]
    assert _texts(report, "RESERVATION") == [
        f"{one.code}: {one.text}" for one in result.reservations
    ]
    assert _texts(report, "REFERENCE_BAND") == [
        "L1, 120.5 HU: between the limits (a paper; 120 kVp)"
    ]


def test_it_is_preliminary_unverified_and_names_its_algorithm(
    ct: CTSeries, marks: Dataset, tmp_path: Path
) -> None:
    result = made_result()
    report = _written(measurement_report(result, ct.headers, marks), tmp_path)
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    groups = 1 + len(LEVELS)
    assert _texts(report, "111001") == ["osteoscreen"] * groups
    assert _texts(report, "111003") == ["osteoscreen 9.9"] * groups
    assert _texts(report, "111002") == ["bundle made 1.2", f"bundle SHA-256 {'ab' * 32}"] * groups
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == codes.PRIVATE


def test_the_key_of_the_subject_and_the_timing_are_not_told(ct: CTSeries, marks: Dataset) -> None:
    result = made_result()
    assert result.subject.key is not None
    assert result.subject.key not in str(measurement_report(result, ct.headers, marks))


def _bytes(result: ScreeningResult, ct: CTSeries, marks: Dataset, folder: Path) -> bytes:
    _written(measurement_report(result, ct.headers, marks), folder)
    return (folder / "sr.dcm").read_bytes()


def test_the_same_result_is_the_same_bytes_and_another_one_another_object(
    ct: CTSeries, marks: Dataset, tmp_path: Path
) -> None:
    first = _bytes(made_result(), ct, marks, tmp_path)
    later = made_result(timing_s={"read": 9.0}, subject={"key": "other", "age": 61, "sex": "F"})
    assert _bytes(later, ct, marks, tmp_path) == first
    uids = {
        measurement_report(one, ct.headers, marks).SOPInstanceUID
        for one in (made_result(), made_result(advice="Other."), made_result(software="x 2"))
    }
    assert len(uids) == 3


def test_a_refusal_tells_its_reason_and_no_probability(ct: CTSeries, tmp_path: Path) -> None:
    report = _written(measurement_report(made_refusal(), ct.headers, None), tmp_path)
    assert _texts(report, "REFUSAL") == ["NO_LUMBAR: no lumbar vertebra was marked"]
    assert _evaluations(_group(report, "Patient")) == [("OUTCOME", "REFUSED")]
    assert not [item for item in _items(report) if item.ValueType == "NUM"]


def test_a_vertebra_without_a_segment_is_measured_all_the_same(
    ct: CTSeries, tmp_path: Path
) -> None:
    report = _written(measurement_report(made_result(), ct.headers, None), tmp_path)
    assert not [item for item in _items(report) if item.ValueType == "IMAGE"]
    assert _numbers(_group(report, "L2"))[codes.ATTENUATION_COEFFICIENT.value, "373098007"] == 116


def test_a_result_without_a_statement_says_why(
    ct: CTSeries, marks: Dataset, tmp_path: Path
) -> None:
    result = made_result(
        condition=None,
        certainty="abstained",
        abstention="IMAGE_QUALITY",
        reservations=({"code": "ABSTAINED", "text": "No statement."},),
        attenuation_band=None,
        attenuation_note="not computed: kVp unknown",
        series_choice="the thinnest",
    )
    report = _written(measurement_report(result, ct.headers, marks), tmp_path)
    said = _evaluations(_group(report, "Patient"))
    assert ("ABSTENTION", "IMAGE_QUALITY") in said
    assert "MOST_PROBABLE" not in dict(said)
    assert _texts(report, "REFERENCE_BAND") == ["not computed: kVp unknown"]
    assert _texts(report, codes.COMMENT.value) == ["Series: the thinnest"]


def test_highdicom_reads_a_measurement_report_with_its_groups(
    ct: CTSeries, marks: Dataset, tmp_path: Path
) -> None:
    _written(measurement_report(made_result(), ct.headers, marks), tmp_path)
    content = srread(tmp_path / "sr.dcm").content
    assert isinstance(content, MeasurementReport)
    assert len(content.get_volumetric_roi_measurement_groups()) == len(LEVELS)
    assert len(content.get_image_measurement_groups()) == 1
