"""``osteoscreen train``: one of the networks, from a recipe."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from osteoscreen.cli.ending import need_extra, stop
from osteoscreen.errors import OsteoscreenError


class NetworkKind(StrEnum):
    """Which network to train."""

    SEGMENTER = "segmenter"
    CLASSIFIER = "classifier"
    LEVELS = "levels"


def train(  # noqa: PLR0913 - an option a setting
    kind: Annotated[NetworkKind, typer.Argument(help="Which network.")],
    cohort: Annotated[Path, typer.Option(metavar="MANIFEST", help="Manifest of the cohort.")],
    recipe: Annotated[Path, typer.Option(help="Recipe, a TOML file.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Run folder; an old run goes on.")],
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; by default all cores.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="GPUs that train together; by default all.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that draw the views for each GPU; by default up to 8, without a GPU 0.",
        ),
    ] = None,
) -> None:
    """Train MS-Net (segmenter), BCC-Net (classifier) or LevelNet (levels)."""
    need_extra("train")
    import torch

    from osteoscreen.cohort.grids import mask_errors
    from osteoscreen.cohort.manifest import Check, class_errors, read_manifest
    from osteoscreen.training.recipe import read_recipe
    from osteoscreen.training.run import train as fit

    if threads is not None:
        torch.set_num_threads(threads)
    try:
        settings = read_recipe(recipe)
        if settings.kind != kind.value:
            stop(f"{recipe}: the recipe must be of kind {kind.value}, got {settings.kind}")
        checks: list[Check] = [mask_errors]
        if kind is NetworkKind.CLASSIFIER:
            checks.append(class_errors)
        manifest = read_manifest(cohort, checks=checks)
        run = fit(settings, manifest, out, source=cohort, devices=devices, workers=workers)
    except (OsteoscreenError, OSError) as error:
        stop(error)
    typer.echo(f"Run: {run.folder}")
