"""One study of an archive: where it lies there, and where it lies on this machine's disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

KEY_DIGITS = 16
"""Hexadecimal digits: two of a million studies share a key with a chance of 3 in 10^8."""


@dataclass(frozen=True)
class Study:
    """One study of an archive, as far as the archive tells; a zip may hold several.

    Args:
        key: Hash of its place in the archive, 16 hexadecimal digits.
        source: Its address, as rows show it: of its folder, the folder above its folders, a zip
            archive or a volume file; a path where the archive is on this machine's disk.
        folders: Addresses of the folders whose files it is made of; empty where the source is all
            of it.
    """

    key: str
    source: str
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """A study on this machine's disk.

    Args:
        source: What to screen: a folder, a zip archive or a volume file.
        folders: Look only at the files that lie in one of these; at all of them where empty.
    """

    source: Path
    folders: tuple[Path, ...] = ()


def key_of(place: Iterable[bytes]) -> str:
    """Return the key of a study, which depends on its place in the archive alone."""
    return hashlib.sha256(b"\0".join(place)).hexdigest()[:KEY_DIGITS]
