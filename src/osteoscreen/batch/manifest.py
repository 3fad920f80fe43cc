"""A manifest as a stream: a CSV or Parquet file with a column of images."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from itertools import count
from typing import IO

from pyarrow import ArrowException, ArrowInvalid
from pyarrow.parquet import ParquetFile

from osteoscreen.cohort.manifest import Case
from osteoscreen.errors import BatchError, InputError, RefusalCode

MANIFESTS = (".csv", ".parquet")
IMAGE = "image"
"""The one column that is read; the others are those of a cohort's manifest."""

BREAKS = frozenset("\n\r\0")
"""What no cell of a manifest has; in a CSV file, mostly what a quote too many has swallowed."""

Opener = Callable[[], IO[bytes]]


def is_manifest(name: str) -> bool:
    """Return whether the name is a manifest's."""
    return name.lower().endswith(MANIFESTS)


def check_manifest(name: str, opened: Opener) -> None:
    """Check the columns of a manifest.

    Args:
        name: What the manifest is called.
        opened: Opens it.
    Raises:
        BatchError: If it is no CSV or Parquet file, has unknown columns or no ``image``.
    """
    with opened() as file:
        columns = _parquet_columns(name, file) if _is_parquet(name) else _csv_columns(name, file)
    unknown = sorted(set(columns) - set(Case.model_fields))
    if unknown:
        raise BatchError(f"{name}: a manifest must have no other columns than those of a cohort's, "
                         f"got {', '.join(unknown)}")  # fmt: skip
    if IMAGE not in columns:
        raise BatchError(f"{name}: a manifest must have the column {IMAGE}, it has not")


def images_of(name: str, opened: Opener) -> Iterator[str]:
    """Read the images of a checked manifest one by one.

    Args:
        name: What the manifest is called.
        opened: Opens it.
    Raises: BatchError: At a row that cannot be read, or has a line break in it.
    """
    with opened() as file:
        yield from _parquet_images(name, file) if _is_parquet(name) else _csv_images(name, file)


def check_image(image: str, manifest: str) -> None:
    """Refuse an image that is a folder above its manifest: what lies there has rows of its own.

    Args:
        image: Its path or address.
        manifest: Path or address of the manifest, or of the tree that the image was found in.
    Raises: InputError: NO_INPUT if the manifest lies in the image.
    """
    if manifest.startswith(f"{image.rstrip('/')}/"):
        raise InputError(
            RefusalCode.NO_INPUT,
            "an image must not be a folder that the manifest lies in, it is",
        )


def _is_parquet(name: str) -> bool:
    return name.lower().endswith(".parquet")


def _csv_columns(name: str, file: IO[bytes]) -> Iterable[str]:
    try:
        with TextIOWrapper(file, "utf-8-sig", newline="") as text:
            return csv.DictReader(text, strict=True).fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise BatchError(f"{name}: a manifest must be a CSV file in UTF-8, {error}") from None


def _csv_images(name: str, file: IO[bytes]) -> Iterator[str]:
    with TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = csv.DictReader(text, strict=True)
        try:
            for row in rows:
                for cell in row.values():
                    _check_line(f"{name}, up to line {rows.line_num}", cell or "")
                yield row[IMAGE] or ""
        except csv.Error as error:
            where = f"{name}, up to line {rows.reader.line_num}"
            raise BatchError(f"{where}: a manifest must be a CSV file, {error}") from None


def _parquet_columns(name: str, file: IO[bytes]) -> Iterable[str]:
    try:
        return [str(column) for column in ParquetFile(file).schema_arrow.names]
    except ArrowInvalid:
        raise BatchError(f"{name}: a manifest must be a Parquet file, it is none inside") from None


def _parquet_images(name: str, file: IO[bytes]) -> Iterator[str]:
    number = count(1)
    try:
        for batch in ParquetFile(file).iter_batches(columns=[IMAGE]):
            for image in batch.column(0).to_pylist():
                _check_line(f"{name}, row {next(number)}", str(image or ""))
                yield str(image or "")
    except (ArrowException, OSError) as error:
        cause = str(error).partition("\n")[0]
        raise BatchError(f"{name}: a manifest must be a whole Parquet file, {cause}") from None


def _check_line(where: str, cell: str) -> None:
    if not BREAKS.isdisjoint(cell):
        raise BatchError(f"{where}: a cell of a manifest must have no line break, it has")
