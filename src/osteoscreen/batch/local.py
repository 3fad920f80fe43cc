"""An archive on this machine's disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from osteoscreen.batch.manifest import check_manifest, images_of, is_manifest
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
        BatchError: If the root does not exist, or the manifest has unknown columns or no ``image``.
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

    @property
    def address(self) -> str:
        """The path of the root."""
        return str(self.root)

    def studies(self) -> Iterator[Study]:
        """Find the studies one by one."""
        return studies_in(self, self.address) if self.root.is_dir() else self._in_manifest()

    def fetched(self, study: Study) -> AbstractContextManager[Fetched]:
        """Return the study as it lies there."""
        return nullcontext(Fetched(Path(study.source), tuple(map(Path, study.folders))))

    def listed(self, folder: str) -> Listing | None:
        """List a folder."""
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda one: one.name)
        except OSError:
            return None
        return Listing(
            [
                one.path
                for one in found
                if one.is_file() and not (one.is_symlink() and is_whole(one.name))
            ],
            [one.path for one in found if one.is_dir(follow_symlinks=False)],
        )

    def study_uid_of(self, files: Sequence[str]) -> str | None:
        """Return the study of the files of a folder."""
        return study_uid_of(map(Path, files))

    def _in_manifest(self) -> Iterator[Study]:
        for number, image in enumerate(images_of(self.address, self._opened)):
            key = key_of((str(number).encode(), os.fsencode(image)))
            yield Study(key, str(self.root.parent / image))

    def _opened(self) -> IO[bytes]:
        return self.root.open("rb")
