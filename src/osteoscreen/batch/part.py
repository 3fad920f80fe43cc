"""A file that appears whole, whatever ends the run or the machine while it is written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUFFIX = ".part"


def part_of(path: Path) -> Path:
    """Return where a file lies until it is whole: beside it."""
    return path.with_name(path.name + SUFFIX)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Have a file appear whole, on the disk too.

    Args:
        path: The file; one that is there is replaced.
    Returns: Where to write it; it takes its name when the context ends without an error.
    """
    part = part_of(path)
    yield part
    _sync(part)
    part.replace(path)
    try:
        _sync(path.parent)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not every store can do folders
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
