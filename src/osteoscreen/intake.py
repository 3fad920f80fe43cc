"""What a user gives, turned into what can be screened: files, folders, archives, whole studies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from osteoscreen import texts
from osteoscreen.archive import is_archive, unpacked
from osteoscreen.dicom.choice import choose_series, describe
from osteoscreen.dicom.discovery import SeriesFiles, find_series
from osteoscreen.door import check_room, door
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


MAX_TRIES = 3
"""Series of a study that are marked in search of a lumbar spine; a study rarely has more that
differ in what they cover."""


@dataclass(frozen=True)
class Unit:
    """One series, or one volume file, to screen.

    Args:
        source: What the user gave.
        name: Safe name of the output folder: a hash.
        series: The DICOM series; ``None`` for a volume file.
        choice: Why this series of its study; empty for a volume file.
        folder: Where an archive was unpacked; ``None`` without one.
        reason: Why it is skipped where another series of its study is screened.
        following: The next best series of the study, to be tried where this one shows no lumbar
            spine.
    """

    source: Path
    name: str
    series: SeriesFiles | None = None
    choice: str = ""
    folder: Path | None = None
    reason: str = ""
    following: tuple[Unit, ...] = ()

    @property
    def key(self) -> str:
        """Key of the series; empty for a volume file."""
        return self.series.key if self.series else ""

    def refused(self, error: InputError) -> Row:
        """Return the row that says why this unit was not screened."""
        return refused_row(self.source, self.key, _outside(error, self.folder, self.source))

    def skipped(self) -> Row:
        """Return the row that says why another series of the study was screened."""
        return Row(shown(self.source), self.key, "skipped", reason=self.reason)

    def next_after(self, codes: Sequence[str]) -> Unit | None:
        """Return the series of the study to try next, with what was tried before in its choice.

        Args:
            codes: What came of each series tried so far, this one first: the code of a refusal, or
                empty where it was screened.
        Returns: ``None`` where nothing is left to try, or this series was refused for another
            reason than that it shows no lumbar spine.
        """
        units = (self, *self.following)
        if not codes:
            return self
        if codes[0] != RefusalCode.NO_LUMBAR or not codes[-1] or len(codes) == len(units):
            return None
        tried = [
            f"{describe(unit.series)} ({code})"
            for unit, code in zip(units, codes)
            if unit.series is not None
        ]
        unit = units[len(codes)]
        choice = texts.CHOICE_TRIED.format(choice=unit.choice, tried="; ".join(tried))
        return replace(unit, choice=choice)


@contextmanager
def find_units(
    source: Path,
    series_uid: str | None = None,
    folders: Sequence[Path] = (),
    address: str = "",
) -> Iterator[list[Unit | Row]]:
    """Find what to screen in one input, a unit a study; what cannot be is a row already.

    An unpacked archive is there as long as the context is.

    Args:
        source: DICOM file, folder, DICOMDIR or zip archive; or a volume file.
        series_uid: Screen this series instead of the chosen one.
        folders: Where given, only the files that lie in one of these folders below the source.
        address: Where the source was fetched from; names of units follow from it instead of from
            the path.
    """
    found: list[Unit | Row] = []
    home = address or (os.fspath(source.resolve()) if source.is_file() else "")
    with ExitStack() as opened:
        try:
            with door(source):
                found.extend(
                    _open(source, series_uid, opened, folders, home)
                )  # up to an error, if there is one
        except InputError as error:
            found.append(refused_row(source, "", error))
        yield found


def _open(
    source: Path, series_uid: str | None, opened: ExitStack, folders: Sequence[Path], home: str
) -> Iterator[Unit | Row]:
    """Unpack an archive, until ``opened`` closes; find what to screen in it, or in the input."""
    folder = None
    try:
        if source.is_file() and is_archive(source):
            archive = opened.enter_context(unpacked(source))
            folder = archive.folder
            yield from (refused_row(source, "", problem) for problem in archive.problems)
        yield from _find(source, folder, series_uid, folders, home)
    except OSError as error:
        check_room(error)
        cause = error.strerror or type(error).__name__
        reason = f"the input must be readable, got: {cause}"
        raise InputError(RefusalCode.NO_INPUT, reason, source) from None


def _find(
    source: Path, folder: Path | None, series_uid: str | None, folders: Sequence[Path], home: str
) -> Iterator[Unit | Row]:
    """Find what to screen in a file or folder, or in the folder of an unpacked archive."""
    place = folder or source
    if place.is_file() and is_nifti(place):
        yield Unit(source, _safe_name(home, ""))
        return
    if place.is_file() and place.suffix.lower() in UNREADABLE_SUFFIXES:
        reason = UNREADABLE_SUFFIXES[place.suffix.lower()]
        raise InputError(RefusalCode.UNSUPPORTED_FORMAT, reason, source)
    try:
        discovery = find_series(place, folders)
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
                rows = [*_choose(source, folder, study, series_uid, home)]
        except InputError as error:  # the other studies are screened all the same
            rows = [refused_row(source, study[0].key, error)]
        yield from rows


def _choose(
    source: Path,
    folder: Path | None,
    study: list[SeriesFiles],
    series_uid: str | None,
    home: str,
) -> Iterator[Unit | Row]:
    """Take one series of a study and the next best; the others are rows with their reason."""
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
    largest = sorted(wanted, key=lambda one: len(one.frames))[-1:]
    tried = (choice.ranked[:MAX_TRIES] or largest) if wanted else ()
    skipped |= {key: reason for key, reason in choice.skipped.items() if key not in skipped}
    for series in study:
        if series not in tried:
            yield Row(shown(source), series.key, "skipped", reason=skipped[series.key])
    units = []
    for series in tried:
        if series_uid:
            why = texts.CHOICE_ASKED.format(series=describe(series))
        else:
            why = choice.reason(series) if series in choice.ranked else ""
        place = home or ("" if series.series_uid else os.fspath(source.resolve()))
        name = _safe_name(place, f"{series.study_uid}/{series.key}")
        units.append(Unit(source, name, series, why, folder, skipped.get(series.key, "")))
    yield from (replace(first, following=tuple(units[1:])) for first in units[:1])


def _safe_name(home: str, key: str) -> str:
    """Name a folder by study and series, and by where they lie where that is not empty."""
    return f"series-{hashlib.sha256(key.encode() + os.fsencode(home)).hexdigest()[:12]}"


def _outside(error: InputError, folder: Path | None, source: Path) -> InputError:
    """Return an error about an unpacked file as one about its entry in the archive."""
    at = error.source
    if folder is None or not isinstance(at, Path) or not at.is_relative_to(folder):
        return error
    return type(error)(error.code, error.reason, source / at.relative_to(folder))
