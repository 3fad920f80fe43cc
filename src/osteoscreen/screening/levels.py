"""Which vertebra is which: the answers of LevelNet for each slice, joined along the spine.

A series is cut into spans, one a vertebra with half of the disc above and below, in the order in
which vertebrae lie in the body. Of all ways to cut and name it, the one is taken that LevelNet's
answers, the usual distance of neighbouring vertebrae and the discs, where the mark of the body is
small, speak for most: a search over all of them (a semi-Markov model, Viterbi's algorithm).

A lumbar vertebra more or less than five is possible, at a price; the names then count from the head
down, and the result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.bundle import PLACES

ABOVE, BELOW = PLACES.index("above"), PLACES.index("below")
NAMED, BEYOND = slice(ABOVE + 1, BELOW), slice(ABOVE, BELOW + 1, BELOW - ABOVE)
"""The vertebrae among the places, and the two that are none."""
FIRST_LUMBAR, SACRUM = PLACES.index("L1"), PLACES.index("S1")

PERIOD_MM = {
    "T10": 27.0, "T11": 28.0, "T12": 30.5, "L1": 33.0, "L2": 35.0, "L3": 36.5, "L4": 37.5,
    "L5": 36.0, "S1": 31.0,
}  # fmt: skip
"""Usual distance of the discs above and below a vertebra along the body, of a person of 1.68 m: the
heights of body and disc in ``phantom/spine.py``."""
PERIOD_SPREAD_MM = 4.0
"""How far a vertebra with its discs may be from the usual of its person: a fracture takes a third
of a body."""
SCALES, SCALE_SPREAD = (0.8, 0.9, 1.0, 1.1), 0.1
"""Sizes of persons that are tried, and how far people differ: small and bent with age, or tall."""
LONGEST_MM = 60.0

REACH_MM = 12.0
"""Slices nearer than this tell much the same: a slice weighs its distance from the next over it."""
DISC_WEIGHT = 3.0
"""How much a disc speaks for a boundary, and a body without one against it, in the units of log
probability."""
DISC_SHARE = 0.2
"""A mark that is smaller by this share speaks neither for a disc nor against it, one smaller by
twice as much for it: as often as such gaps were found in discs and in bodies (docs/levels.md)."""
END_MM = 8.0
"""Nearer to the end of a vertebra than this, a gap in its mark is that of the disc there."""
DISC_WINDOW_MM = 22.0
"""A mark is small against the largest one within this distance."""
ODD_COUNT = 7.0
"""Price of a lumbar vertebra more or less: four or six are found in 4 to 8 % of adults."""
LEAST_LOG = -8.0
"""A single answer never weighs more: networks are surest where they are wrong."""
SHIFTS = (-2, -1, 0, 1, 2)
SHIFT_WEIGHT = 0.25
"""How much of the difference between two namings counts for the confidence; chosen so that it is
right as often as it says (docs/levels.md)."""


def _prices() -> NDArray[np.float64]:
    """Price of a place, a column, right below another, a row; infinite where it never is."""
    prices = np.full((len(PLACES), len(PLACES)), np.inf)
    for place in range(ABOVE, BELOW):
        prices[place, place + 1] = 0.0
    for place in range(FIRST_LUMBAR, SACRUM - 1):  # one of L2 to L5 left out
        prices[place, place + 2] = ODD_COUNT
    for place in range(FIRST_LUMBAR + 1, SACRUM - 1):  # one of L2 to L4 again
        prices[place, place] = ODD_COUNT
    return prices


PRICES = _prices()
PARTED = np.logical_and.outer(np.arange(len(PLACES)) > ABOVE, np.arange(len(PLACES)) < BELOW)
"""Whether a disc is looked for between a place and the one below: not in the chest or the pelvis
from S2 down."""


@dataclass(frozen=True)
class Span:
    """The slices of one vertebra, or those above or below all that have a name.

    Args:
        place: Index in ``PLACES``.
        start, stop: First slice and the one behind the last; slices rise to the head.
    """

    place: int
    start: int
    stop: int


@dataclass(frozen=True)
class Levels:
    """The vertebrae of a series, rising.

    Args:
        spans: One a vertebra or place beyond.
        names: Of each span: ``"L3"``; ``"above"`` and ``"below"`` beyond the vertebrae.
        confidence: Probability that no name is off by one, or more, as far as LevelNet can tell.
        no_lumbar_probability: Probability that the names are off so far that none is lumbar.
        is_odd: Whether there is a lumbar vertebra more or less than five.
        fit: How well the names fit the answers, 0 to 1: the probability of a slice's name over that
            of its likeliest place, the geometric mean over the slices.
    """

    spans: tuple[Span, ...]
    names: tuple[str, ...]
    confidence: float
    no_lumbar_probability: float
    is_odd: bool
    fit: float


def label_levels(
    log_probabilities: NDArray[np.float64], body_mm2: NDArray[np.float64], step_mm: float
) -> Levels:
    """Name the vertebrae of a series.

    Args:
        log_probabilities: LevelNet's answers, shape (slices, places); slices rise to the head.
        body_mm2: Area of the body's mark in each slice.
        step_mm: Distance of the slices.
    Returns: The levels.
    """
    answers = np.maximum(log_probabilities, LEAST_LOG) * step_mm / REACH_MM
    total = np.vstack([np.zeros(answers.shape[1]), np.cumsum(answers, axis=0)])
    discs = disc_scores(body_mm2, step_mm)
    spans, _ = _best_spans(total, discs, step_mm)
    names, is_odd = _names(spans)
    places, weights = _shift_weights(spans, total)
    has_lumbar = [any(FIRST_LUMBAR <= one < SACRUM for one in moved) for moved in places]
    return Levels(
        spans,
        names,
        confidence=float(weights[SHIFTS.index(0)]),
        no_lumbar_probability=float(weights[~np.array(has_lumbar)].sum()),
        is_odd=is_odd,
        fit=_fit(spans, np.maximum(log_probabilities, LEAST_LOG)),
    )


def _fit(spans: Sequence[Span], answers: NDArray[np.float64]) -> float:
    own = np.repeat([one.place for one in spans], [one.stop - one.start for one in spans])
    return float(np.exp((answers[np.arange(len(own)), own] - answers.max(axis=1)).mean()))


def disc_scores(body_mm2: NDArray[np.float64], step_mm: float) -> NDArray[np.float64]:
    """How much speaks for a disc between two slices.

    Args:
        body_mm2: Area of the bodies across the spine at each slice.
        step_mm: Distance of the slices.
    Returns: Shape (slices + 1,), before each slice and behind the last one, from -DISC_WEIGHT to
        DISC_WEIGHT: by the smaller of the shares by which the area shrinks from the largest one
        above, and below, within reach. A gap counts once, in its middle. Nothing, where nothing is
        marked on one side: the sacrum seldom is.
    """
    reach = max(1, round(DISC_WINDOW_MM / step_mm))
    count = len(body_mm2)
    scores = np.zeros(count + 1)
    for at in range(1, count):
        least = body_mm2[at - 1 : at + 1].min()
        below, above = body_mm2[max(0, at - reach) : at].max(), body_mm2[at : at + reach].max()
        if min(below, above) > 0:
            share = 1 - least / min(below, above)
            scores[at] = DISC_WEIGHT * min(1.0, share / DISC_SHARE - 1)
    gaps, number = ndimage.label(scores > 0)
    best = ndimage.maximum(scores, gaps, np.arange(number + 1))
    for gap in range(1, number + 1):
        inside = np.flatnonzero(gaps == gap)
        deepest = inside[scores[inside] == best[gap]]
        scores[inside] = 0
        scores[deepest[len(deepest) // 2]] = best[gap]
    return scores


def _best_spans(
    total: NDArray[np.float64],
    disc: NDArray[np.float64],
    step_mm: float,
    scales: Sequence[float] = SCALES,
) -> tuple[tuple[Span, ...], float]:
    """Search all ways to cut and name the series, and rate the best.

    Args:
        total: Sums of the answers up to each slice.
        disc: What speaks for a disc before each slice.
        step_mm: Distance of the slices.
        scales: Sizes of the person to try.
    """
    count = len(total) - 1
    reach = min(int(LONGEST_MM / step_mm) + 1, count)
    whole, cut = _length_scores(np.arange(reach + 1) * step_mm, np.array(scales))
    shape = len(scales), count + 1, len(PLACES)
    # The best way to end with a place before a slice, and where that place starts then.
    best, start = np.full(shape, -np.inf), np.zeros(shape, int)
    # What all below adds to a place that starts at a slice, and the place right below it.
    below, lower = np.zeros(shape), np.zeros(shape, int)
    for stop in range(1, count + 1):
        starts = np.arange(max(0, stop - reach), stop)
        is_cut = (starts == 0) | (stop == count)
        lengths = np.where(is_cut[:, None], cut[:, stop - starts], whole[:, stop - starts])
        own = total[stop, NAMED] - total[starts, NAMED] + lengths
        own -= _discs_inside(disc, stop, step_mm)[starts, None]
        own += below[:, starts, NAMED]
        start[:, stop, NAMED] = starts[own.argmax(axis=1)]
        best[:, stop, NAMED] = own.max(axis=1)
        own = total[stop, BEYOND] - total[:stop, BEYOND] + below[:, :stop, BEYOND]
        start[:, stop, BEYOND] = own.argmax(axis=1)
        best[:, stop, BEYOND] = own.max(axis=1)
        told = best[:, stop, None] - PRICES + disc[stop] * PARTED
        lower[:, stop], below[:, stop] = told.argmax(axis=2), told.max(axis=2)
    ratings = best[:, count].max(axis=1) - (np.array(scales) - 1) ** 2 / (2 * SCALE_SPREAD**2)
    scale = int(ratings.argmax())
    stop, place = count, int(best[scale, count].argmax())
    spans = []
    while stop > 0:
        begin = int(start[scale, stop, place])
        spans.append(Span(place, begin, stop))
        stop, place = begin, int(lower[scale, begin, place])
    return tuple(reversed(spans)), float(ratings[scale])


def _discs_inside(disc: NDArray[np.float64], stop: int, step_mm: float) -> NDArray[np.float64]:
    """Return the price of a disc inside a vertebra that ends at a slice, by where it starts."""
    margin = max(1, round(END_MM / step_mm))
    found = np.zeros(stop)
    largest = np.maximum.accumulate(
        np.maximum(disc[margin : max(margin, stop - margin + 1)], 0)[::-1]
    )[::-1]
    found[: len(largest)] = largest
    return found


def _length_scores(
    lengths_mm: NDArray[np.floating], scales: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rate lengths of the vertebrae of persons of some sizes.

    Returns: Of whole ones, shape (scales, lengths, vertebrae), and of those that the series cuts
        off, which may be as short as they like.
    """
    usual_mm = scales[:, None, None] * np.array([PERIOD_MM[name] for name in PLACES[NAMED]])
    apart = lengths_mm[:, None] - usual_mm
    score = -(apart**2) / (2 * PERIOD_SPREAD_MM**2)
    return score, np.where(apart < 0, 0.0, score)


def _names(spans: Sequence[Span]) -> tuple[tuple[str, ...], bool]:
    """Name spans from the head down; a place twice, or left out, moves all names below it."""
    moved, is_odd = 0, False
    names = [PLACES[spans[-1].place]]
    for lower, upper in reversed(list(pairwise(spans))):
        step = lower.place - upper.place
        if step != 1:
            is_odd = True
            moved += 1 - step
        is_lumbar = FIRST_LUMBAR <= lower.place < SACRUM
        number = lower.place - FIRST_LUMBAR + 1 + moved
        names.append(f"L{number}" if is_lumbar else PLACES[lower.place])
    return tuple(reversed(names)), is_odd


def _shift_weights(
    spans: Sequence[Span], total: NDArray[np.float64]
) -> tuple[list[tuple[int, ...]], NDArray[np.float64]]:
    """Weigh the names against the same ones moved by one or two vertebrae."""
    places = [
        tuple(
            one.place
            if one.place in (ABOVE, BELOW)
            else int(np.clip(one.place + shift, ABOVE, BELOW))
            for one in spans
        )
        for shift in SHIFTS
    ]
    scores = np.array(
        [
            sum(
                total[one.stop, place] - total[one.start, place] for one, place in zip(spans, moved)
            )
            for moved in places
        ]
    )
    weights = np.exp(SHIFT_WEIGHT * (scores - scores.max()))
    return places, weights / weights.sum()
