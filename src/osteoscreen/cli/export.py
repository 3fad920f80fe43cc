"""``osteoscreen export``: from runs to a model bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteoscreen.cli.ending import need_extra, stop
from osteoscreen.errors import OsteoscreenError
from osteoscreen.progress import new_progress


def export(
    segmenter: Annotated[Path, typer.Option(metavar="RUN", help="Run of MS-Net.")],
    classifier: Annotated[Path, typer.Option(metavar="RUN", help="Run of BCC-Net.")],
    calibrate: Annotated[
        Path, typer.Option(metavar="MANIFEST", help="Cohort with calibration and test splits.")
    ],
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Folder of the bundle.")],
    card: Annotated[
        Path, typer.Option(metavar="TOML", help="Name, version and data of the bundle.")
    ],
    levels: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run of LevelNet; without it levels are not named."),
    ] = None,
) -> None:
    """Export two runs, or three, to a model bundle, calibrate and measure it."""
    need_extra("train")
    from osteoscreen.cohort.grids import mask_errors
    from osteoscreen.cohort.manifest import read_manifest
    from osteoscreen.training.export import export as export_bundle
    from osteoscreen.training.provenance import read_provenance
    from osteoscreen.training.run import open_run

    try:
        with new_progress() as progress:
            task = progress.add_task("Slices read", total=None)
            bundle = export_bundle(
                open_run(segmenter),
                open_run(classifier),
                read_manifest(calibrate, checks=[mask_errors]),
                out,
                read_provenance(card),
                levels=None if levels is None else open_run(levels),
                advance=lambda count: progress.advance(task, count),
            )
    except (OsteoscreenError, OSError) as error:
        stop(error)
    typer.echo(f"Bundle: {bundle.folder} ({bundle.settings.name} {bundle.settings.version})")
