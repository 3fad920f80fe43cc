"""``summary.csv``: a row for each series and file, refused and skipped ones included."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

from osteoscreen.errors import InputError, RefusalCode

SUMMARY = "summary.csv"


@dataclass(frozen=True)
class Row:
    """One row of ``summary.csv``: a series that was screened, refused, skipped or failed."""

    input: str
    series: str
    status: Literal["screened", "refused", "skipped", "failed"]
    condition: str = ""
    normal_bone_mass: float | None = None
    low_bone_mass: float | None = None
    osteoporosis: float | None = None
    slices: int | None = None
    reservations: str = ""
    code: str = ""
    reason: str = ""
    folder: str = ""

    @property
    def is_without_result(self) -> bool:
        """Whether this should have been screened and was not."""
        return self.status in ("refused", "failed")

    def renamed(self, path: Path, address: str) -> Row:
        """Return the row with the address of its input for the path that it was fetched to."""
        reason = self.reason.replace(shown(path), shown(address))
        return replace(self, input=shown(address), reason=reason)


def write_summary(rows: Iterable[Row], path: Path) -> None:
    """Write the rows as CSV; the file is whole at any time."""
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    part.replace(path)


def shown(path: Path | str) -> str:
    """Write a path or an address so that any terminal and file can hold it."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def refused_row(source: Path | str, series: str, error: InputError) -> Row:
    """Return the row of an input, or of one series of it, that cannot be or was not screened.

    Args:
        source: What the user gave.
        series: Key of the series; empty for the whole input.
        error: Why.
    """
    at = error.source if error.source is not None else source
    reason = f"{shown(at)}: {error.reason}"
    status: Literal["refused", "failed"] = (
        "failed" if error.code is RefusalCode.FAILED else "refused"
    )
    return Row(shown(source), series, status, code=error.code, reason=reason)
