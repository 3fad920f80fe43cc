"""A manifest as a stream: a CSV or Parquet file with a column of images."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from typing import IO

from pyarrow import ArrowInvalid
from pyarrow.parquet import ParquetFile

from osteoscreen.cohort.manifest import Case
from osteoscreen.errors import BatchError, InputError, RefusalCode

MANIFESTS = (".csv", ".parquet")
IMAGE = "image"
"""The one column that is read; the others are those of a cohort's manifest."""

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
    """
    with opened() as file:
        yield from _parquet_images(file) if _is_parquet(name) else _csv_images(file)


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
            return csv.DictReader(text).fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise BatchError(f"{name}: a manifest must be a CSV file in UTF-8, {error}") from None


def _csv_images(file: IO[bytes]) -> Iterator[str]:
    with TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text:
        yield from (row[IMAGE] or "" for row in csv.DictReader(text))


def _parquet_columns(name: str, file: IO[bytes]) -> Iterable[str]:
    try:
        return [str(column) for column in ParquetFile(file).schema_arrow.names]
    except ArrowInvalid:
        raise BatchError(f"{name}: a manifest must be a Parquet file, it is none inside") from None


def _parquet_images(file: IO[bytes]) -> Iterator[str]:
    for batch in ParquetFile(file).iter_batches(columns=[IMAGE]):
        yield from (str(image or "") for image in batch.column(0).to_pylist())
