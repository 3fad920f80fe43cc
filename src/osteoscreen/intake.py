"""What a user gives, turned into what can be screened: files, folders, archives, whole studies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from osteoscreen.archive import is_archive, unpacked
from osteoscreen.dicom.choice import choose_series, describe
from osteoscreen.dicom.discovery import SeriesFiles, find_series
from osteoscreen.door import door
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.nifti import is_nifti
from osteoscreen.summary import Row, refused_row, shown

UNREADABLE_SUFFIXES = {
    ".png": "a picture carries no Hounsfield units; give DICOM or NIfTI",
    ".jpg": "a picture carries no Hounsfield units; give DICOM or NIfTI",
    ".jpeg": "a picture carries no Hounsfield units; give DICOM or NIfTI",
    ".nrrd": "NRRD is not read by this version; convert it to NIfTI",
    ".mha": "MHA is not read by this version; convert it to NIfTI",
    ".mhd": "MHD is not read by this version; convert it to NIfTI",
}


@dataclass(frozen=True)
class Unit:
    """One series, or one volume file, to screen.

    Args:
        source: What the user gave.
        name: Safe name of the output folder: a hash.
        series: The DICOM series; ``None`` for a volume file.
        choice: Why this series of its study; empty for a volume file.
        folder: Where an archive was unpacked; ``None`` without one.
    """

    source: Path
    name: str
    series: SeriesFiles | None = None
    choice: str = ""
    folder: Path | None = None

    @property
    def key(self) -> str:
        """Key of the series; empty for a volume file."""
        return self.series.key if self.series else ""

    def refused(self, error: InputError) -> Row:
        """Return the row that says why this unit was not screened."""
        return refused_row(self.source, self.key, _outside(error, self.folder, self.source))


def find_units(source: Path, series_uid: str | None = None) -> Iterator[Unit | Row]:
    """Find what to screen in one input; what cannot be is a row already.

    An unpacked archive is there as long as the iterator is.

    Args:
        source: DICOM file, folder, DICOMDIR or zip archive; or a volume file.
        series_uid: Screen this series instead of the chosen one.
    """
    try:
        with door(source):
            yield from _open(source, series_uid)
    except InputError as error:
        yield refused_row(source, "", error)


def _open(source: Path, series_uid: str | None) -> Iterator[Unit | Row]:
    """Unpack an archive; find what to screen in it, or in a file or folder."""
    try:
        if source.is_file() and is_archive(source):
            with unpacked(source) as archive:
                for problem in archive.problems:
                    yield refused_row(source, "", problem)
                yield from _find(source, archive.folder, series_uid)
        else:
            yield from _find(source, None, series_uid)
    except OSError as error:
        cause = error.strerror or type(error).__name__
        reason = f"the input must be readable, and fit on the disk once unpacked, got: {cause}"
        raise InputError(RefusalCode.NO_INPUT, reason, source) from None


def _find(source: Path, folder: Path | None, series_uid: str | None) -> Iterator[Unit | Row]:
    """Find what to screen in a file or folder, or in the folder of an unpacked archive."""
    place = folder or source
    if place.is_file() and is_nifti(place):
        yield Unit(source, _safe_name(source, ""))
        return
    if place.is_file() and place.suffix.lower() in UNREADABLE_SUFFIXES:
        reason = UNREADABLE_SUFFIXES[place.suffix.lower()]
        raise InputError(RefusalCode.UNSUPPORTED_FORMAT, reason, source)
    try:
        discovery = find_series(place)
    except InputError as error:
        raise _outside(error, folder, source) from None
    for problem in discovery.problems:
        yield refused_row(source, "", _outside(problem, folder, source))
    names = {name for one in discovery.series for name in (one.series_uid, one.key)}
    if series_uid is not None and series_uid not in names:
        reason = f"the series {series_uid} was asked for, it is not there"
        raise InputError(RefusalCode.NO_INPUT, reason, source)
    studies: dict[str, list[SeriesFiles]] = {}
    for series in discovery.series:
        studies.setdefault(series.study_uid or series.key, []).append(series)
    for study in studies.values():
        try:
            with door(source):
                rows = [*_choose(source, folder, study, series_uid)]
        except InputError as error:  # the other studies are screened all the same
            rows = [refused_row(source, study[0].key, error)]
        yield from rows


def _choose(
    source: Path, folder: Path | None, study: list[SeriesFiles], series_uid: str | None
) -> Iterator[Unit | Row]:
    """Take one series of a study; the others are rows with their reason."""
    patients = {name for one in study for name in one.patients if name}
    if len(patients) > 1:
        reason = f"the series of a study must name one patient, got {len(patients)}"
        error = InputError(RefusalCode.MIXED_PATIENTS, reason, source)
        yield from (refused_row(source, one.key, error) for one in study)
        return
    wanted = [one for one in study if series_uid in (None, one.series_uid, one.key)]
    choice = choose_series(wanted) if wanted else choose_series(study)
    skipped = {one.key: "another series was asked for" for one in study if one not in wanted}
    # Nothing fits: the largest series is read all the same, so that its own refusal is told.
    fallback = max(wanted, key=lambda one: len(one.frames)) if wanted else None
    chosen = (choice.chosen or fallback) if wanted else None
    skipped |= {key: reason for key, reason in choice.skipped.items() if key not in skipped}
    for series in study:
        if series is not chosen:
            yield Row(shown(source), series.key, "skipped", reason=skipped[series.key])
    if chosen is not None:
        why = f"asked for: {describe(chosen)}" if series_uid else choice.reason
        name = _safe_name(source, f"{chosen.study_uid}/{chosen.key}")
        yield Unit(source, name, chosen, why, folder)


def _safe_name(source: Path, key: str) -> str:
    """Name a folder by study and series, or by the file where one file is the input."""
    path = os.fsencode(source.resolve()) if source.is_file() else b""
    return f"series-{hashlib.sha256(key.encode() + path).hexdigest()[:12]}"


def _outside(error: InputError, folder: Path | None, source: Path) -> InputError:
    """Return an error about an unpacked file as one about its entry in the archive."""
    if folder is None or error.source is None or not error.source.is_relative_to(folder):
        return error
    return type(error)(error.code, error.reason, source / error.source.relative_to(folder))
