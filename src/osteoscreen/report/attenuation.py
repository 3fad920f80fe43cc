"""Attenuation of each vertebra, against the published limits where they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from osteoscreen import texts
from osteoscreen.findings import LevelFinding, ReferenceBand
from osteoscreen.report.drawing import Drawing, Lettering
from osteoscreen.report.palette import BAND, INK, MUTED, PAPER, RULE

WIDTH = 400.0
ROW = 25.0
HEAD = 22.0
FOOT = 34.0
LEFT, RIGHT = 38.0, 14.0
LETTER = 11.0
"""Height of all letters: the PDF sets the chart at about half a point a unit."""
TICK_HU = 50
NARROWEST_HU = (0.0, 250.0)
"""Shown at least, so that charts of different patients look alike."""


def attenuation_drawing(
    levels: Sequence[LevelFinding], band: ReferenceBand | None
) -> Drawing | None:
    """Draw mean and standard deviation of each measured vertebra, from the head down.

    A vertebra that does not count is hollow. The limits are drawn as lines; in the row of the
    vertebra that they hold for, the band that it lies in is shaded.

    Args:
        levels: As the result tells them.
        band: As the result tells it; ``None`` where the limits do not hold: none are drawn.
    Returns: ``None`` if no vertebra was measured.
    """
    measured = [one for one in levels if one.attenuation_hu is not None]
    if not measured:
        return None
    low, high = _range(measured)
    bottom = HEAD + ROW * len(measured)
    drawing = Drawing(WIDTH, bottom + FOOT, fineness=2)

    def x(hu: float) -> float:
        return LEFT + (hu - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    rows = [one.level for one in measured]
    if band is not None and band.level in rows:
        ends = [x(low if band.above_hu is None else band.above_hu),
                x(high if band.up_to_hu is None else band.up_to_hu)]  # fmt: skip
        corner = (ends[0], HEAD + ROW * rows.index(band.level))
        drawing.box(corner, (ends[1] - ends[0], ROW), BAND)
    for hu in np.arange(low, high + 1, TICK_HU):
        drawing.line([(x(hu), HEAD), (x(hu), bottom)], RULE)
        drawing.write((x(hu), bottom + 9), texts.number(hu), Lettering(LETTER, MUTED))
    drawing.write((LEFT, bottom + 25), texts.AXIS_HU, Lettering(LETTER, MUTED, "left"))
    if band is not None:
        for hu in band.limits_hu:
            drawing.dashes((x(hu), HEAD - 4), (x(hu), bottom), INK, width=1.2)
            drawing.write(
                (x(hu), HEAD - 12), texts.number(hu), Lettering(LETTER, INK, is_bold=True)
            )
        said = texts.LIMITS_OF.format(level=band.level)
        drawing.write((LEFT, HEAD - 12), said, Lettering(LETTER, MUTED, "left"))
    for at, one in enumerate(measured):
        _add_row(drawing, one, x, HEAD + ROW * (at + 0.5))
    return drawing


def _range(measured: Sequence[LevelFinding]) -> tuple[float, float]:
    """Return the ends of the axis, multiples of the tick, that hold every mean and spread."""
    ends = [
        hu
        for one in measured
        for hu in (
            (one.attenuation_hu or 0) - (one.attenuation_spread_hu or 0),
            (one.attenuation_hu or 0) + (one.attenuation_spread_hu or 0),
        )
    ]
    low, high = min(NARROWEST_HU[0], *ends), max(NARROWEST_HU[1], *ends)
    return math.floor(low / TICK_HU) * TICK_HU, math.ceil(high / TICK_HU) * TICK_HU


def _add_row(drawing: Drawing, one: LevelFinding, x: Callable[[float], float], y: float) -> None:
    """Draw one vertebra: its name, mean, and a whisker of one standard deviation to each side."""
    mean, spread = one.attenuation_hu, one.attenuation_spread_hu
    assert mean is not None
    counts = one.left_out is None
    colour = INK if counts else MUTED
    drawing.write((LEFT - 8, y), one.level, Lettering(LETTER, colour, "right", is_bold=counts))
    if spread is not None:
        ends = x(mean - spread), x(mean + spread)
        drawing.line([(ends[0], y), (ends[1], y)], MUTED, 1.2)
        for end in ends:
            drawing.line([(end, y - 3), (end, y + 3)], MUTED, 1.2)
    drawing.disc((x(mean), y), 4.5, INK if counts else PAPER, INK)
    if not counts:
        return
    words = texts.number(mean)
    drawing.write((x(mean), y - 11), words, Lettering(LETTER, INK, is_bold=True))
