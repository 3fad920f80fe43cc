"""An archive in a store, S3 or another that fsspec knows; studies are downloaded for a while."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.registry import get_filesystem_class

from osteoscreen.batch.manifest import check_image, check_manifest, images_of, is_manifest
from osteoscreen.batch.study import Fetched, Study, key_of
from osteoscreen.batch.tree import Listing, is_whole, studies_in
from osteoscreen.dicom.folder import study_uid_of
from osteoscreen.dicom.header import PREAMBLE_BYTES, is_dicom
from osteoscreen.door import check_room
from osteoscreen.errors import BatchError, InputError, RefusalCode, ServerError
from osteoscreen.scratch import scratch

HEAD_BYTES = 64 * 2**10
"""What is read of a file to tell its study; where that is not told by then, the whole file is."""

BLOCK_BYTES = 2**20
"""What is read of a manifest at a time."""

REQUESTS = 16
"""Folders that are listed, and files that are downloaded, at a time: a slice takes longer to be
asked for than to be sent."""

NAME_BYTES = 255
"""The longest name of a file on the disks of Linux, macOS and Windows."""

KEPT_OUT = (FileNotFoundError, PermissionError)
"""The store's answer about one folder or file; whatever else is raised, the store is out of reach.
"""


@dataclass(frozen=True)
class RemoteArchive:
    """A tree of objects, or a manifest among them.

    Args:
        root: Address of the folder that is searched with all its subfolders, or of a manifest: a
            CSV or Parquet file with a column ``image`` of paths relative to its own folder. What
            opens the store, such as a password, is no part of it.
    Raises:
        BatchError: If the store is not known or its package not installed, there is nothing at the
            address, the store does not answer, or the manifest has unknown columns or no ``image``.
    """

    root: str

    def __post_init__(self) -> None:
        _check_address(self.root)
        with self._in_reach():
            if self._is_tree:
                return
            if not is_manifest(self.root):
                raise BatchError(f"{self.root}: an archive must be a folder, or a CSV or Parquet "
                                 "file; it is none")  # fmt: skip
            check_manifest(self.root, self._opened)

    @property
    def address(self) -> str:
        """The address of the root, as fsspec writes it."""
        return str(self._store.unstrip_protocol(self._path))

    def studies(self) -> Iterator[Study]:
        """Find the studies one by one.

        Raises: BatchError if the store does not answer, or the root may not be listed.
        """
        store = self._store
        with self._in_reach():
            if self._is_tree:
                found = studies_in(self._path, self._listed, at_a_time=REQUESTS)
            else:
                found = self._in_manifest()
            for study in found:
                folders = tuple(map(store.unstrip_protocol, study.folders))
                yield replace(study, source=store.unstrip_protocol(study.source), folders=folders)

    @contextmanager
    def fetched(self, study: Study) -> Iterator[Fetched]:
        """Download a study into a folder called by its key, which lasts as long as the context.

        Raises:
            InputError: NO_INPUT if the study is not there or may not be read.
            ServerError: If the store is out of reach, or this machine's disk is full.
        """
        with scratch() as folder:
            try:
                fetched = self._download(study, folder / study.key)
            except InputError:
                raise
            except Exception as error:  # noqa: BLE001 - each store's client has errors of its own
                check_room(error)
                self._check_in_reach()  # where the store is well, the study is to blame
                raise InputError(
                    RefusalCode.NO_INPUT,
                    f"the input must be there and readable, got: {_cause(error)}",
                ) from None
            yield fetched

    def _check_in_reach(self) -> None:
        try:
            self._store.info(self._path)
        except KEPT_OUT:
            return
        except Exception as error:  # noqa: BLE001 - each store's client has errors of its own
            raise ServerError(f"{self.root}: the store must answer, got: {_cause(error)}") from None

    @cached_property
    def _store(self) -> AbstractFileSystem:
        """The store, without fsspec's cache of listings, which would grow with the tree."""
        return url_to_fs(self.root, use_listings_cache=False)[0]

    @property
    def _path(self) -> str:
        """Path of the root in the store."""
        return str(self._store._strip_protocol(self.root))

    @property
    def _is_tree(self) -> bool:
        return bool(self._store.info(self._path)["type"] == "directory")

    def _opened(self) -> IO[bytes]:
        file: IO[bytes] = self._store.open(self._path, "rb", block_size=BLOCK_BYTES)
        return file

    @contextmanager
    def _in_reach(self) -> Iterator[None]:
        """Tell in a line that the root is not there or the store does not answer."""
        try:
            yield
        except BatchError:
            raise
        except KEPT_OUT as error:
            raise BatchError(
                f"{self.root}: an archive must be there and readable, got: {_cause(error)}"
            ) from None
        except Exception as error:  # noqa: BLE001 - each store's client has errors of its own
            raise BatchError(f"{self.root}: the store must answer, got: {_cause(error)}") from None

    def _in_manifest(self) -> Iterator[Study]:
        home = posixpath.dirname(self._path)
        for number, image in enumerate(images_of(self.root, self._opened)):
            key = key_of((str(number).encode(), os.fsencode(image)))
            yield Study(key, posixpath.normpath(f"{home}/{image}"))

    def _entries(self, folder: str) -> Iterator[_Entry]:
        """List a folder in order of names, but for those that no disk could hold."""
        entries = [
            _Entry(one["name"].rstrip("/"), one["type"] == "directory", one["size"])
            for one in self._store.ls(folder, detail=True)
        ]
        inside = [one for one in entries if posixpath.dirname(one.path) == folder]
        yield from sorted(filter(_Entry.has_name, inside), key=lambda one: one.name)

    def _listed(self, folder: str) -> Listing | None:
        try:
            found = list(self._entries(folder))
        except KEPT_OUT:
            if folder == self._path:
                raise
            return None
        files = [one for one in found if not one.is_folder]
        with closing(self._heads([one for one in files if not is_whole(one.name)])) as heads:
            return Listing(
                whole=[one.path for one in files if is_whole(one.name)],
                study_uid=study_uid_of(heads),
                folders=[one.path for one in found if one.is_folder],
            )

    def _heads(self, files: list[_Entry]) -> Generator[Path, None, None]:
        """Download one head after the other; the whole file where the head told nothing."""
        store = self._store
        with scratch() as home:
            for file in files:
                path = home / file.name
                with suppress(*KEPT_OUT):  # it is told when the study is fetched
                    is_short = file.size <= PREAMBLE_BYTES  # nothing would be read from it
                    path.write_bytes(
                        b"" if is_short else store.cat_file(file.path, start=0, end=HEAD_BYTES)
                    )
                yield path
                if file.size > HEAD_BYTES and path.is_file() and is_dicom(path):
                    store.get_file(file.path, str(path))
                    yield path
                path.unlink(missing_ok=True)

    def _download(self, study: Study, home: Path) -> Fetched:
        store = self._store
        source = store._strip_protocol(study.source)
        folders = [store._strip_protocol(folder) for folder in study.folders]
        check_image(source, self._path)
        home.mkdir()
        if not folders and store.info(source)["type"] != "directory":
            path = home / posixpath.basename(source)
            store.get_file(source, str(path))
            return Fetched(path)
        here = {folder: home / posixpath.relpath(folder, source) for folder in folders or [source]}
        files = {
            file.path: path / posixpath.relpath(file.path, folder)
            for folder, path in here.items()
            for file in self._files(folder, is_deep=not folders)
        }
        for path in (*here.values(), *(path.parent for path in files.values())):
            path.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(REQUESTS) as pool:  # none is left when one has failed
            list(pool.map(store.get_file, files, map(str, files.values())))
        return Fetched(home, tuple(here.values()) if folders else ())

    def _files(self, folder: str, *, is_deep: bool) -> Iterator[_Entry]:
        """List the files that may be slices."""
        for one in self._entries(folder):
            if not one.is_folder:
                if not is_whole(one.name):
                    yield one
            elif is_deep:
                yield from self._files(one.path, is_deep=True)


@dataclass(frozen=True)
class _Entry:
    """A file or a folder of a store."""

    path: str
    is_folder: bool
    size: int

    @property
    def name(self) -> str:
        return posixpath.basename(self.path)

    def has_name(self) -> bool:
        """Return whether a disk could hold its name."""
        is_sized = 0 < len(os.fsencode(self.name)) <= NAME_BYTES
        return is_sized and self.name not in (".", "..") and "\0" not in self.name


def _check_address(address: str) -> None:
    """Refuse a store that is not known, and an address that would show a secret in each row."""
    scheme = address.partition("://")[0]
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise BatchError(f"{scheme}://: an address must be well formed, got: {error}") from None
    if "@" in parts.netloc or parts.query:
        raise BatchError(f"{scheme}://: an address must hold no user, password or query, it does")
    try:
        get_filesystem_class(scheme)
    except ValueError:
        raise BatchError(
            f"{address}: the scheme must be one that fsspec knows, it is not"
        ) from None
    except ImportError as error:
        raise BatchError(f"{address}: the store's package must be installed, got: {error}; "
                         "for S3: pip install '.[s3]'") from None  # fmt: skip


def _cause(error: Exception) -> str:
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}, {said}" if said else type(error).__name__
