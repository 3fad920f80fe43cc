"""The control chart of a scanner by month."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from osteoscreen.batch.drift import drift_of
from osteoscreen.report.cohort_charts import Drift, drift_figure, png_of


def _drift(values: dict[str, list[float]]) -> Drift | None:
    """The chart of the values of each month, every one of another patient."""
    each = [(month + "05", hu) for month, group in values.items() for hu in group]
    patient = pd.Series([f"p{place}" for place in range(len(each))])
    return drift_of(pd.Series([day for day, _ in each]), patient, pd.Series([hu for _, hu in each]))


def test_a_month_off_the_others_lies_outside_its_limits() -> None:
    rng = np.random.default_rng(4)
    values = {f"2024{one:02}": rng.normal(150, 20, 100).tolist() for one in range(1, 9)}
    drift = _drift(values)
    assert drift is not None
    assert ((drift.low < drift.value) & (drift.value < drift.high)).all()
    drift = _drift(values | {"202405": [hu + 12 for hu in values["202405"]]})
    assert drift is not None
    is_outside = (drift.value < drift.low) | (drift.value > drift.high)
    assert [name for name, is_so in zip(drift.months, is_outside) if is_so] == ["2024-05"]
    error = 1.2533 * 20 * (1 / 100 + 1 / 700) ** 0.5
    assert_allclose((drift.high - drift.low) / 2, 3 * error, rtol=0.1)  # MAD of 800 values
    assert png_of(drift_figure(drift, y="HU")).startswith(b"\x89PNG")


def test_each_month_is_set_against_all_others_with_a_spread_that_outliers_leave_alone() -> None:
    drift = _drift({
        "202401": [98, 99, 100, 101, 102],
        "202402": [108, 109, 110, 111, 900],  # deviations 1, 1, 2, 790; and its median's
        "202404": [103, 104, 105, 106, 107],
        "202405": [300],
    })  # fmt: skip
    assert drift is not None
    assert drift.months == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert_allclose(drift.value, [100, 110, np.nan, 105])
    # medians of the eleven values of the other months
    assert_allclose(drift.centre, [108, 103, np.nan, 108])
    error = 1.2533 * 1.4826 * 1.5 * (1 / 5 + 1 / 11) ** 0.5  # six deviations are 1, five are 2
    assert_allclose(drift.high, drift.centre + 3 * error)
    assert_allclose(drift.low, drift.centre - 3 * error)
    assert png_of(drift_figure(drift, y="HU")).startswith(b"\x89PNG")


def test_a_steady_scanner_of_few_patients_is_seldom_outside() -> None:
    rng = np.random.default_rng(5)
    outside = 0
    for _ in range(60):  # of 720 months of a normal distribution 2 are outside 3 sigma
        months = {f"2024{one:02}": rng.normal(150, 20, 5).tolist() for one in range(1, 13)}
        drift = _drift(months)
        assert drift is not None
        outside += int(((drift.value < drift.low) | (drift.value > drift.high)).sum())
    assert outside <= 8  # 22 where the spread is not freed of the medians' own deviations


@pytest.mark.parametrize("second", [[], [150.0] * 4])
def test_no_drift_is_told_of_fewer_than_two_months(second: list[float]) -> None:
    assert _drift({"202401": [150.0] * 20, "202402": second}) is None


def test_a_patient_counts_once_a_month() -> None:
    date = pd.Series(["20240105"] * 20 + ["20240205"] * 20)
    values = pd.Series(np.full(40, 150.0))
    patient = pd.Series([f"p{place % 4}" for place in range(40)])
    assert drift_of(date, patient, values) is None
    assert drift_of(date, patient.where(patient != "p3"), values) is None
    assert drift_of(date, pd.Series([f"p{place % 5}" for place in range(40)]), values) is not None
