"""Charts of a screened archive: attenuation by age, and month by month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from osteoscreen import texts
from osteoscreen.findings import CONDITIONS
from osteoscreen.report.charts import (
    DPI,
    EDGE,
    Drawing,
    FloatArray,
    new_figure,
    plain_axes,
)
from osteoscreen.report.lettering import FONT
from osteoscreen.report.palette import (
    CAUTION_EDGE,
    CONDITION_COLOURS,
    FOCUS,
    INK,
    MUTED,
    PAPER,
    REFUSED_INK,
)

COLOURS = (FOCUS, CAUTION_EDGE, MUTED)
MARKERS = ("o", "s", "^")

MOST_NAMES = 12
"""Months that are named below a chart."""


@dataclass(frozen=True, eq=False)
class Spread:
    """A group's median and quartiles along an axis.

    Args:
        label: Name of the group.
        x: Places.
        median, low, high: Median and quartiles at each.
    """

    label: str
    x: Sequence[float] | FloatArray
    median: Sequence[float] | FloatArray
    low: Sequence[float] | FloatArray
    high: Sequence[float] | FloatArray


@dataclass(frozen=True, eq=False)
class Drift:
    """A control chart: a value a month between its limits.

    Args:
        months: Names, such as 2024-01, one after the other without a gap.
        value: Of each month; nan where too little was measured.
        centre: What is expected of each.
        low, high: Limits of each month; they are narrower where more was measured.
    """

    months: Sequence[str]
    value: FloatArray
    centre: FloatArray
    low: FloatArray
    high: FloatArray


def conditions_figure(counts: Sequence[int], without: int) -> Drawing:
    """Draw how many series were found to be of each condition, and how many of none.

    Args:
        counts: Of the conditions, in their order.
        without: Those of which no statement was made.
    """
    figure = new_figure((4.6, 2.2))
    axes = plain_axes(figure)
    names = [*(texts.LABELS[one] for one in CONDITIONS), texts.NO_STATEMENT]
    colours = [*CONDITION_COLOURS.values(), PAPER]
    bars = axes.barh(names, [*counts, without], color=colours, edgecolor=INK, linewidth=0.8)
    bars[-1].set_hatch("///")
    total = max(sum(counts) + without, 1)
    shown = [f"{count:,} ({count / total:.0%})" for count in (*counts, without)]
    axes.bar_label(bars, shown, padding=4, fontsize=8.5, color=INK, fontfamily=FONT)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.margins(x=0.28)
    return figure


def spreads_figure(groups: Sequence[Spread], *, x: str, y: str) -> Drawing:
    """Draw the median of up to three groups along an axis, and a band between the quartiles.

    Args:
        groups: The first ones stand out.
        x: Name of the horizontal axis.
        y: Name of the vertical axis.
    """
    figure = new_figure()
    axes = plain_axes(figure)
    for group, colour, marker in zip(groups, COLOURS, MARKERS):
        axes.fill_between(group.x, group.low, group.high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(group.x, group.median, marker=marker, markersize=4, color=colour,
                  label=group.label)  # fmt: skip
    axes.set_xlabel(x, fontsize=9, color=INK, fontfamily=FONT)
    axes.set_ylabel(y, fontsize=9, color=INK, fontfamily=FONT)
    axes.legend(frameon=False, prop={"family": FONT, "size": 8.5}, labelcolor=INK)
    return figure


def drift_figure(drift: Drift, *, y: str) -> Drawing:
    """Draw a value month by month; those outside the limits are set off, those without are gaps.

    Args:
        drift: What to draw.
        y: Name of the vertical axis.
    """
    figure = new_figure((7.6, 3.0))
    axes = plain_axes(figure)
    places = np.arange(float(len(drift.months)))
    axes.bar(places, drift.high - drift.low, 1, drift.low, color=EDGE, alpha=0.15, linewidth=0)
    axes.hlines(drift.centre, places - 0.5, places + 0.5, color=MUTED, linewidth=1)
    axes.plot(places, drift.value, "o-", color=FOCUS, markersize=4, linewidth=1)
    is_outside = (drift.value < drift.low) | (drift.value > drift.high)
    axes.plot(places[is_outside], drift.value[is_outside], "o", markersize=9, fillstyle="none",
              color=REFUSED_INK)  # fmt: skip
    step = -(-len(places) // MOST_NAMES)
    axes.set_xticks(places[::step], list(drift.months[::step]))
    axes.set_ylabel(y, fontsize=9, color=INK, fontfamily=FONT)
    return figure


def png_of(figure: Drawing) -> bytes:
    """Return a figure as PNG, equal figures as equal bytes."""
    FigureCanvasAgg(figure)
    png = BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return png.getvalue()
