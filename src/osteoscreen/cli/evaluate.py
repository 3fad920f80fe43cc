"""``osteoscreen evaluate``: the figures of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from osteoscreen.cli.ending import need_extra, stop
from osteoscreen.errors import OsteoscreenError
from osteoscreen.progress import new_progress


def evaluate(
    cohort: Annotated[Path, typer.Option(metavar="MANIFEST", help="Manifest of the cohort.")],
    out: Annotated[Path, typer.Option(help="Folder for page, tables and figures.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Model bundle; by default the one in the package.")
    ] = None,
    protocol: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST",
            help="Cohort whose first 21 test patients a class are read by the paper's protocol; "
            "by default the other one.",
        ),
    ] = None,
) -> None:
    """Measure a bundle on the test split of a cohort: the paper's tables and figures, and ours."""
    need_extra("train")
    from osteoscreen.bundle import load_bundle
    from osteoscreen.cohort.grids import mask_errors
    from osteoscreen.cohort.manifest import read_manifest
    from osteoscreen.evaluation.publication import REPORT, evaluate_bundle

    try:
        with new_progress() as progress:
            task = progress.add_task("Slices read", total=None)
            figures = evaluate_bundle(
                load_bundle(bundle),
                read_manifest(cohort, checks=[mask_errors]),
                out,
                protocol=None if protocol is None else read_manifest(protocol),
                advance=lambda count: progress.advance(task, count),
            )
    except (OsteoscreenError, OSError) as error:
        stop(error)
    for line in headline(figures):
        typer.echo(line)
    typer.echo(f"Report: {out / REPORT}")


def headline(figures: Mapping[str, Any]) -> list[str]:
    """Return the first figures of an evaluation, a line each."""
    from osteoscreen.evaluation.table import as_text, interval_text

    lines = [f"{figures['patients']} test patients, {figures['slices']} slices"]
    lines += [
        f"Dice index, {mark}: {as_text(found['mean'])}"
        for mark in ("vertebra", "body")
        if (found := figures["segmentation"].get(f"{mark}_dice_score"))
    ]
    if said := figures.get("classification"):
        lines += [
            f"{name}: {as_text(said[key])} ({interval_text(said[f'{key}_interval'])})"
            for name, key in (("Accuracy", "accuracy"), ("Macro AUC", "macro_auc"))
        ]
    return lines
