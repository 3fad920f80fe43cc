"""Naming vertebrae: the search against trying every way, and spines worked out by hand."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from osteoscreen.bundle import PLACES
from osteoscreen.screening import levels as module
from osteoscreen.screening.levels import (
    ABOVE,
    BELOW,
    END_MM,
    ODD_COUNT,
    PERIOD_MM,
    PERIOD_SPREAD_MM,
    SCALE_SPREAD,
    SCALES,
    Span,
    _best_spans,
    disc_scores,
    label_levels,
)

STEP_MM = 3.0
COARSE_MM = 8.0
"""So few slices a vertebra that every way can be tried, with discs inside."""
BODY_MM2, DISC_MM2 = 1200.0, 150.0


def _spine(
    names: list[str], *, sure: float = 0.9, slices: int = 11
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Answers and areas of vertebrae from the head down, each so many slices with its disc."""
    answers, areas = [], []
    for name in reversed(names):
        place = np.full(len(PLACES), (1 - sure) / (len(PLACES) - 1))
        place[PLACES.index(name)] = sure
        answers += [place] * slices
        areas += [DISC_MM2, *[BODY_MM2] * (slices - 2), DISC_MM2]
    return np.log(np.array(answers)), np.array(areas)


LUMBAR = ["L1", "L2", "L3", "L4", "L5"]


@pytest.mark.parametrize(
    "names",
    [
        ["T12", *LUMBAR, "S1"],
        LUMBAR,
        ["L2", "L3"],
        ["T10", "T11", "T12"],
        ["above", "T10", "T11", "T12", *LUMBAR, "S1", "below"],
        ["L4", "L5", "S1", "below"],
        ["below"],
        ["above"],
    ],
)
def test_a_clear_spine_is_named(names: list[str]) -> None:
    answers, areas = _spine(names)
    found = label_levels(answers, areas, STEP_MM)
    assert list(found.names) == names[::-1]
    assert [(one.start, one.stop) for one in found.spans] == [
        (11 * at, 11 * (at + 1)) for at in range(len(names))
    ]
    assert not found.is_odd


def test_one_wrong_vertebra_is_corrected_by_its_neighbours() -> None:
    answers, areas = _spine(["T12", *LUMBAR, "S1"])
    answers[33:44] = _spine(["L2"])[0]  # L3 looks like L2
    found = label_levels(answers, areas, STEP_MM)
    assert found.names == ("S1", "L5", "L4", "L3", "L2", "L1", "T12")


def test_the_disc_decides_where_the_answers_do_not() -> None:
    answers, areas = _spine(["L2", "L3"])
    answers[8:14] = np.log(1 / len(PLACES))  # nothing is said around the disc
    found = label_levels(answers, areas, STEP_MM)
    assert [one.stop for one in found.spans] == [11, 22]


@pytest.mark.parametrize(
    ("seen", "names"),
    [
        (["T12", "L1", "L2", "L3", "L3", "L4", "L5", "S1"],
         ["T12", "L1", "L2", "L3", "L4", "L5", "L6", "S1"]),
        (["T12", "L1", "L2", "L4", "L5", "S1"], ["T12", "L1", "L2", "L3", "L4", "S1"]),
    ],
)  # fmt: skip
def test_a_lumbar_vertebra_more_or_less_is_told(seen: list[str], names: list[str]) -> None:
    found = label_levels(*_spine(seen, sure=0.98), STEP_MM)
    assert list(found.names) == names[::-1]
    assert found.is_odd


def test_confidence_falls_where_the_next_name_fits_as_well() -> None:
    sure = label_levels(*_spine(LUMBAR), STEP_MM)
    torn, areas = _spine(LUMBAR)
    torn = np.log((np.exp(torn) + np.roll(np.exp(torn), 1, axis=1)) / 2)
    unsure = label_levels(torn, areas, STEP_MM)
    assert sure.confidence > 0.95
    assert unsure.confidence < 0.7
    assert sure.no_lumbar_probability < 0.05


def test_slices_in_no_order_of_a_spine_fit_no_names() -> None:
    answers, areas = _spine(["T12", *LUMBAR, "S1"])
    assert label_levels(answers, areas, STEP_MM).fit > 0.99
    assert label_levels(answers[::-1], areas, STEP_MM).fit < 0.2
    # Half of one vertebra's slices say another place, nine times as likely as its own.
    torn = np.where(np.arange(len(PLACES)) == PLACES.index("L2"), 0.9, 0.01)
    torn[PLACES.index("L3")] = 0.1
    answers[33:39] = np.log(torn)
    found = label_levels(answers, areas, STEP_MM)
    assert found.fit == pytest.approx(9 ** (-6 / 77))


def test_a_lone_vertebra_between_chest_and_loin_may_hold_no_lumbar_one() -> None:
    answers, areas = _spine(["L1"])
    answers = np.log((np.exp(answers) + np.roll(np.exp(answers), -1, axis=1)) / 2)
    found = label_levels(answers, areas, STEP_MM)
    assert found.no_lumbar_probability == pytest.approx(0.5, abs=0.05)


def test_the_step_of_the_slices_does_not_change_the_names() -> None:
    for step, slices in ((1.0, 33), (3.0, 11), (5.0, 7)):
        found = label_levels(*_spine(["T12", *LUMBAR, "S1"], slices=slices), step)
        assert found.names == ("S1", "L5", "L4", "L3", "L2", "L1", "T12")
        assert found.confidence == pytest.approx(
            label_levels(*_spine(["T12", *LUMBAR, "S1"]), 3.0).confidence, abs=0.02
        )


def test_a_disc_is_where_the_mark_shrinks_between_two_bodies() -> None:
    scores = disc_scores(np.array([100.0, 100, 70, 100, 90, 0, 0]), 10.0)
    # Two slices to each side. Smaller by 30 % of 100 is halfway from 20 to 40 %; not at all speaks
    # against a disc as much as it can, and beyond the last body all is open. One disc counts once.
    assert_allclose(scores, [0, -3, 0, 1.5, -3, 0, 0, 0])


def test_nothing_lies_inside_one_disc() -> None:
    """Two borders in one gap would make room for a vertebra without a body."""
    answers, areas = _spine(["L2", "L3", "L5", "S1"], slices=13)
    areas[24:30] = 0  # a wide gap above L5, as long as half a vertebra
    answers[24:30] = _spine(["L4"])[0][:6]
    found = label_levels(answers, areas, STEP_MM)
    assert found.names == ("S1", "L4", "L3", "L2")
    assert found.is_odd


def test_a_gap_in_the_mark_parts_two_vertebrae_that_look_alike() -> None:
    answers, areas = _spine(["T12", *LUMBAR, "S1"])
    answers[11:33] = np.log(1 / len(PLACES))  # nothing is said of L5 and L4
    areas[21:23] = 0.7 * BODY_MM2
    found = label_levels(answers, areas, STEP_MM)
    assert found.names == ("S1", "L5", "L4", "L3", "L2", "L1", "T12")
    assert found.spans[1].stop == 22


def _score(
    spans: tuple[Span, ...], total: NDArray[np.float64], disc: NDArray[np.float64], scale: float
) -> float:
    """What the module's words say, span by span."""
    count, score, margin = len(total) - 1, 0.0, max(1, round(END_MM / COARSE_MM))
    for lower, one in zip((None, *spans), spans):
        score += total[one.stop, one.place] - total[one.start, one.place]
        if one.place not in (ABOVE, BELOW):
            apart = (one.stop - one.start) * COARSE_MM - scale * PERIOD_MM[PLACES[one.place]]
            is_cut = one.start == 0 or one.stop == count
            if not (is_cut and apart < 0):
                score -= apart**2 / (2 * PERIOD_SPREAD_MM**2)
            score -= max([0.0, *disc[one.start + margin : one.stop - margin + 1]])
        if lower is not None:
            score -= 0.0 if lower.place - one.place == 1 else ODD_COUNT
            if one.place != ABOVE and lower.place != BELOW:
                score += disc[one.start]
    return score


def _all_ways(count: int) -> list[tuple[Span, ...]]:
    """Every way to cut and name so many slices, in the order in which vertebrae lie."""

    def may_follow(upper: int, lower: int) -> bool:
        one, last = PLACES.index("L1"), PLACES.index("L5")
        return (
            lower == upper + 1
            or (lower == upper and one < upper < last)
            or (lower == upper + 2 and one <= upper < last)
        )

    def namings(parts: int) -> list[tuple[int, ...]]:
        if parts == 1:
            return [(place,) for place in range(len(PLACES))]
        return [
            (*below, upper)
            for below in namings(parts - 1)
            for upper in range(len(PLACES))
            if may_follow(upper, below[-1])
        ]

    ways: list[tuple[Span, ...]] = []
    for parts in range(1, count + 1):
        for cuts in combinations(range(1, count), parts - 1):
            ends = [0, *cuts, count]
            ways += [
                tuple(Span(place, *part) for place, part in zip(places, pairwise(ends)))
                for places in namings(parts)
            ]
    return ways


WAYS = _all_ways(5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_search_finds_what_trying_every_way_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    answers = np.log(rng.dirichlet(np.full(len(PLACES), 0.4), 5))
    answers = np.maximum(answers, module.LEAST_LOG) * rng.uniform(0.2, 3)
    total = np.vstack([np.zeros(len(PLACES)), np.cumsum(answers, axis=0)])
    disc = np.append(np.append(0, rng.uniform(-3, 3, 4)), 0)
    scale = float(rng.choice(SCALES))
    found, rating = _best_spans(total, disc, COARSE_MM, (scale,))
    best = max(_score(way, total, disc, scale) for way in WAYS)
    assert _score(found, total, disc, scale) == pytest.approx(best, abs=1e-9)
    assert rating == pytest.approx(best - (scale - 1) ** 2 / (2 * SCALE_SPREAD**2), abs=1e-9)


def test_a_small_person_is_named_as_a_usual_one() -> None:
    answers, areas = _spine(["T12", *LUMBAR, "S1"], sure=0.6, slices=9)
    found = label_levels(answers, areas, STEP_MM)
    assert found.names == ("S1", "L5", "L4", "L3", "L2", "L1", "T12")
    assert [one.stop - one.start for one in found.spans] == [9] * 7
