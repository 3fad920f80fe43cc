"""A row of the table of a run: what came of one series, and whose and how it was scanned."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from osteoscreen.findings import BoneCondition, ScreeningResult
from osteoscreen.summary import Row

SCHEMA = pa.schema(
    [
        pa.field("study", pa.string(), nullable=False),
        pa.field("input", pa.string(), nullable=False),
        pa.field("series", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("condition", pa.string(), nullable=False),
        pa.field("normal_bone_mass", pa.float64()),
        pa.field("low_bone_mass", pa.float64()),
        pa.field("osteoporosis", pa.float64()),
        pa.field("slices", pa.int32()),
        pa.field("reservations", pa.string(), nullable=False),
        pa.field("code", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("folder", pa.string(), nullable=False),
        pa.field("is_flagged", pa.bool_(), nullable=False),
        pa.field("attenuation_hu", pa.float64()),
        pa.field("levels", pa.string()),
        pa.field("subject", pa.string()),
        pa.field("age", pa.int32()),
        pa.field("sex", pa.string()),
        pa.field("study_date", pa.string()),
        pa.field("manufacturer", pa.string()),
        pa.field("model", pa.string()),
        pa.field("kernel", pa.string()),
        pa.field("kvp", pa.float64()),
        pa.field("thickness_mm", pa.float64()),
        pa.field("contrast", pa.bool_()),
    ]
)
"""Columns of the table: those of ``summary.csv``, then those of ``result.json``. Times are not
among them, so that a run that was interrupted ends in the same table as one that was not."""


def is_flagged(result: ScreeningResult | None, sensitive_probability: float | None) -> bool:
    """Whether someone should look: osteoporosis is said, or likely enough not to be missed.

    Args:
        result: The result, if there is one.
        sensitive_probability: The bundle's operating point; ``None`` where it has none.
    """
    if result is None or result.probabilities is None:
        return False
    is_likely = (
        sensitive_probability is not None
        and result.probabilities.osteoporosis >= sensitive_probability
    )
    return result.condition is BoneCondition.OSTEOPOROSIS or is_likely


def record_of(
    study: str, row: Row, result: ScreeningResult | None, flagged: bool
) -> dict[str, Any]:
    """Return a row of the table.

    Args:
        study: Key of the study.
        row: Its row of the summary; the folder is below that of the study.
        result: What was found, if anything was.
        flagged: Whether someone should look.
    Returns: A value a column; ``attenuation_hu`` is the mean over the vertebrae in ``levels``.
    """
    record: dict[str, Any] = {"study": study, **asdict(row), "is_flagged": flagged}
    record["folder"] = f"{study}/{row.folder}" if row.folder else ""
    if result is not None:
        subject, acquisition = result.subject, result.acquisition
        record |= {
            "attenuation_hu": result.attenuation_hu,
            "levels": " ".join(_measured(result)) or None,
            "subject": subject.key,
            "age": subject.age,
            "sex": subject.sex,
            "study_date": subject.study_date,
            "manufacturer": acquisition.manufacturer,
            "model": acquisition.model,
            "kernel": acquisition.kernel,
            "kvp": acquisition.kvp,
            "thickness_mm": acquisition.thickness_mm,
            "contrast": acquisition.contrast,
        }
    return {name: record.get(name) for name in SCHEMA.names}


def _measured(result: ScreeningResult) -> list[str]:
    """Name the vertebrae that count and were measured, the upper first."""
    return [
        one.level
        for one in result.levels
        if one.left_out is None and one.attenuation_hu is not None
    ]
