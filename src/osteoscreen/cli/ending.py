"""How a command ends: its exit status and its one line on stderr."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NoReturn

import typer

REFUSED = 3
"""Exit status when at least one input was refused or failed; the others are done."""
WRONG_USAGE = 2
"""Exit status of a wrong command, manifest, recipe, run or bundle."""


def need_training() -> None:
    """Stop where the training extra is not installed."""
    if find_spec("torch") is None or find_spec("lightning") is None:
        stop(
            "this command needs the training extra: pip install '.[train]' in the project's folder"
        )


def stop(error: Exception | str) -> NoReturn:
    """Say in a line what was wrong, and exit."""
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(WRONG_USAGE)
