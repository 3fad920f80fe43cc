"""Runs without Ray, which kill their own process at a chosen point."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from importlib import import_module
from typing import Any
from unittest.mock import patch

from osteoscreen.batch import run, table
from osteoscreen.batch.screener import Screener, screen_in_turn
from osteoscreen.batch.study import Study


class Unheard:
    """Hears how a run goes, and shows nothing."""

    def begin(self, finished: int) -> None: ...

    def end(self, records: list[dict[str, Any]]) -> None: ...


def screen_in_loop(asked: run.Run) -> None:
    """Do a run in this process, in parts of one study."""

    def connected(*_: object) -> AbstractContextManager[int]:
        return nullcontext(1)

    def in_turn(
        screener: Screener, studies: Callable[[], Iterator[Study]], _: int
    ) -> Iterator[list[dict[str, Any]]]:
        return screen_in_turn(screener, studies())

    with (
        patch.object(run, "connected", connected),
        patch.object(run, "screen_on_ray", in_turn),
        patch.object(table, "STUDIES_A_PART", 1),
    ):
        run.screen_archive(asked, Unheard())


def kill_after(asked: run.Run, place: str, calls: int) -> None:
    """Do a run in this process, and kill it after so many calls of a function.

    Args:
        asked: The run.
        place: Of the function, ``module:name``.
        calls: How many.
    """
    module, _, name = place.partition(":")
    *owners, name = name.split(".")
    owner = import_module(module)
    for one in owners:
        owner = getattr(owner, one)
    function = getattr(owner, name)
    left = iter(range(calls - 1, -1, -1))

    @wraps(function)
    def deadly(*args: object, **options: object) -> object:
        told = function(*args, **options)
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return told

    with patch.object(owner, name, deadly):
        screen_in_loop(asked)
