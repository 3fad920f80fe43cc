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
        for found in find_units(source):
            if isinstance(found, Row):
                is_refused |= found.is_without_result
                typer.echo(
                    f"{found.status:8} {found.series or source}: {found.reason or found.code}"
                )
            else:
                typer.echo(f"chosen   {found.key or source}: {found.choice or 'a volume file'}")
    raise typer.Exit(REFUSED if is_refused else 0)
