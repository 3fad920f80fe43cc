"""``osteoscreen report``: the report again from a result, without screening."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteoscreen.cli.ending import stop
from osteoscreen.errors import OsteoscreenError


def report(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="A result folder, or its result.json.")
    ],
) -> None:
    """Make the report of a result again, without screening."""
    from osteoscreen.reporting import PAGE, PDF, report_again

    try:
        folder = report_again(result)
    except (OsteoscreenError, OSError) as error:
        stop(error)
    typer.echo(f"{folder / PAGE}")
    typer.echo(f"{folder / PDF}")
