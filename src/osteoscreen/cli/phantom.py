"""``osteoscreen phantom``: a synthetic cohort."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from osteoscreen.cli.ending import stop
from osteoscreen.errors import OsteoscreenError
from osteoscreen.progress import PatientsBar, new_progress


class PresetName(StrEnum):
    """Which synthetic cohort to make; see ``osteoscreen.cohort.plan.Preset``."""

    COHORT = "cohort"
    RANDOMISED = "randomised"
    ELSEWHERE = "elsewhere"
    PAPER = "paper"


def phantom(  # noqa: PLR0913 - an option a setting
    out: Annotated[
        Path, typer.Argument(help="Folder for the cohort: empty, or the same cohort to go on with.")
    ],
    seed: Annotated[int, typer.Option(help="Seed of the cohort, 0 to 4294967295.")],
    cases: Annotated[
        int | None,
        typer.Option(
            help="Number of patients, 1 or more; preset paper: up to 213, and by default."
        ),
    ] = None,
    preset: Annotated[PresetName, typer.Option(help="What the cohort is for.")] = PresetName.COHORT,
    slices: Annotated[
        int | None,
        typer.Option(help="Slices a patient, 1 or more; by default 4, or 12 with preset paper."),
    ] = None,
    series: Annotated[
        bool,
        typer.Option(
            "--series",
            help="A contiguous series from T12 to S1 a patient; not with --slices or preset paper.",
        ),
    ] = False,
    scanner: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET",
            help="One scanner for all: ingenuity-ct, ingenuity-flex, brilliance-16, siemens, ge, "
            "ge-early, canon.",
        ),
    ] = None,
    thickness: Annotated[
        float | None,
        typer.Option(metavar="MM", help="One slice thickness for all, 0.4 to 10."),
    ] = None,
    fov: Annotated[
        float | None, typer.Option(metavar="MM", help="One field of view for all, 120 to 500.")
    ] = None,
    age: Annotated[
        int | None, typer.Option(metavar="YEARS", help="One age for all, 22 to 92.")
    ] = None,
    shares: Annotated[
        tuple[int, int, int, int],
        typer.Option(
            metavar="TRAIN VALIDATION CALIBRATION TEST",
            help="Parts of the patients in each split; not with preset paper.",
        ),
    ] = (6, 1, 1, 2),
    workers: Annotated[int, typer.Option(help="Processes, 1 or more.")] = 1,
) -> None:
    """Make a synthetic cohort: CT as DICOM, marks as DICOM SEG, a manifest, all that was drawn."""
    from osteoscreen.cohort.plan import PAPER_CASES, CohortPlan, Preset
    from osteoscreen.cohort.synthetic import write_cohort

    wanted = Preset(preset.value)
    if cases is None:
        if wanted is not Preset.PAPER:
            stop("--cases N is needed: the number of patients")
        cases = PAPER_CASES
    try:
        plan = CohortPlan(
            preset=wanted,
            cases=cases,
            seed=seed,
            slices=slices,
            is_series=series,
            scanner=scanner,
            thickness_mm=thickness,
            field_of_view_mm=fov,
            age=age,
            shares=shares,
        )
        with new_progress() as progress:
            shown = PatientsBar(progress, cases)
            manifest = write_cohort(out, plan, workers=workers, done=shown.done)
    except (OsteoscreenError, OSError) as error:
        stop(error)
    typer.echo(f"Manifest: {manifest}")
