"""The report of a run, from the table alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from osteoscreen import texts
from osteoscreen.batch.cohort_report import (
    FOLLOW_UP,
    REPORT,
    write_cohort_report,
)
from osteoscreen.batch.record import record_of
from osteoscreen.batch.table import TableWriter
from osteoscreen.summary import Row

SCREENED = Row("in", "1.2", "screened", "normal_bone_mass", 0.7, 0.2, 0.1)
REFUSED = Row("in", "1.2", "refused", code="NO_LUMBAR", reason="none")


def _record(number: int, row: Row = SCREENED, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    rest = {
        "attenuation_hu": 150.0 + number % 7, "age": 65, "sex": "F", "study_date": "20240105",
        "subject": f"p{number}", "manufacturer": "MAKER", "model": "A", "kernel": "soft",
        "kvp": 120.0, "contrast": False, "levels": "L1 L2",
    }  # fmt: skip
    record = record_of(f"{number:016x}", row, None, flagged=False)
    return record | (rest if row.status == "screened" else {}) | more


def _page(folder: Path, *records: dict[str, Any]) -> str:
    with TableWriter(folder / "table") as writer:
        for record in records:
            writer.add([record])
    write_cohort_report(folder / "table", folder, texts.NOTICE)
    return (folder / REPORT).read_text(encoding="utf-8")


def _cells(page: str, first: str) -> list[str]:
    """The cells of the line that begins so."""
    row = re.search(rf"<tr><th scope=\"row\">{re.escape(first)}</th>(.*?)</tr>", page)
    assert row is not None, first
    return re.findall(r"<td[^>]*>(.*?)</td>", row[1])


def test_counts_and_refusals_are_those_of_the_table(tmp_path: Path) -> None:
    page = _page(
        tmp_path,
        *(_record(number) for number in range(6)),
        _record(6, replace(SCREENED, condition="osteoporosis"), is_flagged=True, sex="M"),
        _record(7, replace(SCREENED, condition="")),
        *(_record(number, REFUSED) for number in (8, 9)),
        _record(10, replace(REFUSED, status="failed", code="FAILED")),
        _record(11, replace(REFUSED, status="skipped")),
    )
    assert _cells(page, "Series screened") == ["8", ""]
    assert _cells(page, "Normal bone mass") == ["6", "75.0%"]
    assert _cells(page, "Osteoporosis") == ["1", "12.5%"]
    assert _cells(page, "No statement") == ["1", "12.5%"]
    assert _cells(page, "NO_LUMBAR") == ["2"]
    assert _cells(page, "FAILED") == ["1"]
    assert _cells(page, "60 to 69") == ["7", "152", "150 to 154", "", "", ""]  # one man: no group
    assert texts.NOTICE in page


def test_the_flagged_are_listed_the_likeliest_first(tmp_path: Path) -> None:
    page = _page(
        tmp_path,
        _record(1, is_flagged=True, osteoporosis=0.4),
        _record(2, is_flagged=True, osteoporosis=0.8),
        _record(3, osteoporosis=0.9),
        _record(4, is_flagged=True, osteoporosis=0.6),
    )
    found = [int(key, 16) for key in re.findall(r"<th scope=\"row\">([0-9a-f]{16})</th>", page)]
    assert found == [2, 4, 1]


def test_the_same_table_gives_the_same_page(tmp_path: Path) -> None:
    records = [_record(n, study_date=f"2024{n % 3 + 1:02}05", model="AB"[n % 2]) for n in range(60)]
    assert _page(tmp_path / "a", *records) == _page(tmp_path / "b", *records)


def test_what_a_header_tells_is_text_on_the_page(tmp_path: Path) -> None:
    assert "<script>" not in _page(tmp_path, _record(1, model="<script>", is_flagged=True))


def test_pairs_of_studies_are_written_beside_the_page(tmp_path: Path) -> None:
    page = _page(
        tmp_path,
        _record(1, subject="p", attenuation_hu=180.0, study_date="20200101"),
        _record(2, subject="p", attenuation_hu=120.0, study_date="20240101"),
    )
    assert _cells(page, "p") == ["4.0", "180", "120", "-60", "20", "significant"]
    assert len(pd.read_parquet(tmp_path / FOLLOW_UP)) == 1


def test_a_table_of_refusals_only_has_a_page(tmp_path: Path) -> None:
    page = _page(tmp_path, _record(1, REFUSED))
    assert _cells(page, "Studies without a result") == ["1", ""]


def test_a_median_stands_for_patients_not_for_their_series(tmp_path: Path) -> None:
    page = _page(tmp_path, *(_record(n, subject=f"p{n % 4}") for n in range(20)))
    assert page.count("<p>None.</p>") == 6  # as of none: refusals, ages, scanners, months, flagged


@pytest.mark.parametrize("more", [{"kvp": 80.0}, {"contrast": True}])
def test_drift_is_of_one_voltage_without_contrast(tmp_path: Path, more: dict[str, Any]) -> None:
    months = ("20240105", "20240205")
    records = [_record(n, study_date=months[n % 2], contrast=None) for n in range(12)]
    page = _page(tmp_path / "one", *records)
    assert "Series at 120 kV" in page
    others = [_record(n, study_date=months[1], **more) for n in range(12, 18)]
    january = [record | {"study_date": months[0]} for record in records]
    assert "No two months have 5 patients" in _page(tmp_path / "other", *january, *others)


def test_a_kept_result_is_a_link_from_the_list(tmp_path: Path) -> None:
    kept = replace(SCREENED, folder="series 1")
    page = _page(tmp_path, _record(1, kept, is_flagged=True), _record(2, is_flagged=True))
    assert (
        _cells(page, f"{1:016x}")[-1]
        == f'<a href="results/{1:016x}/series%201/report.html">report</a>'
    )
    assert _cells(page, f"{2:016x}")[-1] == "not kept"


def test_what_there_is_none_of_is_said(tmp_path: Path) -> None:
    page = _page(tmp_path, _record(1))
    assert page.count("<p>None.</p>") == 6  # refusals, ages, scanners, months, flagged, pairs
    assert "No two months have 5 patients." in page
