"""An archive on this machine's disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from osteoscreen.batch.manifest import check_image, check_manifest, images_of, is_manifest
from osteoscreen.batch.study import Fetched, Study, key_of
from osteoscreen.batch.tree import Listing, is_whole, studies_in
from osteoscreen.dicom.folder import study_uid_of
from osteoscreen.errors import BatchError


@dataclass(frozen=True)
class LocalArchive:
    """A tree of folders, or a manifest; folders, archives and volume files that are links are not.

    Args:
        root: A folder that is searched with all its subfolders, or a manifest: a CSV or Parquet
            file with a column ``image`` of paths relative to its own folder; absolute.
    Raises:
        BatchError: If the root does not exist, or the manifest has unknown columns or no ``image``,
            or a row that cannot be read: all of it is read once, two seconds for a million rows.
    """

    root: Path

    def __post_init__(self) -> None:
        if self.root.is_dir():
            return
        if not (self.root.is_file() and is_manifest(self.root.name)):
            raise BatchError(
                f"{self.root}: an archive must be a folder, or a CSV or Parquet file; it is none"
            )
        check_manifest(self.address, self._opened)
        for _ in images_of(self.address, self._opened):
            pass

    @property
    def address(self) -> str:
        """The path of the root."""
        return str(self.root)

    def studies(self) -> Iterator[Study]:
        """Find the studies one by one."""
        return studies_in(self.address, _listed) if self.root.is_dir() else self._in_manifest()

    def fetched(self, study: Study) -> AbstractContextManager[Fetched]:
        """Return the study as it lies there.

        Raises: InputError: NO_INPUT if it is a folder that the manifest lies in.
        """
        check_image(os.path.realpath(study.source), self.address)
        return nullcontext(Fetched(Path(study.source), tuple(map(Path, study.folders))))

    def _in_manifest(self) -> Iterator[Study]:
        for number, image in enumerate(images_of(self.address, self._opened)):
            key = key_of((str(number).encode(), os.fsencode(image)))
            yield Study(key, str(self.root.parent / image))

    def _opened(self) -> IO[bytes]:
        return self.root.open("rb")


def _listed(folder: str) -> Listing | None:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda one: one.name)
    except OSError:
        return None
    files = [one for one in found if _is_file(one)]
    return Listing(
        whole=[one.path for one in files if is_whole(one.name) and not one.is_symlink()],
        study_uid=study_uid_of(Path(one.path) for one in files if not is_whole(one.name)),
        folders=[one.path for one in found if _is_folder(one)],
    )


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link in a circle, or into a folder that may not be read
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # no link, and nothing else is known: it is refused when it is listed
        return True
