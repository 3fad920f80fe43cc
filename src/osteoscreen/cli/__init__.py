"""The command line: it parses, shows progress, prints and exits; all work is done below.

A command is a module. It imports its work when it is called, so that help is shown at once.
"""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from osteoscreen import __version__
from osteoscreen.cli import (
    batch,
    demo,
    evaluate,
    export,
    inspect,
    phantom,
    report,
    reproduce,
    screen,
    train,
)
from osteoscreen.cli.ending import REFUSED, WRONG_USAGE

__all__ = ["REFUSED", "WRONG_USAGE", "app", "main"]

app = typer.Typer(
    help="Opportunistic osteoporosis screening from a routine CT. Research use only; "
    "not a medical device; trained on synthetic CT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"osteoscreen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


for command in (
    screen.screen,
    report.report,
    inspect.inspect,
    demo.demo,
    phantom.phantom,
    train.train,
    export.export,
    evaluate.evaluate,
    reproduce.reproduce,
    batch.batch,
):
    app.command()(command)
