"""An archive: a stream of studies, each of which can be had on this machine's disk for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from osteoscreen.batch.local import LocalArchive
from osteoscreen.batch.query import SCHEME, open_query
from osteoscreen.batch.remote import RemoteArchive
from osteoscreen.batch.study import Fetched, Study


class Archive(Protocol):
    """Where studies come from; it goes to Ray's workers by pickle."""

    @property
    def address(self) -> str:
        """What tells this archive from others, whatever folder the program was started in."""

    def studies(self) -> Iterator[Study]:
        """Find the studies one by one, in an order and under keys that do not change.

        Raises: BatchError or ServerError if the archive stops to answer; what is wrong with one
            study is told when it is fetched or screened.
        """

    def fetched(self, study: Study) -> AbstractContextManager[Fetched]:
        """Have a study on this machine's disk as long as the context lasts.

        Raises: InputError without a source if it cannot be had; ServerError if nothing can.
        """


def open_archive(address: str) -> Archive:
    """Open the archive at an address.

    Args:
        address: Of a folder, or of a manifest: a CSV or Parquet file. A path, or an address with a
            scheme that fsspec knows, such as ``s3://bucket/archive``. Or a DICOMweb query.
    Raises:
        BatchError: If there is no archive, the store is not known or does not answer, the manifest
            has unknown columns, no ``image`` or, on a disk, a row that cannot be read, or the query
            cannot be asked.
    """
    if address.startswith(SCHEME):
        return open_query(address)
    address = address.removeprefix("file://")
    if "://" in address:
        return RemoteArchive(address)
    return LocalArchive(Path(address).resolve())
