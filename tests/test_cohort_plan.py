"""Plans: impossible ones are refused, splits follow Table 2, scanners take turns."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from osteoscreen.cohort.manifest import Split
from osteoscreen.cohort.plan import (
    PAPER_CASES,
    CohortPlan,
    Preset,
    split_of,
)
from osteoscreen.errors import CohortError
from osteoscreen.phantom.fleet import PAPER_SCANNERS, SCANNERS

ONE = CohortPlan(Preset.COHORT, cases=1, seed=5, slices=1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cases": 0}, "the number of cases must be 1 or more, got 0"),
        ({"cases": 1_000_001}, "the number of cases must be 1,000,000 or less, got 1,000,001"),
        ({"seed": -1}, "the seed must be 0 to 4294967295, got -1"),
        ({"seed": 2**32}, "the seed must be 0 to 4294967295, got 4294967296"),
        ({"is_series": True}, "as many slices as its thickness gives, got 1 slices"),
        ({"slices": 0}, "the number of slices must be 1 or more, got 0"),
        ({"thickness_mm": 0.0}, "slice thickness must be 0.4 to 10 mm, got 0 mm"),
        ({"thickness_mm": -3.0}, "got -3 mm"),
        ({"thickness_mm": float("nan")}, "got nan mm"),
        ({"field_of_view_mm": 119.9}, "field of view must be 120 to 500 mm, got 119.9 mm"),
        ({"field_of_view_mm": 501.0}, "got 501 mm"),
        ({"age": -1}, "age must be 22 to 92 years, got -1"),
        ({"scanner": "abacus"}, "the scanner must be one of ingenuity-ct, .*, got 'abacus'"),
        ({"preset": Preset.PAPER, "cases": 214}, "has 213 patients, got 214 cases"),
        ({"preset": Preset.PAPER, "scanner": "ingenuity-ct"}, "the paper's three scanners"),
        ({"preset": Preset.PAPER, "slices": None, "is_series": True}, "got a series"),
        ({"preset": Preset.PAPER, "shares": (1, 1, 1, 1)}, "the split of its Table 2"),
        ({"shares": (0, 0, 0, 0)}, "not all 0"),
        ({"shares": (1, -1, 1, 1)}, "must be 0 or more"),
        ({"preset": Preset.PAPER, "age": 60}, "patients of every age, got 60 years"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(CohortError, match=reason) as caught:
        replace(ONE, **changes)
    assert "\n" not in str(caught.value)


def test_settings_at_the_limits_are_possible() -> None:
    replace(ONE, thickness_mm=0.4, field_of_view_mm=120, scanner="brilliance-16")
    replace(ONE, thickness_mm=10, field_of_view_mm=500)
    replace(ONE, preset=Preset.PAPER, cases=PAPER_CASES)
    replace(ONE, seed=0, age=22)
    replace(ONE, seed=2**32 - 1, age=92)
    replace(ONE, slices=None, is_series=True)


def test_the_longest_identifier_fits_a_header() -> None:
    # PS3.5 section 6.2: a long string has 64 characters; the name adds a word.
    name = replace(ONE, seed=2**32 - 1, age=92).patient_name(999_999)
    assert len(f"{name}^SYNTHETIC") <= 64


def test_slices_that_are_not_asked_for_are_the_presets() -> None:
    assert CohortPlan(Preset.COHORT, cases=1, seed=5).slices_each == 4
    paper = CohortPlan(Preset.PAPER, cases=1, seed=5)
    assert paper.slices_each == 12
    assert paper.makes() == replace(paper, slices=12).makes()


def test_every_split_holds_the_classes_alike() -> None:
    for preset, size in ((Preset.COHORT, 60), (Preset.RANDOMISED, 60), (Preset.PAPER, 213)):
        counts = Counter((split_of(preset, number), number % 3) for number in range(size))
        for split in Split:
            assert len({counts[split, index] for index in range(3)}) == 1
    shares = Counter(split_of(Preset.COHORT, number) for number in range(300))
    assert shares == {
        Split.TRAIN: 180, Split.VALIDATION: 30, Split.CALIBRATION: 30, Split.TEST: 60
    }  # fmt: skip


def test_shares_that_are_asked_for_are_kept() -> None:
    counts = Counter(split_of(Preset.COHORT, number, (3, 1, 3, 3)) for number in range(6_690))
    assert counts == {
        Split.TRAIN: 2007, Split.VALIDATION: 669, Split.CALIBRATION: 2007, Split.TEST: 2007
    }  # fmt: skip
    assert {split_of(Preset.COHORT, number, (0, 0, 0, 1)) for number in range(30)} == {Split.TEST}


def test_the_paper_preset_has_the_numbers_of_table_2() -> None:
    counts = Counter((split_of(Preset.PAPER, number), number % 3) for number in range(PAPER_CASES))
    assert PAPER_CASES == 213
    assert counts == {
        (split, index): size
        for split, size in ((Split.TRAIN, 50), (Split.TEST, 21))
        for index in range(3)
    }


def test_fewer_patients_of_the_paper_have_its_proportions() -> None:
    for turns in range(1, 72):
        tested = sum(split_of(Preset.PAPER, 3 * turn) is Split.TEST for turn in range(turns))
        assert abs(tested - turns * 21 / 71) < 1


def test_the_scanner_of_a_paper_patient_tells_neither_class_nor_split() -> None:
    plan = CohortPlan(Preset.PAPER, cases=PAPER_CASES, seed=1)
    seen = Counter((plan.scanner_of(number), number % 3) for number in range(PAPER_CASES))
    assert {scanner for scanner, _ in seen} == set(PAPER_SCANNERS) <= SCANNERS.keys()
    assert set(seen.values()) == {23, 24}
    tested = Counter(
        plan.scanner_of(number)
        for number in range(PAPER_CASES)
        if split_of(Preset.PAPER, number) is Split.TEST
    )
    assert set(tested.values()) == {21}


def test_a_wanted_scanner_is_everybodys() -> None:
    plan = replace(ONE, scanner="ge")
    assert {plan.scanner_of(number) for number in range(9)} == {"ge"}
    assert ONE.scanner_of(0) is None


def test_a_patient_depends_on_everything_but_the_number_of_cases() -> None:
    assert ONE.makes() == replace(ONE, cases=9).makes()
    for changes in ({"seed": 6}, {"slices": 2}, {"slices": None, "is_series": True},
                    {"scanner": "ge"}, {"thickness_mm": 2.0}, {"field_of_view_mm": 300.0},
                    {"age": 60}, {"preset": Preset.RANDOMISED}):  # fmt: skip
        assert replace(ONE, **changes).makes() != ONE.makes()
