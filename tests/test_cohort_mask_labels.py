"""The grammar of mask_labels: old and new forms, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteoscreen.cohort.mask_labels import (
    MaskLabel,
    Part,
    format_mask_labels,
    parse_mask_labels,
)

LEVELS = [None, "C1", "T1", "T10", "T13", "L1", "L6", "S1"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", ()),
        ("body=1;rest=2", (MaskLabel(1, Part.BODY), MaskLabel(2, Part.REST))),
        (" vertebra = 7 ;", (MaskLabel(7, Part.VERTEBRA),)),
        ("body=1;body=3", (MaskLabel(1, Part.BODY), MaskLabel(3, Part.BODY))),
        ("T12.body=1;L1.rest=2", (MaskLabel(1, Part.BODY, "T12"), MaskLabel(2, Part.REST, "L1"))),
        ("L3.body=9;vertebra=1", (MaskLabel(9, Part.BODY, "L3"), MaskLabel(1, Part.VERTEBRA))),
    ],
)
def test_pairs_are_read_in_their_order(text: str, labels: tuple[MaskLabel, ...]) -> None:
    assert parse_mask_labels(text) == labels


@given(
    st.lists(
        st.builds(MaskLabel, st.integers(1, 255), st.sampled_from(Part), st.sampled_from(LEVELS)),
        unique_by=lambda label: label.value,
    )
)
def test_what_is_written_is_read_back(labels: list[MaskLabel]) -> None:
    assert parse_mask_labels(format_mask_labels(labels)) == tuple(labels)


@pytest.mark.parametrize(
    "text", ["body", "body=", "=1", "body=one", "L7.body=1", "T14.body=1", "canal=3", "L3=1",
             "body.L3=1", "body=1,3", "body=1 rest=2", "body=-1"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"needs pairs such as body=1;rest=2 .* L3\.body=1, got"):
        parse_mask_labels(text)


@pytest.mark.parametrize("text", ["body=0", "body=1;rest=256", "body=00000"])
def test_values_are_those_of_a_byte_without_the_background(text: str) -> None:
    with pytest.raises(ValueError, match="values must be 1 to 255, 0 is the background"):
        parse_mask_labels(text)


def test_a_value_stands_once() -> None:
    with pytest.raises(ValueError, match="a value can mean one thing only"):
        parse_mask_labels("L1.body=1;L2.body=1")
