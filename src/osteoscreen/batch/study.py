"""The studies of an archive as a stream: from a tree of folders, or from a manifest.

Nothing is held but the folder at hand and those above it, so an archive may be of any size.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pyarrow import ArrowInvalid
from pyarrow.parquet import ParquetFile

from osteoscreen.archive import is_archive
from osteoscreen.cohort.manifest import Case
from osteoscreen.dicom.folder import study_uid_of
from osteoscreen.errors import BatchError
from osteoscreen.nifti import is_nifti

MANIFESTS = (".csv", ".parquet")
IMAGE = "image"
"""The one column of a manifest that is read; the others are those of a cohort's manifest."""


@dataclass(frozen=True)
class Study:
    """One study of an archive, as far as folders tell; a zip may hold several.

    Args:
        key: Hash of where it lies below the root, 16 hexadecimal digits.
        source: Its folder, the folder above its folders, a zip archive or a volume file.
        folders: Folders whose files it is made of; empty where the source is all of it.
    """

    key: str
    source: Path
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Place:
    """A file or a folder with images, and the study that they are of where that is known."""

    path: Path
    study_uid: str = ""
    is_folder: bool = False

    @property
    def belongs_to(self) -> tuple[str, Path | None]:
        """What places of one study share; nothing is shared where the study is not known."""
        return self.study_uid, None if self.study_uid else self.path


def find_studies(root: Path) -> Iterator[Study]:
    """Find the studies of an archive one by one, in an order that does not change.

    Folders that follow one another and are of one study, as their Study Instance UIDs tell, are
    one. Zip archives and volume files are taken as they are. Folders, archives and volume files
    that are links are left out.

    Args:
        root: A folder that is searched with all its subfolders, or a manifest: a CSV or Parquet
            file with a column ``image`` of paths relative to its own folder.
    Raises:
        BatchError: If the root does not exist, or the manifest has unknown columns or no ``image``.
    """
    if root.is_dir():
        return _in_tree(root)
    if root.is_file() and root.suffix.lower() in MANIFESTS:
        return _in_manifest(root)
    raise BatchError(f"{root}: an archive must be a folder, or a CSV or Parquet file; it is none")


def _in_tree(root: Path) -> Iterator[Study]:
    for _, group in groupby(_places(root), lambda place: place.belongs_to):
        places = list(group)
        paths = tuple(place.path for place in places)
        key = _key(os.fsencode(path.relative_to(root)) for path in paths)
        if places[0].is_folder:
            yield Study(key, Path(os.path.commonpath(paths)), paths)
        else:
            yield Study(key, paths[0])


def _places(root: Path) -> Iterator[_Place]:
    """Walk a tree: the files of a folder before its subfolders, each in order of their names."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda one: one.name)
        except OSError:
            yield _Place(folder)  # it is refused by its own reason when it is screened
            continue
        files = [Path(one.path) for one in found if one.is_file()]
        alone = {file for file in files if is_archive(file) or is_nifti(file)}
        yield from (_Place(file) for file in files if file in alone and not file.is_symlink())
        uid = study_uid_of(file for file in files if file not in alone)
        if uid is not None:
            yield _Place(folder, uid, is_folder=True)
        inner = [Path(one.path) for one in found if one.is_dir(follow_symlinks=False)]
        waiting += reversed(inner)


def _in_manifest(path: Path) -> Iterator[Study]:
    rows = _parquet_images(path) if path.suffix.lower() == ".parquet" else _csv_images(path)
    return (
        Study(_key((str(number).encode(), image.encode())), path.parent / image)
        for number, image in enumerate(rows)
    )


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    unknown = sorted(set(columns) - set(Case.model_fields))
    if unknown:
        raise BatchError(f"{path}: a manifest must have no other columns than those of a cohort's, "
                         f"got {', '.join(unknown)}")  # fmt: skip
    if IMAGE not in columns:
        raise BatchError(f"{path}: a manifest must have the column {IMAGE}, it has not")


def _csv_images(path: Path) -> Iterator[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            _check_columns(path, csv.DictReader(stream).fieldnames or ())
    except (UnicodeDecodeError, csv.Error) as error:
        raise BatchError(f"{path}: a manifest must be a CSV file in UTF-8, {error}") from None
    return _csv_rows(path)


def _csv_rows(path: Path) -> Iterator[str]:
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
        for row in csv.DictReader(stream):
            yield row[IMAGE] or ""


def _parquet_images(path: Path) -> Iterator[str]:
    try:
        with ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
    except ArrowInvalid:
        raise BatchError(f"{path}: a manifest must be a Parquet file, it is none inside") from None
    return _parquet_rows(path)


def _parquet_rows(path: Path) -> Iterator[str]:
    with ParquetFile(path) as file:
        for batch in file.iter_batches(columns=[IMAGE]):
            yield from (str(image or "") for image in batch.column(0).to_pylist())


def _key(parts: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
