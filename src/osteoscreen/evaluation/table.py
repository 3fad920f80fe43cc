"""A table of figures: shown on a page, written as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Figure = float | int | str | None
"""A number, a text (also one that says why a figure is undefined), or nothing."""


@dataclass(frozen=True)
class Table:
    """A table of an evaluation.

    Args:
        name: File name without its ending, such as ``"table_3"``.
        title: What it shows.
        columns: Headings; the first one is that of the rows' names.
        rows: As many entries each as there are columns.
        note: What a reader must know of it; may be empty.
        digits: Decimals of its fractions on a page.
    Raises: ValueError if a row has more or fewer entries than there are columns.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Figure, ...], ...]
    note: str = ""
    digits: int = 4

    def __post_init__(self) -> None:
        if wrong := [row for row in self.rows if len(row) != len(self.columns)]:
            raise ValueError(
                f"{self.name} needs rows of {len(self.columns)} entries, got {len(wrong[0])}"
            )

    def cells(self) -> list[list[str]]:
        """Return the rows as they are read."""
        return [[as_text(one, self.digits) for one in row] for row in self.rows]

    def write_csv(self, folder: Path) -> Path:
        """Write the table with all its digits.

        Args:
            folder: Where; the file has the name of the table.
        """
        path = folder / f"{self.name}.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(self.columns)
            writer.writerows(["" if one is None else one for one in row] for row in self.rows)
        return path


def as_text(figure: Figure, digits: int = 3) -> str:
    """Return a figure as it is read: a fraction with its decimals, thousands apart.

    Args:
        figure: A number, a text or nothing.
        digits: Decimals of a fraction.
    """
    if figure is None:
        return ""
    if isinstance(figure, str):
        return figure
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.{digits}f}"


def interval_text(interval: Sequence[float] | str, digits: int = 3) -> str:
    """Return an interval as it is read, or why there is none."""
    if isinstance(interval, str):
        return interval
    low, high = interval
    return f"{low:.{digits}f} to {high:.{digits}f}"
