"""Rows of the table of a run."""

from __future__ import annotations

import pytest

from made_results import made_refusal, made_result, shares
from osteoscreen.batch.record import SCHEMA, is_flagged, record_of
from osteoscreen.findings import BoneCondition
from osteoscreen.summary import Row


@pytest.mark.parametrize(
    ("condition", "osteoporosis", "point", "is_expected"),
    [
        (BoneCondition.OSTEOPOROSIS, 0.5, None, True),
        (BoneCondition.LOW, 0.25, 0.25, True),
        (BoneCondition.LOW, 0.25, 0.2501, False),
        (BoneCondition.LOW, 0.25, None, False),
    ],
)
def test_a_study_is_flagged_by_its_class_or_from_the_sensitive_point_on(
    condition: BoneCondition, osteoporosis: float, point: float | None, is_expected: bool
) -> None:
    probabilities = shares(0.5 - osteoporosis / 2, 0.5 - osteoporosis / 2, osteoporosis)
    result = made_result(condition=condition, probabilities=probabilities)
    assert is_flagged(result, point) is is_expected


def test_what_has_no_probabilities_is_not_flagged() -> None:
    assert not is_flagged(None, 0.0)
    assert not is_flagged(made_refusal(), 0.0)


def test_a_row_names_the_vertebrae_that_count_and_its_folder_below_the_study() -> None:
    row = Row("in", "1.2", "screened", folder="series-0")
    record = record_of("0" * 16, row, made_result(), flagged=True)
    assert list(record) == SCHEMA.names
    assert record["folder"] == f"{'0' * 16}/series-0"
    assert record["levels"] == "L1 L2"  # L3 is cut off
    assert (record["attenuation_hu"], record["age"], record["is_flagged"]) == (118.25, 61, True)


def test_a_row_without_a_result_tells_nothing_of_whose_it_is() -> None:
    record = record_of("0" * 16, Row("in", "", "refused", code="NO_INPUT"), None, flagged=False)
    assert list(record) == SCHEMA.names
    assert record["folder"] == ""
    named = ("attenuation_hu", "levels", "subject", "age", "sex", "study_date", "manufacturer")
    assert [record[name] for name in named] == [None] * len(named)
