"""What the command line shows of long work: one bar at a time, on standard error."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Self

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

    from osteoscreen.summary import Row


def new_progress() -> Progress:
    """Return bars with counts and times, which a log does not show."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # a log needs the lines, not the bar
    )


class ScreenBar:
    """Shows the progress of a screening as one bar a series."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("Reading", total=None)

    def begin(self, name: str, slices: int) -> None:
        """Show a series that begins."""
        self._progress.reset(self._task, description=f"Marking {name}", total=slices)

    def advance(self, slices: int) -> None:
        """Count marked slices."""
        self._progress.advance(self._task, slices)

    def end(self, row: Row) -> None:
        """Tell a refusal in a line."""
        self._progress.reset(self._task, description="Reading", total=None)
        if row.is_without_result:
            self._progress.console.print(
                f"{row.status}: {row.code}: {row.reason}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


class PatientsBar:
    """Shows the progress of a cohort: patients made, their rate and the time that is left."""

    def __init__(self, progress: Progress, cases: int) -> None:
        self._progress = progress
        self._task = progress.add_task("Synthetic patients", total=cases)
        self._known: int | None = None
        self._began = monotonic()

    def done(self, patients: int) -> None:
        """Show a number of finished patients; the first one was there before."""
        if self._known is None:
            self._known, self._began = patients, monotonic()
        made, seconds = patients - self._known, monotonic() - self._began
        rate = f" {60 * made / seconds:.1f} a minute" if made else ""
        self._progress.update(
            self._task, completed=patients, description=f"Synthetic patients{rate}"
        )


class StepsBar:
    """Says which step of an experiment begins, and counts the slices that are read.

    Training shows a bar of its own, and a terminal bears one bar at a time.
    """

    def __init__(self) -> None:
        self._progress = new_progress()
        self._task = self._progress.add_task("Slices read", total=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, name: str) -> None:
        """Say which step begins."""
        self._progress.stop()
        typer.echo(name)

    def advance(self, slices: int) -> None:
        """Count slices that were read."""
        self._progress.start()
        self._progress.advance(self._task, slices)


class StudiesBar:
    """Shows the progress of a run over an archive: studies, their rate, refusals, time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("Starting", total=None)
        self._done = self._refused = 0
        self._began = monotonic()

    def count(self, studies: int) -> None:
        """Take the number of studies of the archive, once it is known."""
        self._progress.update(self._task, total=studies)

    def begin(self, finished: int) -> None:
        """Show a run that begins; so many studies were finished before."""
        self._began = monotonic()
        self._progress.reset(self._task, description="Studies", completed=finished)

    def end(self, records: list[dict[str, Any]]) -> None:
        """Count a study."""
        self._done += 1
        self._refused += all(one["status"] != "screened" for one in records)
        rate = self._done / max(monotonic() - self._began, 1e-9)
        words = f"Studies {rate:.2f} a second, {self._refused} refused"
        self._progress.update(self._task, advance=1, description=words)
