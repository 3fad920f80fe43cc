"""``osteoscreen reproduce``: the paper's whole experiment."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from osteoscreen.cli.ending import need_extra, stop
from osteoscreen.cli.evaluate import headline
from osteoscreen.errors import OsteoscreenError
from osteoscreen.progress import PatientsBar, StepsBar, new_progress


class Scale(StrEnum):
    """How large the networks and trainings are."""

    SMALL = "small"
    PAPER = "paper"


def reproduce(
    out: Annotated[Path, typer.Option(help="Folder of the experiment; an old one goes on.")],
    scale: Annotated[
        Scale, typer.Option(help="small: two cores overnight. paper: the paper's sizes, on a GPU.")
    ] = Scale.SMALL,
    cohort: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST", help="Your own cohort, with all four splits, and its --card."
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="TOML", help="What the bundle says of your cohort.")
    ] = None,
    imagenet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Weights that DenseNet-121 starts from, as torchvision's."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that make the synthetic patients.")] = 1,
) -> None:
    """Run the paper's experiment: every table and figure of it, and the honest ones beside."""
    need_extra("train")
    if (cohort is None) != (card is None):
        stop("--cohort and --card belong together: a bundle must say what it was trained on")
    from osteoscreen.evaluation.publication import REPORT
    from osteoscreen.reproduce import own_cohort, read_recipes, write_synthetic
    from osteoscreen.reproduce import reproduce as run
    from osteoscreen.training.provenance import read_provenance

    try:
        recipes = read_recipes(scale.value)
        if cohort is not None and card is not None:
            cohorts = own_cohort(cohort, read_provenance(card))
        else:
            with new_progress() as progress:
                shown: dict[str, PatientsBar] = {}
                cohorts = write_synthetic(
                    out,
                    workers=workers,
                    done=lambda name, n, of: shown.setdefault(name, PatientsBar(progress, of)).done(
                        n
                    ),
                )
        with StepsBar() as steps:
            figures = run(
                out, cohorts, recipes, imagenet=imagenet, advance=steps.advance, begin=steps.begin
            )
    except (OsteoscreenError, OSError) as error:
        stop(error)
    for line in headline(figures):
        typer.echo(line)
    typer.echo(f"Report: {out / REPORT}")
