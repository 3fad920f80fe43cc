"""A worker: it loads the bundle once and screens one study after the other, on one core."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from osteoscreen import __version__
from osteoscreen.batch.archive import Archive
from osteoscreen.batch.plan import Plan
from osteoscreen.batch.record import is_flagged, record_of
from osteoscreen.batch.study import Fetched, Study
from osteoscreen.bundle import Bundle, load_bundle
from osteoscreen.door import door
from osteoscreen.errors import BundleError, InputError, RefusalCode
from osteoscreen.findings import ScreeningResult
from osteoscreen.summary import refused_row
from osteoscreen.workflow import Order, Silent, screen_input

RESULTS = "results"

MAX_DEATHS = 3
"""Workers that a study may cost before it is left."""


@dataclass(frozen=True)
class Screener:
    """Screens studies of one run.

    Args:
        plan: Of the run.
        archive: Where the studies come from.
        bundle_folder: Where the bundle lies; ``None`` for the one in the package.
        out: Output folder of the run.
    """

    plan: Plan
    archive: Archive
    bundle_folder: Path | None
    out: Path

    @cached_property
    def _bundle(self) -> Bundle:
        return load_bundle(self.bundle_folder)

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
        reason = f"left after its worker died {MAX_DEATHS} times"
        return [self._refused(study, InputError(RefusalCode.FAILED, reason))]

    def begin(self) -> None:
        """Load the bundle, and open the log of this process, which appears with the first failure.

        Raises: BundleError if the bundle is not there, damaged or not the run's, or this package is
            of another version than the run's.
        """
        machine = os.uname().nodename
        here = self.plan.model_copy(update={"bundle": self._bundle.sha256, "software": __version__})
        differences = here.differences(self.plan)
        if differences:
            raise BundleError(f"{machine}: a worker must be the run's, it has "
                              f"{'; '.join(differences)}")  # fmt: skip
        file = self.out / f"worker-{machine}-{os.getpid()}.log"
        handler = logging.FileHandler(file, delay=True)
        handler.setLevel(logging.ERROR)
        logging.getLogger("osteoscreen").addHandler(handler)

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


def screen_in_turn(screener: Screener, studies: Iterator[Study]) -> Iterator[list[dict[str, Any]]]:
    """Screen studies one after the other in this process: a plain loop, to compare with."""
    return (screener.screen(study) for study in studies)
