"""A synthetic cohort on disk: patient after patient, its manifest whole at every moment.

The folder holds ``cohort.json`` (which plan it belongs to), ``manifest.csv``, ``latents.csv`` and a
folder a patient. A patient is drawn from (seed, number) alone, so neither the number of processes
nor a stop in between changes a byte.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from time import monotonic

from osteoscreen.cohort.latents import table_row, write_table
from osteoscreen.cohort.lock import LOCK, locked
from osteoscreen.cohort.manifest import Case, write_manifest
from osteoscreen.cohort.patient import Record, read_patient, write_patient
from osteoscreen.cohort.plan import CohortPlan
from osteoscreen.cohort.record import PART, write_record
from osteoscreen.errors import CohortError

COHORT, MANIFEST, LATENTS = "cohort.json", "manifest.csv", "latents.csv"

REFRESH_S = 5.0
"""Manifest and table are written anew after so many seconds, not after every patient: writing
them costs as much as the patients that they already list."""


def write_cohort(
    folder: Path, plan: CohortPlan, *, workers: int = 1, done: Callable[[int], None] | None = None
) -> Path:
    """Generate a cohort; patients that are already there are kept, so a stopped run goes on.

    Args:
        folder: Where to write: empty, not there yet, or a cohort of this plan, which may grow.
        plan: What to generate.
        workers: Processes, at least 1.
        done: Called with the number of finished patients, at first and after each one.
    Returns: The manifest; it and the table of latents list the finished patients, by number, while
        the cohort grows.
    Raises: CohortError if the folder holds something else, another run writes to it, or a process
        ended abruptly.
    """
    if workers < 1:
        raise CohortError(f"the number of workers must be 1 or more, got {workers}")
    _check_folder(folder, plan)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _claim(folder, plan)
        _write_patients(folder, plan, workers, done)
    return folder / MANIFEST


def _write_patients(
    folder: Path, plan: CohortPlan, workers: int, done: Callable[[int], None] | None
) -> None:
    tables = _Tables(folder)
    missing = []
    for number in range(plan.cases):
        known = read_patient(folder, plan, number)
        if known is None:
            missing.append(number)
        else:
            tables.add(number, known)
    tables.write()
    if done:
        done(len(tables))
    for number, record in _each(partial(write_patient, folder, plan), missing, workers):
        tables.add(number, record)
        tables.refresh()
        if done:
            done(len(tables))
    tables.write()


def _claim(folder: Path, plan: CohortPlan) -> None:
    """Make the folder this plan's; a run that has just ended may have made it another's."""
    _check_folder(folder, plan)
    write_record(
        folder / COHORT, json.dumps({"cases": plan.cases, "made_by": plan.makes()}, indent=1)
    )


def _check_folder(folder: Path, plan: CohortPlan) -> None:
    """See that the folder is this plan's or nobody's, and leave it as it is."""
    if folder.exists() and not folder.is_dir():
        raise CohortError(f"{folder}: a cohort needs a folder, it is a file")
    mark = folder / COHORT
    if mark.is_file():
        _check_claim(mark, plan)
    elif folder.exists() and any(not _is_left_over(file.name) for file in folder.iterdir()):
        raise CohortError(
            f"{folder}: a new cohort needs an empty folder, it holds something that is no cohort"
        )


def _is_left_over(name: str) -> bool:
    """Whether a run that was stopped before it claimed its folder leaves a file of that name."""
    return name == LOCK or name in {f"{file}{PART}" for file in (COHORT, MANIFEST, LATENTS)}


def _check_claim(mark: Path, plan: CohortPlan) -> None:
    try:
        known = json.loads(mark.read_text(encoding="utf-8"))
        cases, made_by = int(known["cases"]), dict(known["made_by"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise CohortError(
            f"{mark}: the plan of a cohort must be readable, reading it ended in "
            f"{type(error).__name__}"
        ) from None
    wanted = plan.makes()
    others = [
        f"{name} {made_by.get(name)!r} instead of {wanted.get(name)!r}"
        for name in sorted(wanted.keys() | made_by.keys())
        if made_by.get(name) != wanted.get(name)
    ]
    if others:
        raise CohortError(
            f"{mark.parent}: the folder must be empty or of the same plan, it has "
            f"{', '.join(others)}"
        )
    if cases > plan.cases:
        raise CohortError(
            f"{mark.parent}: a cohort may grow but not shrink, it has {cases} cases, "
            f"got {plan.cases}"
        )


class _Tables:
    """Manifest and table of latents of the patients that are finished."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cases: dict[int, tuple[Case, ...]] = {}
        self._latents: dict[int, dict[str, str]] = {}
        self._written = monotonic()

    def __len__(self) -> int:
        return len(self._cases)

    def add(self, number: int, record: Record) -> None:
        """Add a finished patient."""
        first = record.rows[0]
        self._cases[number] = record.rows
        self._latents[number] = table_row(first.patient_id, first.split.value, record.truth)

    def refresh(self) -> None:
        """Write both if that is some time ago, or for the first patient."""
        if len(self) == 1 or monotonic() - self._written > REFRESH_S:
            self.write()

    def write(self) -> None:
        """Write both, in the order of the patients; nothing without one."""
        if self._cases:
            numbers = sorted(self._cases)
            rows = (case for number in numbers for case in self._cases[number])
            write_manifest(rows, self._folder / MANIFEST)
            write_table((self._latents[number] for number in numbers), self._folder / LATENTS)
        self._written = monotonic()


def _each(
    work: Callable[[int], Record], numbers: Sequence[int], workers: int
) -> Iterator[tuple[int, Record]]:
    """Do the work of every patient; with several workers in the order in which they finish."""
    if workers == 1 or len(numbers) < 2:
        for number in numbers:
            yield number, work(number)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(numbers)), mp_context=get_context("spawn"), initializer=_end_with_parent
    )
    try:
        futures = {pool.submit(work, number): number for number in numbers}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
    except BrokenProcessPool:
        raise CohortError(
            "a worker process must live to the end of its work, one ended abruptly (out of "
            "memory?); the same command goes on from here"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when the run is killed: it must not write beside the one that goes on."""
    Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
