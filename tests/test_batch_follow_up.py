"""Studies of one patient, linked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pydicom.dataset import Dataset

from made_results import made_refusal, made_result
from osteoscreen.batch.follow_up import COLUMNS, LEAST_SIGNIFICANT, follow_up
from osteoscreen.batch.record import record_of
from osteoscreen.dicom.acquisition import subject_of
from osteoscreen.summary import Row


def _row(subject: str | None, date: str | None, hu: float | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    row = {
        "subject": subject, "study": f"{subject}/{date}", "study_date": date, "attenuation_hu": hu,
        "manufacturer": "M", "model": "A", "kernel": "soft", "kvp": 120.0, "contrast": False,
        "levels": "L1 L2 L3",
    }  # fmt: skip
    return row | more


def _pairs(*rows: dict[str, Any]) -> pd.DataFrame:
    return follow_up(pd.DataFrame(list(rows), columns=list(COLUMNS)))


def test_a_fall_beyond_the_least_significant_change_is_significant() -> None:
    pairs = _pairs(_row("a", "20240101", 100.0), _row("a", "20220101", 130.0))
    (row,) = pairs.to_dict("records")
    assert row["study_before"] == "a/20220101"
    assert row["change_hu"] == -30
    assert_allclose(row["least_significant_hu"], 2.77 * 0.047 * 115)  # 15 HU
    assert_allclose(row["years"], 730 / 365.25)
    assert row["is_significant"]
    assert row["note"] == ""


def test_another_scanner_needs_a_larger_change() -> None:
    hu = (100.0, 100.0 * (1 + 0.052 * LEAST_SIGNIFICANT))
    same = _pairs(_row("a", "20220101", hu[0]), _row("a", "20240101", hu[1]))
    other = _pairs(_row("a", "20220101", hu[0]), _row("a", "20240101", hu[1], model="B"))
    assert same["is_significant"].tolist() == [True]
    assert other["is_significant"].tolist() == [False]


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"kvp": 100.0}, "not compared: the tube voltage differs"),
        ({"kvp": None}, "not compared: tube voltage unknown"),
        ({"contrast": True}, "not compared: the contrast agent differs"),
        ({"contrast": None}, "not compared: contrast agent unknown"),
        ({"levels": "L1 L2"}, "not compared: the set of vertebrae differs"),
        ({"levels": None}, "not compared: set of vertebrae unknown"),
    ],
)
def test_what_attenuation_depends_on_must_be_known_and_alike(
    more: dict[str, Any], note: str
) -> None:
    (row,) = _pairs(
        _row("a", "20220101", 200.0), _row("a", "20240101", 90.0, **more)
    ).to_dict("records")  # fmt: skip
    assert row["note"] == note
    assert np.isnan(row["least_significant_hu"])
    assert not row["is_significant"]


def test_each_study_is_compared_with_the_one_before_of_its_own_patient() -> None:
    pairs = _pairs(
        _row("a", "20200101", 150.0), _row("b", "20210101", 90.0), _row("a", "20240101", 149.0),
        _row("a", "20220101", 151.0), _row("c", "20210101", 90.0), _row("a", None, 10.0),
        _row("b", "20220101", None), _row(None, "20210101", 1.0), _row(None, "20220101", 2.0),
    )  # fmt: skip
    assert pairs["study"].tolist() == ["a/20220101", "a/20240101"]
    assert pairs["change_hu"].tolist() == [1.0, -2.0]


def test_two_series_of_one_study_are_no_pair() -> None:
    assert _pairs(_row("a", "20200101", 150.0), _row("a", "20200101", 140.0)).empty


def test_an_archive_of_one_patients_studies_is_one_key_and_has_pairs() -> None:
    dates = ("20200101", "20220101", "20240101")
    pairs = _pairs(*(_row("a", date, 150.0, study="zip") for date in dates))
    assert pairs["study_date_before"].tolist() == ["20200101", "20220101"]
    assert pairs["study_date"].tolist() == ["20220101", "20240101"]


def test_a_study_that_lies_in_two_places_is_no_pair() -> None:
    pairs = _pairs(
        _row("a", "20200101", 150.0, study="1"), _row("a", "20200101", 150.0, study="2"),
        _row("a", "20220101", 140.0, study="1"), _row("a", "20220101", 140.0, study="2"),
    )  # fmt: skip
    assert_allclose(pairs["years"], [731 / 365.25])


def test_a_change_of_little_attenuation_is_not_told_from_noise() -> None:
    low = _pairs(_row("a", "20220101", 12.0), _row("a", "20240101", 8.0))  # 2.77 x 4.7 % x 10 = 1.3
    below = _pairs(_row("a", "20220101", 60.0), _row("a", "20240101", 39.8))
    at = _pairs(_row("a", "20220101", 60.0), _row("a", "20240101", 40.0))
    assert low["note"].tolist() == below["note"].tolist() == ["not compared: attenuation too low"]
    assert not low["is_significant"].any()
    assert low["least_significant_hu"].isna().all()
    assert at["note"].tolist() == [""]
    assert_allclose(at["least_significant_hu"], 6.51, atol=0.005)
    assert at["is_significant"].all()


def test_a_row_names_the_vertebrae_that_its_attenuation_is_of() -> None:
    screened = Row("in", "1.2", "screened")
    assert record_of("0", screened, made_result(), flagged=False)["levels"] == "L1 L2"
    assert record_of("0", screened, made_refusal(), flagged=False)["levels"] is None


@pytest.mark.parametrize("date", ["10101", "20240231", ""])
def test_a_date_that_is_none_is_left_out(date: str) -> None:
    assert _pairs(_row("a", date, 150.0), _row("a", "20200101", 140.0)).empty


@pytest.mark.parametrize("date", ["00010101", "19000101", "19700101", "99991231", "20240231"])
def test_a_date_that_an_anonymiser_left_is_unknown(date: str) -> None:
    header = Dataset()
    header.StudyDate = "20240229"
    assert subject_of(header, b"").study_date == "20240229"
    header.StudyDate = date
    assert subject_of(header, b"").study_date is None
