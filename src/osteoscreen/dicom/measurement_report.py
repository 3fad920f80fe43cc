"""The result as a DICOM measurement report (PS3.16 TID 1500) in a Comprehensive SR.

Every number and sentence comes from the ``ScreeningResult``; the report is preliminary and
unverified, and says what made it. A Comprehensive SR is what older archives take, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from osteoscreen import texts
from osteoscreen.dicom import codes
from osteoscreen.dicom.instance import derived_uid
from osteoscreen.dicom.result_object import (
    MANUFACTURER,
    MEASUREMENTS,
    date_as_study,
    identity,
    name_persons,
    series_uid_of,
)
from osteoscreen.dicom.segment import body_segment
from osteoscreen.dicom.source_image import distinct_images
from osteoscreen.findings import (
    CONDITIONS,
    LevelFinding,
    Probabilities,
    ReservationCode,
    ScreeningResult,
)

CONTAINS = RelationshipTypeValues.CONTAINS
MARKS_GIVEN = "marks given to osteoscreen"
"""What stands for the algorithm of marks that are not ours."""

PRIVATE_SCHEME = CodingSchemeIdentificationItem(
    designator=codes.PRIVATE, name="osteoscreen", responsible_organization="osteoscreen project"
)
"""Declares the private codes (PS3.3 section C.12.1.1.1)."""

Group = MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations


def measurement_report(
    result: ScreeningResult, headers: Sequence[Dataset], segmentation: Dataset | None
) -> Dataset:
    """Make the measurement report of a result, screened or refused.

    Args:
        result: What the report says; neither its timing nor the key of its subject is told.
        headers: One dataset a slice.
        segmentation: The marks as a DICOM Segmentation, whose bodies the vertebrae refer to;
            ``None`` where nothing was marked.
    """
    said = result.model_dump_json(exclude={"timing_s": True, "subject": {"key"}})
    marks = "" if segmentation is None else segmentation.SOPInstanceUID
    series = MEASUREMENTS.by(result.software, result.bundle)
    uid = series_uid_of(series, headers, f"{said}/{marks}".encode())
    images = distinct_images(headers)
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(result)),
        procedure_reported=codes.CT_UNSPECIFIED_BODY_REGION,
        imaging_measurements=[
            _patient_group(result, uid),
            *(_level_group(one, result, uid, segmentation) for one in result.levels),
        ],
        title=dictionary.DCM.ImagingMeasurementReport,
    )
    content[0].ContentSequence.append(_evaluations(result))
    report = ComprehensiveSR(
        evidence=[*images, *([] if segmentation is None else [segmentation])],
        content=content,
        is_complete=True,
        is_final=False,
        is_verified=False,
        manufacturer_model_name=MANUFACTURER,
        software_versions=result.software,
        coding_schemes=[PRIVATE_SCHEME],
        **identity(series, uid),
    )
    name_persons(report, headers[0])
    date_as_study(report)
    return report


def _observer(result: ScreeningResult) -> ObserverContext:
    """Tell that a device observed, and which; one version is one device."""
    return ObserverContext(
        observer_type=dictionary.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=derived_uid(result.software),
            name=result.software,
            manufacturer_name=MANUFACTURER,
            model_name=MANUFACTURER,
        ),
    )


def has_given_marks(result: ScreeningResult) -> bool:
    """Whether the marks come from a file that was given: how they were made is not known."""
    return ReservationCode.MARKS_GIVEN in {one.code for one in result.reservations}


def _algorithm(result: ScreeningResult) -> AlgorithmIdentification:
    bundle, parameters = result.bundle, []
    if bundle is not None:
        parameters += [f"bundle {bundle.name} {bundle.version}", f"bundle SHA-256 {bundle.sha256}"]
    if has_given_marks(result):
        parameters.append(MARKS_GIVEN)
    return AlgorithmIdentification(
        name=MANUFACTURER, version=result.software, parameters=parameters or None
    )


def _patient_group(result: ScreeningResult, uid: str) -> Group:
    """What holds for the patient: probabilities, class, certainty, mean attenuation."""
    measured = [] if result.probabilities is None else _chances(result.probabilities)
    if result.attenuation_hu is not None:
        measured.append(_attenuation(result.attenuation_hu, codes.MEAN, codes.MEAN_OF_LEVELS))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(derived_uid(f"{uid}/patient"), "Patient"),
        algorithm_id=_algorithm(result),
        finding_sites=[FindingSite(codes.LUMBAR_SPINE)],
        measurements=measured or None,
        qualitative_evaluations=[QualitativeEvaluation(*one) for one in _statements(result)],
    )


def _statements(result: ScreeningResult) -> Iterator[tuple[Code, Code]]:
    yield codes.OUTCOME, codes.SCREENED if result.status == "screened" else codes.REFUSED
    if result.condition is not None:
        yield codes.MOST_PROBABLE_CLASS, codes.CLASS[result.condition]
    if result.certainty is not None:
        yield codes.CERTAINTY, codes.CERTAINTIES[result.certainty]
    if result.abstention is not None:
        yield codes.ABSTENTION, codes.ABSTENTIONS[result.abstention]
    for one in result.prediction_set:
        yield codes.PREDICTION_SET, codes.CLASS[one]


def _level_group(
    level: LevelFinding, result: ScreeningResult, uid: str, segmentation: Dataset | None
) -> Group:
    """What one vertebra says; it refers to the segment of its body where there is one."""
    counts = codes.COUNTED if level.left_out is None else codes.LEFT_OUT[level.left_out]
    told: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(derived_uid(f"{uid}/{level.level}"), level.level),
        "algorithm_id": _algorithm(result),
        "finding_sites": [FindingSite(codes.VERTEBRA_OF_LEVEL.get(level.level, codes.VERTEBRA))],
        "measurements": list(_level_measurements(level)) or None,
        "qualitative_evaluations": [QualitativeEvaluation(codes.COUNTS, counts)],
    }
    segment = None if segmentation is None else _body_number(segmentation, level.level)
    if segmentation is None or segment is None:
        return MeasurementsAndQualitativeEvaluations(**told)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=ReferencedSegment(
            SegmentationStorage,
            segmentation.SOPInstanceUID,
            segment,
            source_series=SourceSeriesForSegmentation(
                segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID
            ),
        ),
        **told,
    )


def _body_number(segmentation: Dataset, level: str) -> int | None:
    """Find the segment of a vertebra's body."""
    label = body_segment(level).label
    numbers = [
        int(one.SegmentNumber) for one in segmentation.SegmentSequence if one.SegmentLabel == label
    ]
    return numbers[0] if numbers else None


def _level_measurements(level: LevelFinding) -> Iterator[Measurement]:
    for value, derivation in (
        (level.attenuation_hu, codes.MEAN),
        (level.attenuation_median_hu, codes.MEDIAN),
        (level.attenuation_spread_hu, codes.STANDARD_DEVIATION),
    ):
        if value is not None:
            yield _attenuation(value, derivation, codes.TRABECULAR_REGION)
    if level.confidence is not None:
        yield Measurement(codes.NAME_CONFIDENCE, float(level.confidence), codes.NO_UNITS)
    if level.probabilities is not None:
        yield from _chances(level.probabilities)


def _attenuation(value: float, derivation: Code, method: Code) -> Measurement:
    return Measurement(
        codes.ATTENUATION_COEFFICIENT,
        float(value),
        codes.HOUNSFIELD_UNIT,
        derivation=derivation,
        method=method,
    )


def _chances(probabilities: Probabilities) -> list[Measurement]:
    """A number a class, whose name tells the class."""
    return [
        Measurement(codes.PROBABILITY_OF[condition], float(value), codes.NO_UNITS)
        for condition, value in zip(CONDITIONS, probabilities.as_tuple())
    ]


def _evaluations(result: ScreeningResult) -> ContainerContentItem:
    """Collect the sentences of the result (TID 1500, Qualitative Evaluations)."""
    container = ContainerContentItem(codes.QUALITATIVE_EVALUATIONS, relationship_type=CONTAINS)
    container.ContentSequence = ContentSequence(
        [
            TextContentItem(name, value, relationship_type=CONTAINS)
            for name, value in _sentences(result)
        ]
    )
    return container


def _sentences(result: ScreeningResult) -> Iterator[tuple[Code, str]]:
    yield codes.NOTICE, result.notice
    if result.refusal is not None:
        yield codes.REFUSAL, f"{result.refusal.code}: {result.refusal.text}"
    if result.advice is not None:
        yield codes.RECOMMENDATION, result.advice
    for one in result.reservations:
        yield codes.RESERVATION, f"{one.code}: {one.text}"
    band = result.attenuation_band
    if band is not None:
        yield (
            codes.REFERENCE_BAND,
            texts.BAND_SAID_DICOM.format(
                level=band.level,
                hu=band.attenuation_hu,
                meaning=band.meaning,
                source=band.source,
                holds_for=band.holds_for,
            ),
        )
    if result.attenuation_note is not None:
        yield codes.REFERENCE_BAND, result.attenuation_note
    if result.series_choice is not None:
        yield codes.COMMENT, texts.CHOICE_SAID_DICOM.format(choice=result.series_choice)
