"""``osteoscreen demo``: a synthetic patient, screened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteoscreen.cli.ending import stop
from osteoscreen.cli.screen import conclude
from osteoscreen.errors import OsteoscreenError
from osteoscreen.progress import ScreenBar, new_progress

DEMO_CASE = 2
"""Patient of the demo's cohort: the third of the turn, with osteoporosis."""


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo.")] = Path("osteoscreen-demo"),
    seed: Annotated[int, typer.Option(help="Which synthetic patient.")] = 2026,
) -> None:
    """Make a synthetic patient, screen it, write every output."""
    from osteoscreen import texts
    from osteoscreen.bundle import load_bundle
    from osteoscreen.cohort.patient import write_patient
    from osteoscreen.cohort.plan import CohortPlan, Preset
    from osteoscreen.workflow import screen_inputs

    try:
        loaded = load_bundle()
        with new_progress() as progress:
            task = progress.add_task("Making a synthetic patient", total=None)
            plan = CohortPlan(Preset.COHORT, cases=1, seed=seed, is_series=True)
            case = write_patient(
                out / "patient",
                plan,
                DEMO_CASE,
                done=lambda n, of: progress.update(task, completed=n, total=of),
            ).rows[0]
            rows = screen_inputs(
                [out / "patient" / case.image], out / "results", loaded, ScreenBar(progress)
            )
    except (OsteoscreenError, OSError) as error:
        stop(error)
    assert case.condition is not None
    typer.echo(
        f"The synthetic patient: {case.sex}, {case.age} years, DXA T-score {case.t_score:.1f}: "
        f"{texts.IN_SENTENCE[case.condition]}."
    )
    conclude(rows, out / "results")
