"""The result object cannot contradict itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from osteoscreen import texts
from osteoscreen.errors import GeometryError, InputError, OsteoscreenError, RefusalCode
from osteoscreen.findings import (
    CONDITIONS,
    SCHEMA,
    Abstention,
    BoneCondition,
    Certainty,
    Probabilities,
    Refusal,
    Reservation,
    ReservationCode,
    ScreeningResult,
)

GOOD: dict[str, Any] = {
    "status": "screened",
    "notice": texts.NOTICE,
    "condition": BoneCondition.LOW,
    "certainty": Certainty.CLEAR,
    "probabilities": Probabilities(normal_bone_mass=0.2, low_bone_mass=0.5, osteoporosis=0.3),
    "advice": "advice",
    "software": "osteoscreen",
}
DOUBT = Reservation(code=ReservationCode.DOUBTFUL, text="doubt")
REFUSED: dict[str, Any] = {
    "status": "refused",
    "notice": texts.NOTICE,
    "refusal": Refusal(code=RefusalCode.NO_LUMBAR, text="nothing was marked"),
    "software": "osteoscreen",
}


def test_a_result_goes_to_json_and_back() -> None:
    for fields in (GOOD, REFUSED):
        result = ScreeningResult(**fields)
        text = result.model_dump_json(by_alias=True)
        assert f'"schema":"{SCHEMA}"' in text
        assert ScreeningResult.model_validate_json(text) == result


@pytest.mark.parametrize(
    ("base", "change", "match"),
    [
        (GOOD, {"condition": BoneCondition.NORMAL}, "highest probability"),
        (GOOD, {"probabilities": None}, "needs probabilities"),
        (GOOD, {"advice": None}, "needs probabilities"),
        (GOOD, {"certainty": None}, "needs probabilities"),
        (GOOD, {"certainty": Certainty.DOUBTFUL}, "needs the reservation DOUBTFUL"),
        (GOOD, {"reservations": (DOUBT,)}, "needs the reservation DOUBTFUL"),
        (GOOD, {"condition": None}, "highest probability, or none"),
        (GOOD, {"certainty": Certainty.ABSTAINED, "condition": None}, "needs its reason"),
        (GOOD, {"abstention": Abstention.ANY_CLASS}, "needs its reason"),
        (GOOD, {"prediction_set": (BoneCondition.LOW, BoneCondition.NORMAL)}, "one class"),
        (REFUSED, {"certainty": Certainty.CLEAR}, "no condition or probability"),
        (GOOD, {"refusal": REFUSED["refusal"]}, "no refusal"),
        (GOOD, {"prediction_set": (BoneCondition.NORMAL,)}, "must hold the leading class"),
        (REFUSED, {"refusal": None}, "needs a refusal"),
        (REFUSED, {"probabilities": GOOD["probabilities"]}, "no condition or probability"),
        (REFUSED, {"condition": BoneCondition.LOW}, "no condition or probability"),
        (REFUSED, {"advice": "advice"}, "no condition or probability"),
        (GOOD, {"unknown": 1}, "Extra inputs"),
        (GOOD, {"notice": ""}, "at least 1 character"),
    ],
)
def test_a_result_that_contradicts_itself_cannot_be_built(
    base: dict[str, Any], change: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValidationError, match=match):
        ScreeningResult(**(base | change))


@given(st.tuples(*[st.floats(0, 1) for _ in CONDITIONS]))
def test_probabilities_that_do_not_sum_to_1_cannot_be_built(values: tuple[float, ...]) -> None:
    fields = dict(zip(CONDITIONS, values))
    if abs(sum(values) - 1) > 1e-6:
        with pytest.raises(ValidationError, match="sum to 1"):
            Probabilities(**fields)
    else:
        assert Probabilities(**fields).as_tuple() == values


def test_labels_are_those_of_the_paper() -> None:
    assert [texts.LABELS[condition] for condition in CONDITIONS] == [
        "Normal bone mass", "Low bone mass", "Osteoporosis"
    ]  # fmt: skip


def test_a_geometry_error_is_an_input_error_that_names_its_source(tmp_path: Path) -> None:
    error = GeometryError(RefusalCode.NO_SPACING, "spacing is needed", tmp_path)
    assert isinstance(error, InputError)
    assert isinstance(error, OsteoscreenError)
    assert str(error) == f"{tmp_path}: spacing is needed"
    assert error.reason == "spacing is needed"
