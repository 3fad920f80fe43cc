"""Scratch folders: they go when they are done with, and those of a killed process are swept later.

Whoever has one holds the kernel's lock on it, which ends with the process, however that ends.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

NAME = re.compile(r"osteoscreen-[0-9a-f]{8}-[a-z0-9_]{8}")
"""Nothing else is called so: the machine's name as a hash, then what ``tempfile`` makes up."""


@contextmanager
def scratch(home: Path | None = None) -> Iterator[Path]:
    """Have a new folder for files that last no longer than the context.

    Args:
        home: Where it is made; ``None`` for the system's place, ``TMPDIR``.
    Raises: OSError if it cannot be made.
    """
    made = Path(tempfile.mkdtemp(prefix=f".{_prefix()}", dir=home))
    with ExitStack() as held:
        with suppress(OSError):  # Windows and some network disks have no such lock, and no sweep
            held.enter_context(_locked(made))
        folder = made.rename(made.with_name(made.name[1:]))  # now that it is locked
        held.callback(shutil.rmtree, folder, ignore_errors=True)  # what is left is swept
        yield folder


def sweep(home: Path | None = None) -> None:
    """Remove the scratch folders that dead processes of this machine and user left.

    Args:
        home: Where they lie; ``None`` for the system's place, ``TMPDIR``.
    """
    found: list[Path] = []
    with suppress(OSError), os.scandir(home or tempfile.gettempdir()) as entries:
        found += (Path(entry) for entry in entries if _is_own(entry))
    for folder in found:
        with suppress(OSError), _locked(folder):  # otherwise it is in use
            shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder; an OSError where another process does, or none can be had."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _prefix() -> str:
    """Tell this machine from others that share the place: a lock may not be seen from there."""
    machine = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
    return f"osteoscreen-{machine}-"


def _is_own(entry: os.DirEntry[str]) -> bool:
    if not (NAME.fullmatch(entry.name) and entry.name.startswith(_prefix())):
        return False
    try:
        is_folder = entry.is_dir(follow_symlinks=False)
        return is_folder and entry.stat(follow_symlinks=False).st_uid == os.getuid()
    except OSError:  # it went meanwhile
        return False
