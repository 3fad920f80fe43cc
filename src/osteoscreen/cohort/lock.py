"""A lock on a folder: two runs that write to one would break each other's files."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osteoscreen.errors import CohortError

LOCK = ".lock"
"""An empty file that stays behind. What counts is the lock that the kernel holds on it; that ends
with the process, however the process ends."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder for this run.

    Args:
        folder: What is written to; it must exist.
    Raises: CohortError if another run has it, here or, where the file system passes locks on, on
        another machine.
    """
    with (folder / LOCK).open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CohortError(
                f"{folder}: a folder is written by one run at a time, another one is at work"
            ) from None
        yield
