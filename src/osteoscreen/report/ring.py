"""The ring of the three probabilities, as Figure 9 of the paper (section 3.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from osteoscreen.findings import CONDITIONS, Certainty, Probabilities
from osteoscreen.report import texts
from osteoscreen.report.lettering import FONT, Lettering, write
from osteoscreen.report.palette import CONDITION_COLOURS, INK, MUTED, PAPER

INCHES = (5.2, 3.2)
HALF_HEIGHT = 1.68
"""Of the picture, in outer radii: room for two labels above each other at the top."""
RING_WIDTH = 0.24
"""Of the outer radius; the hole must hold "bone mass?"."""
LEADER_RADIUS = 1.12
"""Where a leader line bends: far enough that the label of a tiny slice at the top does not drag
its line across the ring."""
LABEL_X = 1.24
LABEL_GAP = 0.58
"""Distance between two labels on one side, in outer radii: two lines of text and some air."""
DOUBTFUL_FADE = 0.45
"""Share of white in the colours of a doubtful ring."""


@dataclass(frozen=True)
class Ring:
    """A ring of a grid.

    Args:
        probabilities: Of one patient.
        certainty: How much is said.
    """

    probabilities: Probabilities
    certainty: Certainty


def ring_figure(probabilities: Probabilities, certainty: Certainty) -> Figure:
    """Draw the ring: clockwise from the top, in the order of ``CONDITIONS``.

    A ring that is not clear is pale and hatched; its centre asks, or says that nothing is stated.
    """
    figure = Figure(figsize=INCHES, facecolor=PAPER)
    half_width = HALF_HEIGHT * INCHES[0] / INCHES[1]
    axes = figure.add_axes((0, 0, 1, 1), aspect="equal")
    axes.set(xlim=(-half_width, half_width), ylim=(-HALF_HEIGHT, HALF_HEIGHT))
    axes.set_axis_off()
    spans = _add_wedges(axes, probabilities, certainty)
    _add_labels(axes, probabilities, [_anchor_deg(*span) for span in spans])
    _add_centre(axes, probabilities, certainty)
    return figure


def rings_figure(rows: Mapping[str, Sequence[Ring | None]]) -> Figure:
    """Draw a grid of rings, as Figure 9 of the paper.

    Args:
        rows: Rings of each row, by the words at its left; ``None`` leaves a place empty.
    """
    columns = max(len(rings) for rings in rows.values())
    figure = Figure(figsize=(1.9 * columns + 1.1, 2.15 * len(rows)), facecolor=PAPER)
    grid = figure.add_gridspec(len(rows), columns, left=0.1, right=0.99, bottom=0.01, top=0.99)
    for row, (name, rings) in enumerate(rows.items()):
        for column, ring in enumerate(rings):
            axes = figure.add_subplot(grid[row, column], aspect="equal")
            axes.set(xlim=(-1.15, 1.15), ylim=(-1.5, 1.1))
            axes.set_axis_off()
            if column == 0:
                axes.text(-1.35, 0, name, rotation=90, ha="center", va="center", fontsize=10,
                          fontfamily=FONT, color=INK)  # fmt: skip
            if ring is None:
                continue
            _add_wedges(axes, ring.probabilities, ring.certainty)
            _add_centre(axes, ring.probabilities, ring.certainty, size=8.5)
            shares = " / ".join(f"{value:.1%}" for value in ring.probabilities.as_tuple())
            write(axes, (0, -1.28), shares, Lettering(7.5, MUTED))
    return figure


def _add_wedges(
    axes: Axes, probabilities: Probabilities, certainty: Certainty
) -> list[tuple[float, float]]:
    """Add the three slices; return the degrees that each spans."""
    doubtful = certainty is not Certainty.CLEAR
    spans, end = [], 90.0
    for condition, value in zip(CONDITIONS, probabilities.as_tuple()):
        start = end - 360 * value
        _add_wedge(axes, CONDITION_COLOURS[condition], (start, end), doubtful=doubtful)
        spans.append((start, end))
        end = start
    return spans


def _add_wedge(axes: Axes, colour: str, span: tuple[float, float], *, doubtful: bool) -> None:
    """Add one slice from ``span[0]`` to ``span[1]`` degrees; an empty one is left out."""
    if span[1] - span[0] <= 0:
        return
    red, green, blue = (part + (1 - part) * DOUBTFUL_FADE * doubtful for part in to_rgb(colour))
    axes.add_patch(
        Wedge(
            (0, 0),
            1,
            *span,
            width=RING_WIDTH,
            facecolor=(red, green, blue),
            edgecolor=MUTED if doubtful else PAPER,
            linewidth=0.8 if doubtful else 1.2,
            linestyle="--" if doubtful else "-",
            hatch="////" if doubtful else None,
        )
    )


def _anchor_deg(start: float, end: float) -> float:
    """Choose where a leader line leaves a slice: sideways if it can, else from its middle."""
    middle = (start + end) / 2
    sideways = [angle for angle in (0.0, -180.0) if start < angle < end]
    return min(sideways, key=lambda angle: abs(angle - middle), default=middle)


def _add_labels(axes: Axes, probabilities: Probabilities, anchors: Sequence[float]) -> None:
    """Write percentage and name of each slice outside the ring, without collisions."""
    tips = [
        (LEADER_RADIUS * math.cos(math.radians(a)), LEADER_RADIUS * math.sin(math.radians(a)))
        for a in anchors
    ]
    for side in (-1, 1):
        members = [i for i, tip in enumerate(tips) if (tip[0] >= 0) == (side > 0)]
        heights = spread([tips[i][1] for i in members], LABEL_GAP)
        for i, height in zip(members, heights):
            edge = np.array(tips[i]) / LEADER_RADIUS
            xs = [edge[0], tips[i][0], side * (LABEL_X - 0.06)]
            axes.plot(xs, [edge[1], tips[i][1], height], color=MUTED, linewidth=0.8)
            side_of_words: Literal["left", "right"] = "left" if side > 0 else "right"
            x, share = side * LABEL_X, texts.percent(probabilities.as_tuple()[i])
            write(axes, (x, height + 0.13), share, Lettering(13, side=side_of_words))
            name = Lettering(10, MUTED, side=side_of_words)
            write(axes, (x, height - 0.15), CONDITIONS[i].label, name)


def _add_centre(
    axes: Axes, probabilities: Probabilities, certainty: Certainty, *, size: float = 11
) -> None:
    said = texts.headline(probabilities, certainty)
    words = said.replace(" bone", "\nbone").replace("No s", "No\ns")
    is_doubtful = certainty is Certainty.DOUBTFUL
    write(axes, (0, 0.12 if is_doubtful else 0), words, Lettering(size, is_bold=True))
    if is_doubtful:
        write(axes, (0, -0.32), texts.DOUBTFUL, Lettering(0.95 * size, MUTED))


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights apart by as little as makes neighbours at least ``gap`` distant.

    Args:
        heights: Wanted heights, in any order.
        gap: Smallest distance; positive.
    Returns: The new heights in the order of the input; groups keep their mean.
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    groups: list[list[int]] = []
    centres: list[float] = []
    for i in order:
        groups.append([i])
        centres.append(heights[i])
        while len(groups) > 1 and (
            centres[-1] - centres[-2] < gap * (len(groups[-1]) + len(groups[-2])) / 2
        ):
            last = groups.pop()
            groups[-1] += last
            centres.pop()
            centres[-1] = sum(heights[k] for k in groups[-1]) / len(groups[-1])
    placed = dict.fromkeys(order, 0.0)
    for group, centre in zip(groups, centres):
        for rank, i in enumerate(group):
            placed[i] = centre + gap * (rank - (len(group) - 1) / 2)
    return [placed[i] for i in range(len(heights))]
