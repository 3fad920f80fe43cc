"""A tree of folders, on a disk or in a store: the studies in it, found one by one.

Nothing is held but the folders at hand and those above them, so a tree may be of any size.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath

from osteoscreen.archive import is_archive
from osteoscreen.batch.study import Study, key_of
from osteoscreen.nifti import is_nifti


@dataclass(frozen=True)
class Listing:
    """What a folder holds, as paths with slashes, in order of their names.

    Args:
        whole: Files that are taken as they are: zip archives and volume files.
        study_uid: Of its other files; empty where none of them tells one, ``None`` where none of
            them is an image.
        folders: Folders that are to be searched.
    """

    whole: Sequence[str]
    study_uid: str | None
    folders: Sequence[str]


@dataclass(frozen=True)
class _Place:
    """A file or a folder with images, and the study that they are of where that is known."""

    path: str
    study_uid: str = ""
    is_folder: bool = False

    @property
    def belongs_to(self) -> tuple[str, str]:
        """What places of one study share; nothing is shared where the study is not known."""
        return self.study_uid, "" if self.study_uid else self.path


def is_whole(name: str) -> bool:
    """Return whether a file of this name is taken as it is: a zip archive or a volume file."""
    return is_archive(PurePath(name)) or is_nifti(PurePath(name))


def studies_in(
    root: str, listed: Callable[[str], Listing | None], at_a_time: int = 1
) -> Iterator[Study]:
    """Find the studies of a tree one by one, in an order that does not change.

    Folders that follow one another and are of one study, as their Study Instance UIDs tell, are
    one. Zip archives and volume files are taken as they are.

    Args:
        root: The folder that is searched with all its subfolders.
        listed: Lists a folder; ``None`` where it may not be read.
        at_a_time: Folders that are listed at the same time, those that come next.
    Returns: Studies whose source and folders are paths as they were listed.
    """
    found = _places(_listings(root, listed, at_a_time))
    for _, group in groupby(found, lambda place: place.belongs_to):
        places = list(group)
        paths = tuple(place.path for place in places)
        key = key_of(os.fsencode(path.removeprefix(root).lstrip("/")) for path in paths)
        if places[0].is_folder:
            yield Study(key, posixpath.commonpath(paths), paths)
        else:
            yield Study(key, paths[0])


def _places(listings: Iterable[tuple[str, Listing | None]]) -> Iterator[_Place]:
    for folder, found in listings:
        if found is None:
            yield _Place(folder)  # it is refused by its own reason when it is screened
            continue
        yield from map(_Place, found.whole)
        if found.study_uid is not None:
            yield _Place(folder, found.study_uid, is_folder=True)


def _listings(
    root: str, listed: Callable[[str], Listing | None], at_a_time: int
) -> Iterator[tuple[str, Listing | None]]:
    """Walk a tree: a folder before its subfolders, those in order of their names."""
    waiting = [root]
    asked: dict[str, Future[Listing | None]] = {}
    pool = ThreadPoolExecutor(at_a_time)
    try:
        while waiting:
            for folder in waiting[: -at_a_time - 1 : -1]:
                if folder not in asked:
                    asked[folder] = pool.submit(listed, folder)
            folder = waiting.pop()
            found = asked.pop(folder).result()
            yield folder, found
            waiting += reversed(found.folders if found is not None else ())
    finally:
        pool.shutdown(cancel_futures=True)
