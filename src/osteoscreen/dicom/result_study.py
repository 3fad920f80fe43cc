"""The DICOM objects of one result, written into the study of its images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from osteoscreen.dicom.document import capture, encapsulate
from osteoscreen.dicom.measurement_report import MARKS_GIVEN, has_given_marks, measurement_report
from osteoscreen.dicom.result_object import MARKS, series_uid_of
from osteoscreen.dicom.segment import NumberedSegments
from osteoscreen.dicom.segmentation import write_segmentation
from osteoscreen.dicom.series import CTSeries
from osteoscreen.findings import ScreeningResult

SEGMENTATION = "segmentation.dcm"
MEASUREMENTS = "measurements.dcm"
CAPTURE = "capture.dcm"
REPORT = "report.dcm"
OBJECTS = (SEGMENTATION, MEASUREMENTS, CAPTURE, REPORT)


def write_documents(
    result: ScreeningResult,
    series: CTSeries,
    folder: Path,
    *,
    picture: NDArray[np.uint8],
    pdf: bytes,
) -> None:
    """Write what people look at: the picture and the report of a result.

    Args:
        result: Screened or refused.
        series: The CT, with identifiers.
        folder: Where the files go.
        picture: RGB, shape (rows, columns, 3).
        pdf: The report.
    """
    software, bundle = result.software, result.bundle
    shown = capture(picture, series.headers, software=software, bundle=bundle)
    report = encapsulate(pdf, series.headers, software=software, bundle=bundle)
    _save(shown, folder / CAPTURE)
    _save(report, folder / REPORT)


def write_measurements(
    result: ScreeningResult, marks: NumberedSegments, series: CTSeries, folder: Path
) -> bool:
    """Write what programs read: the segmentation and the measurement report of a result.

    Args:
        result: Screened or refused.
        marks: On the grid of the slices.
        series: The CT, with identifiers.
        folder: Where the files go.
    Returns: Whether there is a segmentation: it cannot be empty.
    """
    called = MARKS.by(result.software, result.bundle)
    segmentation = write_segmentation(
        marks,
        series.headers,
        folder / SEGMENTATION,
        algorithm=_algorithm(result),
        version=result.software,
        series=called,
        made="SEMIAUTOMATIC" if has_given_marks(result) else "AUTOMATIC",
        series_uid=series_uid_of(called, series.headers, *_content(result, marks)),
    )
    _save(measurement_report(result, series.headers, segmentation), folder / MEASUREMENTS)
    return segmentation is not None


def _save(instance: Dataset, path: Path) -> None:
    instance.save_as(path, enforce_file_format=True)


def _algorithm(result: ScreeningResult) -> str:
    return MARKS_GIVEN if has_given_marks(result) else "osteoscreen MS-Net"


def _content(
    result: ScreeningResult, marks: NumberedSegments
) -> Iterator[bytes | NDArray[np.uint8]]:
    """Tell one segmentation from another."""
    yield repr((_algorithm(result), result.software, result.bundle, marks.segments)).encode()
    yield marks.labels
    if marks.within is not None:
        yield marks.within
