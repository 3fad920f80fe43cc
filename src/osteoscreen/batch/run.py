"""A run over an archive: what is finished is skipped, the rest is screened, the table grows."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from osteoscreen.batch.archive import Archive
from osteoscreen.batch.cluster import connected
from osteoscreen.batch.cohort_report import write_cohort_report
from osteoscreen.batch.engine import screen_on_ray
from osteoscreen.batch.plan import Keep, Plan, find_plan, plan_of, write_plan
from osteoscreen.batch.screener import RESULTS, Screener, remove_empty_logs
from osteoscreen.batch.study import KEY_DIGITS, Study
from osteoscreen.batch.table import TABLE, TableWriter, finished_studies, number_of
from osteoscreen.bundle import Bundle
from osteoscreen.cohort.lock import locked
from osteoscreen.errors import BatchError


class Counter(Protocol):
    """Hears how the run goes; the command line shows it."""

    def begin(self, finished: int) -> None:
        """Screening begins; so many studies were finished before."""

    def end(self, records: list[dict[str, Any]]) -> None:
        """The rows of a study are known."""


@dataclass(frozen=True)
class Run:
    """What is asked of a run.

    Args:
        archive: Where the studies come from.
        out: Output folder.
        bundle: Model bundle.
        keep: Which result folders are written.
        workers: How many; ``None`` for one a core.
        address: Of a Ray cluster; ``None`` to start Ray here.
    """

    archive: Archive
    out: Path
    bundle: Bundle
    keep: Keep = "none"
    workers: int | None = None
    address: str | None = None

    @property
    def table(self) -> Path:
        """Folder of the table."""
        return self.out / TABLE

    def plan(self) -> tuple[Plan, bool]:
        """Return the plan of the output folder, and whether it is new.

        Raises:
            BatchError: If the archive has no study, or the folder belongs to another run or lies in
                the archive, which would find what is written there.
            CohortError: If another run is at work there.
        """
        if self.out.resolve().is_relative_to(self.archive.address):
            raise BatchError(f"{self.out}: the output folder must lie outside of the archive "
                             f"{self.archive.address}, it does not")  # fmt: skip
        wanted = plan_of(self.archive, self.bundle, self.keep)
        found = find_plan(self.out, wanted)
        if found is not None:
            with locked(self.out):
                pass
        if next(self.archive.studies(), None) is None:
            raise BatchError(
                f"{wanted.archive}: an archive must hold DICOM, zip or NIfTI, got none"
            )
        return found or wanted, found is None

    @contextmanager
    def claimed(self) -> Iterator[Plan]:
        """Keep the output folder for this run, and return its plan; a new folder gets one.

        Raises:
            BatchError: If the folder belongs to another run.
            CohortError: If another run is at work there.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        with locked(self.out):
            wanted = plan_of(self.archive, self.bundle, self.keep)
            found = find_plan(self.out, wanted)
            if found is None:
                write_plan(wanted, self.out)
            try:
                yield found or wanted
            finally:
                remove_empty_logs(self.out)

    def screener(self, plan: Plan) -> Screener:
        """Return what screens the studies, in whatever folder a worker was started."""
        return Screener(plan, self.archive, self.bundle.folder.absolute(), self.out.absolute())

    def count(self) -> tuple[int, int]:
        """Count the studies of the archive, and those of them that are finished."""
        finished = finished_studies(self.table)
        total = done = 0
        for study in self.archive.studies():
            total += 1
            done += is_in(finished, study.key)
        return total, done


def screen_archive(run: Run, counter: Counter) -> None:
    """Screen what is not finished of an archive, and report on all of it.

    The table is whole at any time.

    Args:
        run: What is asked.
        counter: Hears how it goes.
    Raises:
        BatchError: Before any work, if the archive has no study, the output folder belongs to
            another run or lies in the archive, or the cluster cannot be reached.
        CohortError: If another run is at work in the output folder.
    """
    run.plan()
    with connected(run.address, run.workers) as workers, run.claimed() as plan:
        with TableWriter(run.table) as table:
            finished = finished_studies(run.table)
            remove_unfinished(run.out / RESULTS, finished)
            counter.begin(len(finished))
            rest = partial(unfinished, run.archive, finished)
            for records in once(screen_on_ray(run.screener(plan), rest, workers)):
                table.add(records)
                counter.end(records)
        write_cohort_report(run.table, run.out, run.bundle.settings.trained_on.notice)


def unfinished(archive: Archive, finished: NDArray[np.uint64]) -> Iterator[Study]:
    """Find the studies of an archive that are not finished, one by one."""
    return (study for study in archive.studies() if not is_in(finished, study.key))


def remove_unfinished(results: Path, finished: NDArray[np.uint64]) -> None:
    """Remove the result folders of studies that are not finished: they may be half written."""
    for folder in results.glob("[0-9a-f]" * KEY_DIGITS):
        if not is_in(finished, folder.name):
            shutil.rmtree(folder)


REMEMBERED = 10_000
"""Studies that are known again: pages of a search overlap by fewer, and the memory is bounded."""


def once(told: Iterable[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """Leave out the rows of a study that was told before: the pages of a server may overlap."""
    told_before: dict[int, None] = {}  # in order
    for records in told:
        number = number_of(records[0]["study"])
        if number in told_before:
            continue
        told_before[number] = None
        if len(told_before) > REMEMBERED:
            del told_before[next(iter(told_before))]
        yield records


def is_in(finished: NDArray[np.uint64], key: str) -> bool:
    """Return whether the study with this key is among the finished ones."""
    number = np.uint64(number_of(key))
    at = int(np.searchsorted(finished, number))
    return at < len(finished) and bool(finished[at] == number)
