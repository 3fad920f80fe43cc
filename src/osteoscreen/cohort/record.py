"""Files that are there whole or not at all: a reader never meets half of one."""

from __future__ import annotations

from pathlib import Path

PART = ".part"
"""Ending of what is not whole yet; a stopped run may leave such a file or folder behind."""


def write_record(path: Path, text: str) -> None:
    """Write a text file at once; until then an older one stays.

    Args:
        path: File to write, in UTF-8, line ends as given.
        text: What to write.
    """
    part = part_of(path)
    with part.open("w", encoding="utf-8", newline="") as stream:
        stream.write(text)
    part.replace(path)


def part_of(path: Path) -> Path:
    """Return where a file or folder is made until it is whole."""
    return path.with_name(path.name + PART)
