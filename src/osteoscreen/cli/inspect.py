"""``osteoscreen inspect``: which series would be screened, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteoscreen.cli.ending import REFUSED


def inspect(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="As for screen.")],
) -> None:
    """Say what is in there, which series would be screened, and why."""
    from osteoscreen.intake import find_units
    from osteoscreen.summary import Row

    is_refused = False
    for source in inputs:
        with find_units(source) as units:
            for found in units:
                if isinstance(found, Row):
                    rows = [found]
                else:
                    typer.echo(f"chosen   {found.key or source}: {found.choice or 'a volume file'}")
                    rows = [unit.skipped() for unit in found.following]
                for row in rows:
                    is_refused |= row.is_without_result
                    typer.echo(f"{row.status:8} {row.series or source}: {row.reason or row.code}")
    raise typer.Exit(REFUSED if is_refused else 0)
