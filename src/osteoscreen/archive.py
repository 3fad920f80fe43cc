"""A zip archive of images, unpacked without trust: bounded size, count and ratio, safe names."""

from __future__ import annotations

import logging
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from osteoscreen.door import check_room
from osteoscreen.errors import InputError, RefusalCode
from osteoscreen.inflation import MAX_RATIO, is_bomb
from osteoscreen.scratch import scratch

logger = logging.getLogger(__name__)

MAX_ENTRIES = 20_000
"""Four series of 5,000 slices."""

MAX_BYTES = 8 * 2**30
"""What an archive may unpack to: 16,000 slices of 512 x 512."""

CHUNK_BYTES = 2**20

UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises on damaged, encrypted or oddly packed entries."""


@dataclass(frozen=True)
class Unpacked:
    """What an archive holds.

    Args:
        folder: Where it was unpacked; gone when the context ends.
        problems: Entries that were left packed, each with its reason.
    """

    folder: Path
    problems: tuple[InputError, ...]


def is_archive(path: PurePath) -> bool:
    """Return whether the name is a zip archive's."""
    return path.suffix.lower() == ".zip"


@contextmanager
def unpacked(path: Path) -> Iterator[Unpacked]:
    """Unpack a zip archive into a folder that lasts as long as the context.

    Archives inside it stay packed. Entries are links, or leave the folder by their name, are not
    unpacked and told as problems.

    Raises:
        InputError: UNSUPPORTED_FORMAT if it is no zip archive, TOO_LARGE if it has too many entries
            or unpacks to too much.
        ServerError: If the disk takes nothing.
    """
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise InputError(
            RefusalCode.UNSUPPORTED_FORMAT,
            f"the archive must be a zip file, opening it ended in {type(error).__name__}",
            path,
        ) from None
    with archive, scratch() as folder:
        _check_size(archive, path)
        yield Unpacked(folder, tuple(_extract(archive, folder, path)))


def _check_size(archive: zipfile.ZipFile, path: Path) -> None:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"an archive must not have more than {MAX_ENTRIES} entries, got {len(entries)}",
            path,
        )
    _check_bytes(sum(entry.file_size for entry in entries), path)


def _check_bytes(total: int, path: Path) -> None:
    if total > MAX_BYTES or is_bomb(total, path.stat().st_size):
        raise InputError(
            RefusalCode.TOO_LARGE,
            f"an archive must not unpack to more than {MAX_BYTES} bytes or {MAX_RATIO:g} times its "
            f"size, this one does to {total} or more",
            path,
        )


def _extract(archive: zipfile.ZipFile, folder: Path, path: Path) -> Iterator[InputError]:
    """Unpack what is safe, counting what really comes out; tell the rest."""
    total = 0
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        source = path / _printable(entry.filename)
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        is_link = stat.S_ISLNK(entry.external_attr >> 16)
        is_odd = not name.parts or ".." in name.parts or ":" in name.parts[0]
        if is_link or name.is_absolute() or is_odd:
            yield InputError(
                RefusalCode.UNSAFE_NAME,
                "an entry of an archive must be a plain file inside it, this one is a link or "
                "points outside",
                source,
            )
            continue
        target = folder / name
        if target.exists() or any(parent.is_file() for parent in target.parents):
            yield InputError(
                RefusalCode.UNSAFE_NAME, "an entry must not stand where another one does", source
            )
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as packed, target.open("wb") as file:
                while chunk := packed.read(CHUNK_BYTES):
                    total += len(chunk)
                    _check_bytes(total, path)
                    file.write(chunk)
        except UNREADABLE as error:
            check_room(error)
            target.unlink(missing_ok=True)
            yield InputError(
                RefusalCode.TRUNCATED,
                f"an entry must be whole and not encrypted, unpacking it ended in "
                f"{type(error).__name__}",
                source,
            )


def _printable(name: str) -> str:
    """A name as text that is safe in a message and is taken for no path of its own."""
    return "".join(letter for letter in name if letter.isprintable()).lstrip("/")
