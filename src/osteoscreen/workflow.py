"""One input in, every output out: find the study's series, screen it, write the results."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from osteoscreen import texts
from osteoscreen.box import box_of
from osteoscreen.bundle import Bundle, load_bundle
from osteoscreen.dicom.fhir import write_fhir
from osteoscreen.dicom.result_study import OBJECTS, write_documents, write_measurements
from osteoscreen.dicom.segment import NumberedSegments, number_vertebrae
from osteoscreen.dicom.series import CTSeries, read_series
from osteoscreen.door import door
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.findings import (
    Acquisition,
    Reservation,
    ReservationCode,
    ScreeningResult,
    Subject,
)
from osteoscreen.intake import Unit, find_units
from osteoscreen.masks import read_given_marks
from osteoscreen.nifti import LEVEL_NUMBERS, read_nifti, write_labels
from osteoscreen.report.capture import captured
from osteoscreen.reporting import REPORT_FILES, RESULT, write_pictures, write_report
from osteoscreen.screening.level_map import level_map
from osteoscreen.screening.screen import Scanned, Screening, screen_volume
from osteoscreen.summary import SUMMARY, Row, shown, write_summary
from osteoscreen.volume import Reorientation, Volume, stand


class Watcher(Protocol):
    """Hears how the work goes; the command line shows it."""

    def begin(self, name: str, slices: int) -> None:
        """A unit has been read and its slices are about to be marked."""

    def advance(self, slices: int) -> None:
        """Some slices have been marked."""

    def end(self, row: Row) -> None:
        """A row of the summary is known."""


class Silent:
    """Hears how the work goes and shows nothing."""

    def begin(self, name: str, slices: int) -> None:
        """A unit has been read."""

    def advance(self, slices: int) -> None:
        """Some slices have been marked."""

    def end(self, row: Row) -> None:
        """A row is known."""


@dataclass(frozen=True)
class Order:
    """How inputs are screened.

    Args:
        series_uid: Screen this series instead of the chosen one.
        mask: Marks from elsewhere, of the one image that is screened.
        address: Where the input was fetched from, and what rows call it; empty for its path.
        folders: Look only at the files that lie in one of these folders below the input.
        keeps: Whether the folder of a result is written.
        salt: Mixed into the hash of the patient's identifier.
    """

    series_uid: str | None = None
    mask: Path | None = None
    address: str = ""
    folders: tuple[Path, ...] = ()
    keeps: Callable[[ScreeningResult], bool] = lambda _: True
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16))


Told = tuple[Row, ScreeningResult | None]
"""A row of the summary and the result that it tells of, where there is one."""


def screen_inputs(
    inputs: Sequence[Path],
    out: Path,
    bundle: Bundle,
    watcher: Watcher,
    *,
    series_uid: str | None = None,
    mask: Path | None = None,
) -> list[Row]:
    """Screen every input and write all results; one bad input never stops the others.

    Args:
        inputs: DICOM files or folders, NIfTI files.
        out: Output folder; made if it does not exist.
        bundle: Model bundle.
        watcher: Hears how the work goes.
        series_uid: Screen this series instead of the chosen one.
        mask: Marks from elsewhere, of the one image that is screened.
    Returns: The rows of ``summary.csv``, which is complete after each of them.
    """
    out.mkdir(parents=True, exist_ok=True)
    order = Order(series_uid, mask)
    rows: list[Row] = []
    for source in inputs:
        for row, _ in screen_input(source, out, bundle, watcher, order):
            rows.append(row)
            watcher.end(row)
            write_summary(rows, out / SUMMARY)
    return rows


def screen_input(
    source: Path, out: Path, bundle: Bundle, watcher: Watcher, order: Order
) -> Iterator[Told]:
    """Screen the studies of one input and write the folders of their results.

    Args:
        source: DICOM file, folder, DICOMDIR or zip archive; or a volume file.
        out: Output folder.
        bundle: Model bundle.
        watcher: Hears how the work goes.
        order: How.
    Returns: What came of each series; what is wrong with the input is a row.
    """
    with find_units(source, order.series_uid, order.folders, order.address) as units:
        for found in units:
            told = (
                [(found, None)]
                if isinstance(found, Row)
                else _screen_study(found, out, bundle, watcher, order)
            )
            for row, result in told:
                yield row.renamed(source, order.address) if order.address else row, result


def screen_path(
    path: Path, *, bundle: Bundle | None = None, mask: Path | None = None
) -> ScreeningResult:
    """Screen one study or image and return the result; nothing is written.

    Where the chosen series shows no lumbar spine, the next best ones are tried.

    Args:
        path: DICOM file, folder, DICOMDIR or zip archive of one study, or a volume file.
        bundle: Model bundle; ``None`` for the one in the package.
        mask: Marks from elsewhere.
    Returns: The result, screened or refused as NO_LUMBAR.
    Raises:
        InputError: If there is no image that can be screened, or more than one study.
        BundleError: If the bundle in the package is damaged.
    """
    with find_units(path) as found:
        units = [one for one in found if isinstance(one, Unit)]
        if len(units) > 1:
            reason = f"one study is screened at a time, got {len(units)}"
            raise InputError(RefusalCode.SEVERAL_STUDIES, reason, path)
        if not units:
            refused = next(one for one in found if isinstance(one, Row) and one.is_without_result)
            raise InputError(RefusalCode(refused.code), refused.reason)
        loaded = load_bundle() if bundle is None else bundle
        return _screen_in_turn(_alone(units[0], mask), loaded, mask)


def _alone(unit: Unit, mask: Path | None) -> Unit:
    """Leave out the next best series where marks are given: they belong to one series."""
    return unit if mask is None else replace(unit, following=())


def _screen_in_turn(first: Unit, bundle: Bundle, mask: Path | None) -> ScreeningResult:
    """Screen the best series of a study that shows a lumbar spine, or say that none does."""
    codes: list[str] = []
    result: ScreeningResult | None = None
    while (unit := first.next_after(codes)) is not None:
        try:
            _, _, _, screening = _screen(unit, bundle, secrets.token_bytes(16), mask, Silent())
        except InputError as error:
            if result is None:  # told of the entry, where the series was in an archive
                raise InputError(error.code, unit.refused(error).reason) from None
            codes.append(error.code)
            continue
        result = screening.result
        codes.append("" if result.refusal is None else result.refusal.code)
    assert result is not None
    return result


def _screen_study(
    first: Unit, out: Path, bundle: Bundle, watcher: Watcher, order: Order
) -> Iterator[Told]:
    """Screen the best series of a study that shows a lumbar spine; a row a series."""
    alone = _alone(first, order.mask)
    told: list[Told] = []
    while (unit := alone.next_after([row.code for row, _ in told])) is not None:
        told.append(_screen_job(unit, out, bundle, watcher, order))
    is_found = told[-1][0].status == "screened"
    for row, result in told:
        if is_found and row.status == "refused":
            reason = f"left after it was tried, another series was screened: {row.reason}"
            yield replace(row, status="skipped", reason=reason), result
        else:
            yield row, result
    yield from ((unit.skipped(), None) for unit in first.following[len(told) - 1 :])


def _screen_job(unit: Unit, out: Path, bundle: Bundle, watcher: Watcher, order: Order) -> Told:
    try:
        with door(unit.source):
            result = screen_unit(unit, out / unit.name, bundle, watcher, order)
            return _row(unit, result, unit.name if order.keeps(result) else ""), result
    except InputError as error:
        return unit.refused(error), None


def _row(unit: Unit, result: ScreeningResult, folder: str) -> Row:
    codes = ";".join(one.code for one in result.reservations)
    if result.refusal is not None:
        return Row(
            shown(unit.source), unit.key, "refused", reservations=codes, code=result.refusal.code,
            reason=f"{shown(unit.source)}: {result.refusal.text}", folder=folder,
        )  # fmt: skip
    assert result.probabilities is not None
    condition = result.condition or ""
    normal, low, osteoporosis = (round(p, 4) for p in result.probabilities.as_tuple())
    return Row(
        shown(unit.source), unit.key, "screened", condition, normal, low, osteoporosis,
        len(result.slices), codes, folder=folder,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Opened:
    """A unit as read: its volume as stored, what is known of it, and its series if DICOM."""

    volume: Volume
    subject: Subject
    acquisition: Acquisition
    reservations: tuple[Reservation, ...]
    series: CTSeries | None

    @property
    def referable(self) -> CTSeries | None:
        """The series, if DICOM objects can refer to its images."""
        return self.series if self.series is not None and self.series.has_identifiers else None


def screen_unit(
    unit: Unit, folder: Path, bundle: Bundle, watcher: Watcher, order: Order
) -> ScreeningResult:
    """Screen one series and write its folder, if it is to be kept.

    Args:
        unit: What to screen.
        folder: Where its results go; made if it does not exist.
        bundle: Model bundle.
        watcher: Hears how the work goes.
        order: How.
    Raises:
        InputError: If the series, or the mask, cannot be read; nothing is written then.
    """
    _clear(folder)
    opened, standing, reorientation, screening = _screen(
        unit, bundle, order.salt, order.mask, watcher
    )
    result = screening.result
    if not order.keeps(result):
        return result
    indices = _input_indices(standing, reorientation)
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with ThreadPoolExecutor(1) as beside:
        segments = beside.submit(_segments, screening, reorientation)
        overlay = write_pictures(screening, standing, indices, bundle, folder)
        pdf = write_report(result, folder)
        if opened.referable is not None:
            picture = captured(result, overlay)
            write_documents(result, opened.referable, folder, picture=picture, pdf=pdf)
    del screening, standing  # of a thin series, as much memory as the segmentation needs
    reported = time.perf_counter()
    _write_marks(result, segments.result(), opened, folder)
    timing = {"report": reported - started, "objects": time.perf_counter() - reported}
    timing_s = result.timing_s | {name: round(spent, 3) for name, spent in timing.items()}
    result = result.model_copy(update={"timing_s": timing_s})
    text = result.model_dump_json(by_alias=True, indent=1)
    (folder / RESULT).write_text(text + "\n", encoding="utf-8")
    if opened.referable is not None:
        study = str(opened.referable.headers[0].StudyInstanceUID)
        write_fhir(result, study, folder / FHIR, issued=datetime.now(UTC))
    return result


FHIR = "fhir.json"
OUTPUTS = (*REPORT_FILES, *OBJECTS, FHIR, "segmentation.nii.gz", "levels.nii.gz")


def _clear(folder: Path) -> None:
    """Remove what an earlier screening wrote, so that old and new never lie side by side."""
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)


def _open(unit: Unit, salt: bytes) -> _Opened:
    if unit.series is None:
        return _Opened(read_nifti(unit.source), Subject(), Acquisition(), (), None)
    series = read_series(unit.series, salt=salt)
    return _Opened(series.volume, series.subject, series.acquisition, series.reservations, series)


def _tilt(reorientation: Reorientation) -> Iterator[Reservation]:
    if reorientation.moves:
        yield texts.reservation(ReservationCode.GANTRY_TILT, degrees=reorientation.shear_deg)


def _screen(
    unit: Unit, bundle: Bundle, salt: bytes, mask: Path | None, watcher: Watcher
) -> tuple[_Opened, Volume, Reorientation, Screening]:
    """Read a unit and screen it."""
    started = time.perf_counter()
    opened = _open(unit, salt)
    standing, reorientation = stand(opened.volume)
    given = None
    if mask is not None:
        given = read_given_marks(mask, standing, reorientation, opened.series)
    read_s = round(time.perf_counter() - started, 3)
    watcher.begin(unit.name, standing.hu.shape[0])
    scanned = Scanned(
        opened.subject,
        opened.acquisition,
        (*opened.reservations, *_tilt(reorientation), *_given(mask)),
        _input_indices(standing, reorientation),
        unit.choice or None,
    )
    screening = screen_volume(standing, scanned, bundle, given=given, advance=watcher.advance)
    timing = {"read": read_s, **screening.result.timing_s}
    result = screening.result.model_copy(update={"timing_s": timing})
    return opened, standing, reorientation, replace(screening, result=result)


def _given(mask: Path | None) -> Iterator[Reservation]:
    if mask is not None:
        yield texts.reservation(ReservationCode.MARKS_GIVEN)


def _input_indices(standing: Volume, reorientation: Reorientation) -> tuple[int, ...]:
    """Position in the input of each slice of the standing volume."""
    indices = range(standing.hu.shape[0])
    return tuple(reversed(indices)) if reorientation.flips[0] else tuple(indices)


def _segments(screening: Screening, reorientation: Reorientation) -> NumberedSegments:
    """Number the vertebrae, and their bodies, on the input's own grid."""
    marks, vertebrae = screening.marks, screening.vertebrae
    box = box_of(marks.vertebra) or (slice(0),) * 3  # a small part of a series
    named = np.zeros_like(marks.vertebra[box], np.uint8)
    if screening.bodies is not None:
        order = np.zeros(256, np.uint8)
        order[[one.number for one in vertebrae]] = range(1, len(vertebrae) + 1)
        named = level_map(marks.vertebra[box], order[screening.bodies[box]])
    found = number_vertebrae(marks.labels(box), named, [one.level for one in vertebrae])

    def laid(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        whole = np.zeros(marks.vertebra.shape, np.uint8)
        whole[box] = part
        return reorientation.undo(whole)

    assert found.within is not None
    return NumberedSegments(laid(found.labels), found.segments, laid(found.within))


def _write_marks(
    result: ScreeningResult, segments: NumberedSegments, opened: _Opened, folder: Path
) -> None:
    """Write the marks on the input's own grid: DICOM objects for DICOM, NIfTI for a volume file.

    Images without identifiers cannot be referred to, and a SEG cannot be empty; the marks become
    NIfTI then.
    """
    series = opened.referable
    if series is not None and write_measurements(result, segments, series, folder):
        return
    assert segments.within is not None
    labels = segments.labels
    marks = np.where(segments.within, np.uint8(1), np.where(labels, np.uint8(2), np.uint8(0)))
    write_labels(marks, opened.volume, folder / "segmentation.nii.gz")
    levels = [LEVEL_NUMBERS[one.level] if one.level else 0 for one in segments.segments]
    if any(levels):
        numbers = np.array([0, *levels], np.uint8)
        write_labels(numbers[labels], opened.volume, folder / "levels.nii.gz")
