"""Studies of one patient, linked: the change of attenuation against what precision allows to see.

A change is told from chance where it exceeds the least significant change, 2.77 times the precision
error (ISCD official positions 2019, precision assessment: 95 % confidence, two measurements).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LEAST_SIGNIFICANT = 2.77
"""1.96 x the square root of 2."""

SAME_SCANNER_CV = 0.047
OTHER_SCANNER_CV = 0.059
"""Root mean square coefficients of variation of another session, and where session, scanner, phase
and kernel all differ."""
SOURCE = "Eur Radiol Exp 2024, doi 10.1186/s41747-024-00483-9"
HOLDS_FOR = (
    "bone density by another program (SpineQ), calibrated for its scanners: the precision of this "
    "one's attenuation is not known, and may be worse"
)

NOT_COMPARED = {
    "kvp": "tube voltage",
    "contrast": "contrast agent",
    "levels": "set of vertebrae",
}
"""What must be known and alike: attenuation depends on it more than on years of bone loss."""

LOWEST_HU = 50.0
"""Least mean of a pair that is compared. The error of a CT number does not fall with it: that of
water, to which a scanner is calibrated, may be 4 HU by the usual acceptance limit. Here the least
significant change on one scanner is 2.77 x 4.7 % x 50 HU = 6.5 HU; below, a relative error would
call smaller and smaller changes significant."""
TOO_LOW = "not compared: attenuation too low"

COLUMNS = (
    "subject", "study", "study_date", "attenuation_hu", "levels", "manufacturer", "model", "kernel",
    "kvp", "contrast",
)  # fmt: skip
"""What is read of the table."""

DAYS_A_YEAR = 365.25


def follow_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare a patient's attenuation on each day with that on the day before it that has one.

    Args:
        rows: Rows of the table, with ``COLUMNS``; those without patient, date (YYYYMMDD) or
            attenuation are left out. Of a day that has several the first counts, whether they are
            of one study or not: a key of a study is that of a place, which may hold several
            studies, and a study may lie in several places.
    Returns: A row a pair: ``subject``, ``study_before``, ``study``, ``study_date_before``,
        ``study_date``, ``years``, ``attenuation_before_hu``, ``attenuation_hu``, ``change_hu``,
        ``least_significant_hu``, ``is_significant``, and ``note``. Where the pair is not compared,
        the note says why, the limit is nan and ``is_significant`` is false.
    """
    import pandas as pd

    date = pd.to_datetime(rows["study_date"], format="%Y%m%d", errors="coerce")
    known = rows.assign(study_date=date)
    known = known.dropna(subset=["subject", "study_date", "attenuation_hu"])
    known = known.sort_values(["subject", "study_date", "study"], kind="stable")
    known = known.drop_duplicates(["subject", "study_date"])
    before = known.groupby("subject", observed=True).shift(1)
    pairs = known.assign(**{f"{name}_before": before[name] for name in before})
    pairs = pairs[pairs["study_before"].notna()].reset_index(drop=True)
    days = pairs["study_date"] - pairs["study_date_before"]
    change = pairs["attenuation_hu"] - pairs["attenuation_hu_before"]
    is_same = np.logical_and.reduce(
        [pairs[name] == pairs[f"{name}_before"] for name in ("manufacturer", "model", "kernel")]
    )
    precision = np.where(is_same, SAME_SCANNER_CV, OTHER_SCANNER_CV)
    mean = (pairs["attenuation_hu"] + pairs["attenuation_hu_before"]) / 2
    notes = _notes(pairs, mean)
    limit = (LEAST_SIGNIFICANT * precision * mean).where(notes == "")
    return pd.DataFrame(
        {
            "subject": pairs["subject"],
            "study_before": pairs["study_before"],
            "study": pairs["study"],
            "study_date_before": pairs["study_date_before"].dt.strftime("%Y%m%d"),
            "study_date": pairs["study_date"].dt.strftime("%Y%m%d"),
            "years": days.dt.days / DAYS_A_YEAR,
            "attenuation_before_hu": pairs["attenuation_hu_before"],
            "attenuation_hu": pairs["attenuation_hu"],
            "change_hu": change,
            "least_significant_hu": limit,
            "is_significant": (change.abs() > limit).astype(bool),
            "note": notes,
        }
    )


def _notes(pairs: pd.DataFrame, mean_hu: pd.Series[float]) -> pd.Series[str]:
    """Say why a pair is not compared; empty where it is."""
    import pandas as pd

    notes = pd.Series("", index=pairs.index, dtype=object)
    for column, name in NOT_COMPARED.items():
        now, before = pairs[column], pairs[f"{column}_before"]
        notes[(now != before) & (notes == "")] = f"not compared: the {name} differs"
        notes[now.isna() | before.isna()] = f"not compared: {name} unknown"
    notes[(mean_hu < LOWEST_HU) & (notes == "")] = TOO_LOW
    return notes
