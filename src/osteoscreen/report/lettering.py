"""The words in a matplotlib figure: one font for every machine, plain text only."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from osteoscreen.report.drawing import Lettering, Place

FONT = "DejaVu Sans"
"""The font that matplotlib carries, so that a figure looks the same on every machine."""


def write(axes: Axes, place: Place, words: str, lettering: Lettering) -> None:
    """Write words at a place in data coordinates, vertically centred; "$" has no meaning."""
    axes.text(
        *place,
        words,
        fontsize=lettering.size,
        fontfamily=FONT,
        fontweight="bold" if lettering.is_bold else "normal",
        color=lettering.colour,
        ha=lettering.side,
        va="center",
        linespacing=1.15,
        parse_math=False,
        path_effects=[withStroke(linewidth=2, foreground="black")] if lettering.has_halo else None,
    )
