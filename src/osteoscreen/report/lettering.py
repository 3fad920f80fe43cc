"""The words in a figure: one font for every machine, plain text only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from osteoscreen.report.palette import INK

FONT = "DejaVu Sans"
"""The font that matplotlib carries, so that a figure looks the same on every machine."""


@dataclass(frozen=True)
class Lettering:
    """How words look.

    Args:
        size: Height of the font in points.
        colour: Hexadecimal or named colour.
        side: Which end of the words is at the given place.
        is_bold: Whether the words are heavy.
        has_halo: Whether a dark rim sets the words off from a picture.
    """

    size: float
    colour: str = INK
    side: Literal["left", "center", "right"] = "center"
    is_bold: bool = False
    has_halo: bool = False


def write(axes: Axes, place: tuple[float, float], words: str, lettering: Lettering) -> None:
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
