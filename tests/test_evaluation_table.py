"""Tables: what is read, and what is stored with all its digits."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from osteoscreen.evaluation.table import Table, as_text, interval_text

TABLE = Table(
    "table_9",
    "Nine",
    ("name", "count", "share", "why"),
    (("a", 1234, 0.123456, None), ("b", 0, 1.0, "undefined: no osteoporosis case")),
    digits=3,
)


def test_cells_are_what_a_reader_needs() -> None:
    assert TABLE.cells() == [
        ["a", "1,234", "0.123", ""],
        ["b", "0", "1.000", "undefined: no osteoporosis case"],
    ]


def test_the_file_keeps_every_digit(tmp_path: Path) -> None:
    path = TABLE.write_csv(tmp_path)
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert path.name == "table_9.csv"
    assert rows[0] == list(TABLE.columns)
    assert float(rows[1][2]) == pytest.approx(0.123456, abs=0)
    assert rows[1][3] == ""
    assert rows[2][3] == "undefined: no osteoporosis case"


def test_a_row_that_does_not_fit_the_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="rows of 2 entries, got 1"):
        Table("t", "T", ("a", "b"), (("only",),))


def test_an_interval_is_told_or_why_there_is_none() -> None:
    assert interval_text((0.25, 0.5)) == "0.250 to 0.500"
    assert interval_text("undefined: no osteoporosis case") == "undefined: no osteoporosis case"
    assert as_text(2) == "2"
