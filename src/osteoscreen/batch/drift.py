"""Drift: the median of each month against that of all other months, with limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from osteoscreen.report.cohort_charts import Drift

if TYPE_CHECKING:
    from osteoscreen.report.charts import FloatArray

FEWEST = 5
"""Patients, told apart by their IDs, that a median on the page stands for at least."""

SIGMAS = 3.0
"""Limits of a control chart (ISO 7870-2, Shewhart charts)."""

MEDIAN_TO_MEAN = 1.2533
"""Standard error of a median in those of a mean, for a normal distribution: the square root of
pi / 2."""

MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution in its median absolute deviation."""


def drift_of(
    study_date: pd.Series[str], subject: pd.Series[str], attenuation_hu: pd.Series[float]
) -> Drift | None:
    """Return the control chart of a value by month, each month against all others.

    Args:
        study_date: YYYYMMDD of each study; what is no date is left out.
        subject: Its patient, whose values of one month count as their median; missing is left out.
        attenuation_hu: Its attenuation.
    Returns: The chart, from the first month with ``FEWEST`` patients to the last; values and limits
        of months with fewer are nan. ``None`` where no two months have patients enough.
    """
    date = pd.to_datetime(study_date.astype(object), format="%Y%m%d", errors="coerce")
    month = date.dt.to_period("M").rename("month")
    by_patient = attenuation_hu.groupby([month, subject.astype(object)]).median()
    groups = by_patient.groupby("month")
    months = groups.median()[groups.count() >= FEWEST]
    if len(months) < 2:
        return None
    within = (by_patient - groups.transform("median")).abs()[groups.transform("count") >= FEWEST]
    is_free = within.groupby("month").rank(method="first") > 1  # a median fixes one: its own
    spread = MAD_TO_SD * float(within[is_free].median())
    of = by_patient.index.get_level_values("month")
    centre = pd.Series({one: by_patient[of != one].median() for one in months.index})
    size = groups.count()[months.index]
    error = MEDIAN_TO_MEAN * spread * np.sqrt(1 / size + 1 / (len(by_patient) - size))
    shown = pd.period_range(months.index[0], months.index[-1], freq="M")

    def along(values: pd.Series[float]) -> FloatArray:
        found: FloatArray = values.reindex(shown).to_numpy(float)
        return found

    return Drift(
        months=[str(one) for one in shown],
        value=along(months),
        centre=along(centre),
        low=along(centre - SIGMAS * error),
        high=along(centre + SIGMAS * error),
    )
