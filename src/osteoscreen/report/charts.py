"""Charts of an evaluation: curves, distributions and intervals, one style for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from osteoscreen import texts
from osteoscreen.findings import CONDITIONS, BoneCondition
from osteoscreen.report.lettering import FONT
from osteoscreen.report.palette import CONDITION_COLOURS, FOCUS, INK, MUTED, PAPER, RULE

FloatArray = NDArray[np.float64]

SIZE_INCHES = (5.4, 3.8)
STYLES = {BoneCondition.NORMAL: "-", BoneCondition.LOW: "--", BoneCondition.OSTEOPOROSIS: "-."}
"""Lines are told apart without colour, too."""
EDGE = "#4b7f91"
"""A line of the palest condition, dark enough for a thin stroke on white."""
Drawing = Figure
"""A figure as this room draws it, to be saved by ``save_figure``."""

DPI = 160
"""Of the PNG files; the SVG files have no pixels but those of the CT."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A line of a chart.

    Args:
        label: Its name in the legend.
        x, y: Points of it.
    """

    label: str
    x: Sequence[float] | FloatArray
    y: Sequence[float] | FloatArray


def line_colour(condition: BoneCondition) -> str:
    """Return the colour of a condition for a thin line."""
    return EDGE if condition is BoneCondition.NORMAL else CONDITION_COLOURS[condition]


def plain_axes(figure: Figure, place: tuple[int, int, int] = (1, 1, 1)) -> Axes:
    """Add axes in the style of the reports.

    Args:
        figure: Where.
        place: Rows, columns and number of the axes, as matplotlib counts them.
    """
    axes = figure.add_subplot(*place)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelsize=8.5, labelfontfamily=FONT)
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _name(axes: Axes, x: str, y: str, title: str = "") -> None:
    axes.set_xlabel(x, fontsize=9, color=INK, fontfamily=FONT)
    axes.set_ylabel(y, fontsize=9, color=INK, fontfamily=FONT)
    if title:
        axes.set_title(title, fontsize=9.5, color=INK, fontfamily=FONT, loc="left")


def _legend(axes: Axes, place: Literal["best", "lower right", "upper left"] = "best") -> None:
    axes.legend(loc=place, frameon=False, prop={"family": FONT, "size": 8.5}, labelcolor=INK)


def new_figure(size_inches: tuple[float, float] = SIZE_INCHES) -> Figure:
    """Return an empty figure."""
    return Figure(figsize=size_inches, facecolor=PAPER, layout="constrained")


def save_figure(figure: Figure, folder: Path, name: str) -> bytes:
    """Write a figure as PNG and SVG, equal figures as equal files.

    Args:
        figure: What to write.
        folder: Where.
        name: File name without its ending.
    Returns: The PNG.
    """
    FigureCanvasAgg(figure)
    png = BytesIO()
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    (folder / f"{name}.png").write_bytes(png.getvalue())
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(folder / f"{name}.svg", format="svg", metadata={"Date": None})
    return png.getvalue()


def roc_figure(curves: Mapping[BoneCondition, Curve]) -> Figure:
    """Draw the ROC curve of each class against the rest (the paper's Figure 6).

    Args:
        curves: False positive rate and sensitivity by class; a class without one is left out.
    """
    figure = new_figure((4.6, 4.2))
    axes = plain_axes(figure)
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
    for condition, curve in curves.items():
        axes.plot(
            curve.x, curve.y, STYLES[condition], color=line_colour(condition), label=curve.label
        )
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
    _name(axes, "1 − specificity", "Sensitivity")
    _legend(axes, "lower right")
    return figure


def histograms_figure(values: Mapping[str, FloatArray], *, x: str, y: str) -> Figure:
    """Draw one histogram beside the other on one scale (the paper's Figure 5).

    Args:
        values: Numbers from 0 to 1 by the name of what they are.
        x: Name of the horizontal axis.
        y: Name of the vertical axis.
    """
    figure = new_figure((7.6, 2.9))
    low = min((float(one.min()) for one in values.values() if len(one)), default=0.0)
    edges = np.linspace(np.floor(low * 20) / 20, 1, 31).tolist()
    first: Axes | None = None
    for number, (name, one) in enumerate(values.items(), start=1):
        axes = plain_axes(figure, (1, len(values), number))
        if first is None:
            first = axes
        else:
            axes.sharey(first)
        axes.hist(one, edges, color=EDGE)
        title = f"{name}: mean {one.mean():.4f}" if len(one) else f"{name}: no image"
        _name(axes, x, y if number == 1 else "", title)
    return figure


def shares_figure(counts: NDArray[np.int64]) -> Figure:
    """Draw what was said of each true class (the paper's Figure 7).

    Args:
        counts: Rows the truth, columns what was said, in order of the conditions.
    """
    figure = new_figure()
    axes = plain_axes(figure)
    axes.grid(visible=False, axis="x")
    bottom = np.zeros(len(CONDITIONS))
    total = np.maximum(counts.sum(axis=1), 1)
    places = [float(place) for place in range(len(CONDITIONS))]
    for column, condition in enumerate(CONDITIONS):
        share = counts[:, column] / total
        axes.bar(
            places,
            share,
            0.62,
            bottom=bottom,
            color=CONDITION_COLOURS[condition],
            label=texts.LABELS[condition],
        )
        for place, height, below, count in zip(places, share, bottom, counts[:, column]):
            if height > 0.04:
                ink = PAPER if condition is BoneCondition.OSTEOPOROSIS else INK
                words = f"{count:,}\n{height:.0%}" if height > 0.1 else f"{count:,}"
                axes.text(place, below + height / 2, words, ha="center", va="center", color=ink,
                          fontsize=8.5, fontfamily=FONT)  # fmt: skip
        bottom += share
    names = [f"{texts.LABELS[c]}\n({t:,})" for c, t in zip(CONDITIONS, counts.sum(axis=1))]
    axes.set_xticks(places, names)
    axes.set_ylim(0, 1)
    _name(axes, "True bone condition", "Share of what was said")
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside upper center",
        ncols=3,
        frameon=False,
        prop={"family": FONT, "size": 8.5},
    )
    return figure


def calibration_figure(before: Curve, after: Curve) -> Figure:
    """Draw how often a decision is right against how sure it was.

    Args:
        before: Mean confidence and accuracy of each bin without the temperature.
        after: The same with it.
    """
    figure = new_figure((4.6, 4.2))
    axes = plain_axes(figure)
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
    axes.plot(before.x, before.y, "o--", color=MUTED, markersize=4, label=before.label)
    axes.plot(after.x, after.y, "o-", color=FOCUS, markersize=5, label=after.label)
    axes.set(xlim=(0.3, 1.01), ylim=(-0.01, 1.01))  # of three classes the likeliest has a third
    _name(axes, "Confidence (probability of the class that was said)", "Accuracy")
    _legend(axes, "upper left")
    return figure


def lines_figure(curves: Sequence[Curve], *, x: str, y: str) -> Figure:
    """Draw several lines over one axis.

    Args:
        curves: Up to four.
        x: Name of the horizontal axis.
        y: Name of the vertical axis.
    """
    figure = new_figure()
    axes = plain_axes(figure)
    colours = (FOCUS, CONDITION_COLOURS[BoneCondition.LOW],
               CONDITION_COLOURS[BoneCondition.OSTEOPOROSIS], EDGE)  # fmt: skip
    for curve, colour, style in zip(curves, colours, ("-", "--", "-.", ":")):
        axes.plot(curve.x, curve.y, style, color=colour, marker="o", markersize=3,
                  label=curve.label)  # fmt: skip
    _name(axes, x, y)
    if len(curves) > 1:
        _legend(axes)
    return figure


@dataclass(frozen=True)
class Interval:
    """A figure with its interval.

    Args:
        label: What it is of.
        value: The figure.
        low, high: Its 95 % interval.
    """

    label: str
    value: float
    low: float
    high: float


def intervals_figure(panels: Mapping[str, Sequence[Interval]]) -> Figure:
    """Draw figures with their intervals, one row each, the first one set off.

    Args:
        panels: Rows by the name of the figure; the same rows in each.
    """
    rows = max(len(one) for one in panels.values())
    figure = new_figure((3.9 * len(panels) + 1.2, 0.34 * rows + 1.0))
    for number, (name, values) in enumerate(panels.items(), start=1):
        axes = plain_axes(figure, (1, len(panels), number))
        axes.grid(visible=False, axis="y")
        for place, one in enumerate(values):
            colour = FOCUS if place == 0 else MUTED
            axes.plot([one.low, one.high], [place, place], color=colour, linewidth=1.6)
            axes.plot([one.value], [place], "o", color=colour, markersize=5)
        axes.set_yticks(range(len(values)), [one.label for one in values] if number == 1 else [])
        axes.set_ylim(len(values) - 0.5, -0.5)
        _name(axes, name, "")
    return figure
