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
}
"""What must be known and alike: attenuation depends on it more than on years of bone loss."""

COLUMNS = (
    "subject", "study", "study_date", "attenuation_hu", "manufacturer", "model", "kernel", "kvp",
    "contrast",
)  # fmt: skip
"""What is read of the table."""

DAYS_A_YEAR = 365.25


def follow_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare each study of a patient with the one before.

    Args:
        rows: Rows of the table, with ``COLUMNS``; those without patient, date (YYYYMMDD) or
            attenuation are left out. Of a study that has several, the first counts.
    Returns: A row a pair: ``subject``, ``study_before``, ``study``, ``years``,
        ``attenuation_before_hu``, ``attenuation_hu``, ``change_hu``, ``least_significant_hu``,
        ``is_significant``, and ``note``. Where the pair is not compared, the note says why, the
        limit is nan and ``is_significant`` is false.
    """
    import pandas as pd

    date = pd.to_datetime(rows["study_date"], format="%Y%m%d", errors="coerce")
    known = rows.assign(study_date=date)
    known = known.dropna(subset=["subject", "study_date", "attenuation_hu"])
    known = known.sort_values(["subject", "study_date", "study"], kind="stable")
    known = known.drop_duplicates(["subject", "study"])
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
    notes = _notes(pairs)
    limit = (LEAST_SIGNIFICANT * precision * mean.abs()).where(notes == "")
    return pd.DataFrame(
        {
            "subject": pairs["subject"],
            "study_before": pairs["study_before"],
            "study": pairs["study"],
            "years": days.dt.days / DAYS_A_YEAR,
            "attenuation_before_hu": pairs["attenuation_hu_before"],
            "attenuation_hu": pairs["attenuation_hu"],
            "change_hu": change,
            "least_significant_hu": limit,
            "is_significant": (change.abs() > limit).astype(bool),
            "note": notes,
        }
    )


def _notes(pairs: pd.DataFrame) -> pd.Series[str]:
    """Say why a pair is not compared; empty where it is."""
    import pandas as pd

    notes = pd.Series("", index=pairs.index, dtype=object)
    for column, name in NOT_COMPARED.items():
        now, before = pairs[column], pairs[f"{column}_before"]
        notes[(now != before) & (notes == "")] = f"not compared: the {name} differs"
        notes[now.isna() | before.isna()] = f"not compared: {name} unknown"
    return notes
