"""A worker: it loads the bundle once and screens one study after the other, on one core."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from osteoscreen import __version__
from osteoscreen.batch.archive import Archive
from osteoscreen.batch.plan import Plan
from osteoscreen.batch.record import is_flagged, record_of
from osteoscreen.batch.study import Fetched, Study
from osteoscreen.bundle import Bundle, load_bundle
from osteoscreen.door import check_room, door
from osteoscreen.errors import BundleError, InputError, RefusalCode
from osteoscreen.findings import ScreeningResult
from osteoscreen.scratch import sweep
from osteoscreen.summary import refused_row
from osteoscreen.workflow import Order, Silent, screen_input

RESULTS = "results"

LOGS = "worker-*.log"

MAX_DEATHS = 3
"""Workers that a study may cost before it is left."""

STUDY_SECONDS = 3600.0
"""What a study may take, its download with it; seconds are usual, minutes for thousands of slices.
"""


@dataclass(frozen=True)
class Screener:
    """Screens studies of one run.

    Args:
        plan: Of the run.
        archive: Where the studies come from.
        bundle_folder: Where the bundle lies; ``None`` for the one in the package.
        out: Output folder of the run.
        study_seconds: What a study may take before its worker is ended.
    """

    plan: Plan
    archive: Archive
    bundle_folder: Path | None
    out: Path
    study_seconds: float = STUDY_SECONDS

    @cached_property
    def _bundle(self) -> Bundle:
        return load_bundle(self.bundle_folder)

    @cached_property
    def _log(self) -> IO[str]:
        """The log of this process; it is empty until something fails."""
        name = f"{os.uname().nodename}-{os.getpid()}"
        try:
            return (self.out / LOGS.replace("*", name)).open("a", encoding="utf-8")
        except OSError as error:
            check_room(error)
            raise

    def attend(self, study: Study, deaths: int) -> list[dict[str, Any]]:
        """Screen a study in a worker, which ends if that takes too long, and logs where it hung.

        What hangs may hold the interpreter, so the watch is kept outside of it.

        Args:
            study: The study; it is left where it cost too many workers.
            deaths: How many workers it has cost.
        Returns: Its rows of the table.
        """
        if deaths >= MAX_DEATHS:
            return self.leave(study)
        faulthandler.dump_traceback_later(self.study_seconds, exit=True, file=self._log)
        try:
            return self.screen(study)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def screen(self, study: Study) -> list[dict[str, Any]]:
        """Screen a study and return its rows of the table; the folders to keep are written."""
        folder = self._folder(study)
        try:
            with door(study.source), self.archive.fetched(study) as fetched:
                told = screen_input(
                    fetched.source, folder, self._bundle, Silent(), self._order(study, fetched)
                )
                return [
                    record_of(study.key, row, result, self._is_flagged(result))
                    for row, result in told
                ]
        except InputError as error:
            return [self._refused(study, error)]

    def leave(self, study: Study) -> list[dict[str, Any]]:
        """Return the row of a study that is not tried again; what its workers wrote is removed."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._folder(study))
        reason = (
            f"left after its worker died {MAX_DEATHS} times, "
            f"as it also does after {self.study_seconds / 60:g} minutes over one study"
        )
        return [self._refused(study, InputError(RefusalCode.FAILED, reason))]

    def begin(self) -> None:
        """Load the bundle, open the log of this process, and sweep what dead ones left here.

        What the process holds by then it holds to its end: Python's collector leaves it out, which
        looked at all of it every few studies.

        Raises: BundleError if the bundle is not there, damaged or not the run's, or this package is
            of another version than the run's. ServerError if the disk takes no log.
        """
        machine = os.uname().nodename
        here = self.plan.model_copy(update={"bundle": self._bundle.sha256, "software": __version__})
        differences = here.differences(self.plan)
        if differences:
            raise BundleError(f"{machine}: a worker must be the run's, it has "
                              f"{'; '.join(differences)}")  # fmt: skip
        handler = logging.StreamHandler(self._log)
        handler.setLevel(logging.ERROR)
        logging.getLogger("osteoscreen").addHandler(handler)
        sweep()
        gc.freeze()

    def _folder(self, study: Study) -> Path:
        return self.out / RESULTS / study.key

    def _order(self, study: Study, fetched: Fetched) -> Order:
        return Order(
            address=study.source,
            folders=fetched.folders,
            keeps=self._keeps(),
            salt=bytes.fromhex(self.plan.salt),
        )

    def _refused(self, study: Study, error: InputError) -> dict[str, Any]:
        return record_of(study.key, refused_row(study.source, "", error), None, flagged=False)

    def _is_flagged(self, result: ScreeningResult | None) -> bool:
        points = self._bundle.settings.operating_points
        return is_flagged(result, points.sensitive_probability)

    def _keeps(self) -> Callable[[ScreeningResult], bool]:
        if self.plan.keep == "flagged":
            return self._is_flagged
        return lambda _: self.plan.keep == "all"


def remove_empty_logs(out: Path) -> None:
    """Remove the logs of the workers for which nothing failed."""
    for log in out.glob(LOGS):
        if not log.stat().st_size:
            log.unlink()


def screen_in_turn(screener: Screener, studies: Iterator[Study]) -> Iterator[list[dict[str, Any]]]:
    """Screen studies one after the other in this process: a plain loop, to compare with."""
    return (screener.screen(study) for study in studies)
