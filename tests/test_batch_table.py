"""The table of a run: parts that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from osteoscreen.batch import table
from osteoscreen.batch.record import record_of
from osteoscreen.batch.table import (
    TableWriter,
    count_rows,
    finished_studies,
    number_of,
    open_table,
)
from osteoscreen.errors import BatchError
from osteoscreen.summary import Row

Status = Literal["screened", "refused", "skipped", "failed"]


def _records(key: str, *statuses: Status) -> list[dict[str, Any]]:
    return [record_of(key, Row("in", "1.2", status), None, flagged=False) for status in statuses]


def _write(folder: Path, *studies: list[dict[str, Any]]) -> None:
    with TableWriter(folder) as writer:
        for study in studies:
            writer.add(study)


def test_what_was_added_is_read_back_by_outcome(tmp_path: Path) -> None:
    _write(tmp_path, _records("a" * 16, "refused"), _records("f" * 16, "skipped", "screened"))
    _write(tmp_path, _records("1" * 16, "failed"))
    rows = open_table(tmp_path).to_table().to_pylist()
    found = {(row["study"][0], row["status"], row["outcome"]) for row in rows}
    assert found == {
        ("a", "refused", "refused"), ("1", "failed", "refused"),
        ("f", "skipped", "screened"), ("f", "screened", "screened"),
    }  # fmt: skip
    assert count_rows(tmp_path) == {"screened": 1, "refused": 1, "skipped": 1, "failed": 1}


def test_finished_studies_are_those_in_the_table(tmp_path: Path) -> None:
    assert len(finished_studies(tmp_path)) == 0
    keys = ["f" * 16, "0" * 15 + "1", "8" + "0" * 15]
    _write(tmp_path, *(_records(key, "screened", "skipped") for key in keys))
    expected = np.array(sorted(map(number_of, keys)), np.uint64)
    np.testing.assert_array_equal(finished_studies(tmp_path), expected)


def test_a_part_is_written_as_soon_as_it_is_large_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "STUDIES_A_PART", 2)
    writer = TableWriter(tmp_path)
    for number in range(5):
        writer.add(_records(f"{number:016x}", "screened"))
    assert len(finished_studies(tmp_path)) == 4


def test_a_part_that_was_not_finished_is_no_part_and_goes(tmp_path: Path) -> None:
    _write(tmp_path, _records("a" * 16, "screened"))
    half = tmp_path / "outcome=screened" / "00000002.part"
    half.write_text("half")
    assert len(finished_studies(tmp_path)) == 1
    _write(tmp_path, _records("b" * 16, "screened"))
    assert not half.exists()
    assert len(finished_studies(tmp_path)) == 2


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 of half a part"])
def test_a_part_that_cannot_be_read_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    _write(tmp_path, _records("a" * 16, "screened"))
    damaged = tmp_path / "outcome=screened" / "00000002.parquet"
    damaged.write_bytes(content)
    with pytest.raises(BatchError) as raised:
        finished_studies(tmp_path)
    assert str(raised.value).startswith(f"{damaged}: a part of a table must be whole")
    assert "\n" not in str(raised.value)


def test_a_part_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[tuple[str, str]] = []
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        order.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        sync(descriptor)

    def renamed(path: Path, to: Path) -> Path:
        order.append(("rename", path.name))
        return replace(path, to)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    _write(tmp_path, _records("a" * 16, "screened"))
    part = "00000001.parquet.part"
    assert order == [("sync", part), ("rename", part), ("sync", "outcome=screened")]
