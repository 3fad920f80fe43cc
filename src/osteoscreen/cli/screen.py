"""``osteoscreen screen``: CT studies in, results out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from osteoscreen.cli.ending import REFUSED, stop
from osteoscreen.errors import OsteoscreenError
from osteoscreen.progress import ScreenBar, new_progress

if TYPE_CHECKING:
    from osteoscreen.summary import Row

NO_STATEMENT = "no statement"


def screen(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...", help="DICOM folder, slice or DICOMDIR, zip archive, or NIfTI file."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Model bundle; by default the one in the package.")
    ] = None,
    series: Annotated[
        str | None, typer.Option(metavar="UID", help="Screen this series of the study.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Marks from elsewhere, of one input: labels of TotalSegmentator, VerSe or "
            "osteoscreen, or DICOM SEG."
        ),
    ] = None,
) -> None:
    """Screen CT studies: probabilities of the bone condition, with the evidence."""
    from osteoscreen.bundle import load_bundle
    from osteoscreen.workflow import screen_inputs

    if mask is not None and len(inputs) != 1:
        stop("--mask goes with one input: the image that it was drawn on")
    try:
        loaded = load_bundle(bundle)
        with new_progress() as progress:
            rows = screen_inputs(
                inputs, out, loaded, ScreenBar(progress), series_uid=series, mask=mask
            )
    except (OsteoscreenError, OSError) as error:
        stop(error)
    conclude(rows, out)


def conclude(rows: list[Row], out: Path) -> NoReturn:
    """Say what was found and where it lies, and exit."""
    from osteoscreen import texts
    from osteoscreen.findings import BoneCondition, ReservationCode

    for row in rows:
        if row.status == "screened":
            values = (row.normal_bone_mass, row.low_bone_mass, row.osteoporosis)
            shares = " / ".join(f"{value:.0%}" for value in values if value is not None)
            doubt = "?" if ReservationCode.DOUBTFUL in row.reservations.split(";") else ""
            label = (
                texts.LABELS[BoneCondition(row.condition)] + doubt
                if row.condition
                else NO_STATEMENT
            )
            typer.echo(f"{row.input}: {label} (normal / low / osteoporosis: {shares})")
            typer.echo(f"  report: {out / row.folder / 'report.html'}")
    typer.echo(f"Summary: {out / 'summary.csv'}")
    typer.echo("Research use only. Not a medical device.")
    raise typer.Exit(REFUSED if any(row.is_without_result for row in rows) else 0)
