"""``osteoscreen batch``: an archive of studies, on this machine or on a cluster."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from osteoscreen.cli.ending import REFUSED, need_extra, stop
from osteoscreen.errors import OsteoscreenError
from osteoscreen.progress import StudiesBar, new_progress

if TYPE_CHECKING:
    from osteoscreen.batch.run import Run


INTERRUPTED = 130
"""Exit status, as shells have it: 128 and the number of the signal."""


class Keep(StrEnum):
    """Which result folders are written."""

    ALL = "all"
    FLAGGED = "flagged"
    NONE = "none"


def batch(  # noqa: PLR0913 - an option a setting
    archive: Annotated[
        str,
        typer.Argument(
            metavar="ROOT|MANIFEST|QUERY",
            help="Folder of DICOM folders, zip archives and volume files; or a CSV or Parquet file "
            "with a column image: a path, or an address such as s3://bucket/archive. Or a query: "
            "dicomweb+https://HOST/PATH?KEYWORD=VALUE&...",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the table; an old run goes on.")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Studies at a time, a core each; by default all.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Ray cluster to join, HOST:PORT; by default none."),
    ] = None,
    keep: Annotated[
        Keep, typer.Option(help="Which studies' folders to write: report, marks, result.")
    ] = Keep.NONE,
    bundle: Annotated[
        Path | None, typer.Option(help="Model bundle; by default the one in the package.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
) -> None:
    """Screen an archive: a table of results and refusals, and a report of the cohort."""
    need_extra("batch")
    from osteoscreen.batch.archive import open_archive
    from osteoscreen.batch.run import Run, screen_archive
    from osteoscreen.bundle import load_bundle

    try:
        run = Run(open_archive(archive), out, load_bundle(bundle), keep.value, workers, ray)
        if dry_run:
            _foretell(run)
            return
        with new_progress() as progress:
            bar = StudiesBar(progress)
            if not progress.disable:
                Thread(target=_count, args=(run, bar), daemon=True).start()
            screen_archive(run, bar)
    except (OsteoscreenError, OSError) as error:
        stop(error)
    except KeyboardInterrupt:
        typer.echo("stopped: what was screened is in the table, the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _conclude(run)


def _count(run: Run, bar: StudiesBar) -> None:
    """Count the studies while they are screened; what stops this stops the run too, and is told."""
    with suppress(OsteoscreenError):
        bar.count(run.count()[0])


def _foretell(run: Run) -> None:
    plan, is_new = run.plan()
    total, finished = run.count()
    typer.echo(f"{total} studies in {plan.archive}, {finished} finished, {total - finished} to do")
    typer.echo(f"{run.out} {'would be made' if is_new else 'would go on'}, keeping {plan.keep}")


def _conclude(run: Run) -> None:
    """Say what was found and where it lies, and exit."""
    from osteoscreen.batch.cohort_report import REPORT
    from osteoscreen.batch.table import count_rows

    counts = count_rows(run.table)
    typer.echo(", ".join(f"{count} {status}" for status, count in counts.items()))
    typer.echo(f"Table: {run.table}")
    typer.echo(f"Report: {run.out / REPORT}")
    typer.echo("Research use only. Not a medical device.")
    raise typer.Exit(REFUSED if counts["refused"] or counts["failed"] else 0)
