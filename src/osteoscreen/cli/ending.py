"""How a command ends: its exit status and its one line on stderr."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NoReturn

import typer

REFUSED = 3
"""Exit status when at least one input was refused or failed; the others are done."""
WRONG_USAGE = 2
"""Exit status of a wrong command, manifest, recipe, run or bundle."""


EXTRAS = {
    "train": ("torch", "lightning"),
    "batch": ("ray", "pandas", "pyarrow", "fsspec", "dicomweb_client"),
}
"""Extras of the installation and what they bring."""


def need_extra(name: str) -> None:
    """Stop where an extra is not installed."""
    if any(find_spec(module) is None for module in EXTRAS[name]):
        stop(
            f"this command needs the extra {name}: pip install '.[{name}]' in the project's folder"
        )


def stop(error: Exception | str) -> NoReturn:
    """Say in a line what was wrong, and exit."""
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(WRONG_USAGE)
