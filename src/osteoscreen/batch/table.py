"""The table of a run: Parquet parts, each whole or not there, a study in one part only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from osteoscreen.batch.part import SUFFIX, whole
from osteoscreen.batch.record import SCHEMA
from osteoscreen.errors import BatchError

TABLE = "table"
OUTCOMES = ("screened", "refused")
"""Partitions: studies with a result, and those without."""

STUDIES_A_PART = 4096
SECONDS_A_PART = 30.0
"""A part is written when it is large or old enough; what is lost by a kill is screened again."""


class TableWriter:
    """Gathers the rows of studies and writes them as parts.

    Args:
        folder: Folder of the table; made if it does not exist.
    Raises: BatchError if a file there is no part of a table.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[str, list[dict[str, Any]]] = {one: [] for one in OUTCOMES}
        self._studies = 0
        self._written = monotonic()
        for outcome in OUTCOMES:
            (folder / f"outcome={outcome}").mkdir(parents=True, exist_ok=True)
        for part in folder.rglob(f"*{SUFFIX}"):  # of a run that was killed while it wrote
            part.unlink()
        self._number = max((_number_of(part) for part in folder.rglob("*.parquet")), default=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def add(self, records: Sequence[dict[str, Any]]) -> None:
        """Take all rows of one study."""
        is_screened = any(one["status"] == "screened" for one in records)
        self._waiting[OUTCOMES[0] if is_screened else OUTCOMES[1]] += records
        self._studies += 1
        if self._studies >= STUDIES_A_PART or monotonic() - self._written >= SECONDS_A_PART:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        self._number += 1
        for outcome in OUTCOMES:
            records, self._waiting[outcome] = self._waiting[outcome], []  # never written twice
            if records:
                path = self._folder / f"outcome={outcome}" / f"{self._number:08d}.parquet"
                with whole(path) as part:
                    pq.write_table(pa.Table.from_pylist(records, SCHEMA), part, compression="zstd")
        self._studies, self._written = 0, monotonic()


def _number_of(part: Path) -> int:
    if not part.stem.isdecimal():
        raise BatchError(f"{part}: a table must hold parts with numbers alone, it is none")
    return int(part.stem)


def open_table(folder: Path) -> ds.Dataset:
    """Open the table of a run, with the column ``outcome`` beside those of its rows."""
    parts = sorted(folder.rglob("*.parquet"))
    outcome = pa.field("outcome", pa.string())
    return ds.dataset(
        parts,
        SCHEMA.append(outcome),
        format="parquet",
        partitioning=ds.partitioning(pa.schema([outcome]), flavor="hive"),
        partition_base_dir=str(folder),
    )


def finished_studies(folder: Path) -> NDArray[np.uint64]:
    """Return the keys of the studies in the table as sorted numbers: 8 bytes a study.

    Raises: BatchError if a part cannot be read.
    """
    keys = [_studies_of(part) for part in open_table(folder).get_fragments()]
    return np.unique(np.concatenate([np.zeros(0, np.uint64), *keys]))


def _studies_of(part: ds.Fragment) -> NDArray[np.uint64]:
    try:
        keys = part.to_table(columns=["study"]).column(0).unique().to_pylist()
    except (pa.ArrowException, OSError):
        raise BatchError(
            f"{part.path}: a part of a table must be whole, it is not; "
            "once it is removed, its studies are screened again"
        ) from None
    return np.array([number_of(key) for key in keys], np.uint64)


def number_of(key: str) -> int:
    """Return the key of a study as a number of 64 bits."""
    return int(key, 16)


def count_rows(folder: Path) -> dict[str, int]:
    """Count the rows of a table by their status."""
    table = open_table(folder)
    statuses = ("screened", "refused", "skipped", "failed")
    return {one: table.count_rows(filter=ds.field("status") == one) for one in statuses}
