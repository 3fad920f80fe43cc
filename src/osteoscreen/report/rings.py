"""A grid of rings, as Figure 9 of the paper (section 3.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from osteoscreen import texts
from osteoscreen.findings import CONDITIONS, Certainty, Probabilities
from osteoscreen.report.drawing import Lettering
from osteoscreen.report.lettering import FONT, write
from osteoscreen.report.palette import INK, MUTED, PAPER
from osteoscreen.report.ring import RING_WIDTH, centre_words, condition_colour, wedge_spans


@dataclass(frozen=True)
class Ring:
    """A ring of a grid.

    Args:
        probabilities: Of one patient.
        certainty: How much is said.
    """

    probabilities: Probabilities
    certainty: Certainty


def rings_figure(rows: Mapping[str, Sequence[Ring | None]]) -> Figure:
    """Draw a grid of rings.

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
            if ring is not None:
                _add_ring(axes, ring)
    return figure


def _add_ring(axes: Axes, ring: Ring) -> None:
    is_clear = ring.certainty is Certainty.CLEAR
    for condition, (start, end) in zip(CONDITIONS, wedge_spans(ring.probabilities)):
        if end > start:
            axes.add_patch(
                Wedge(
                    (0, 0),
                    1,
                    start,
                    end,
                    width=RING_WIDTH,
                    facecolor=condition_colour(condition, is_clear=is_clear),
                    edgecolor=PAPER if is_clear else MUTED,
                    linewidth=1.2 if is_clear else 0.8,
                    linestyle="-" if is_clear else "--",
                    hatch=None if is_clear else "////",
                )
            )
    is_doubtful = ring.certainty is Certainty.DOUBTFUL
    words = centre_words(ring.probabilities, ring.certainty)
    write(axes, (0, 0.12 if is_doubtful else 0), words, Lettering(8.5, is_bold=True))
    if is_doubtful:
        write(axes, (0, -0.32), texts.DOUBTFUL, Lettering(8, MUTED))
    shares = " / ".join(f"{value:.1%}" for value in ring.probabilities.as_tuple())
    write(axes, (0, -1.28), shares, Lettering(7.5, MUTED))
