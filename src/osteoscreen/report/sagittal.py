"""The sagittal overview of a report: the spine from the side, with the names of its vertebrae."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen import texts
from osteoscreen.report.drawing import Drawing, Lettering
from osteoscreen.report.overlay import add_letters, add_scale_bar
from osteoscreen.report.palette import INK, MUTED
from osteoscreen.report.slice_image import Window, slice_image

WIDTHS = (190.0, 250.0)
"""Least and most."""
HEIGHT = 515.0
"""At most: as tall as six slices beside it."""
NAMES = 34.0
"""Room for the names at the left, in units."""
SMALLEST_MM = 90.0
"""Depth that is shown at least: body, canal and processes."""
MARGIN_MM = 25.0
"""Shown above and below the marks where a series is long."""
LONGEST_MM = 420.0
NAME_GAP = 15.0
LETTERS = 38.0
"""Height of the letters above the lower edge, over the scale bar."""


@dataclass(frozen=True)
class NamedPlace:
    """A vertebra on the plane: its name, the row of its middle, the column of its front."""

    name: str
    row: float
    column: float


@dataclass(frozen=True, eq=False)
class SagittalPlane:
    """The spine from the side.

    Args:
        hu: CT in HU, axes (row, column); rows run to the feet, columns to the back.
        labels: Marks on the same grid: 1 vertebral body, 2 rest of the vertebra, 0 neither.
        spacing_mm: Distance between rows and between columns.
        names: The named vertebrae.
        shown: Rows of the axial slices that the overlay shows.
    """

    hu: NDArray[np.float32]
    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float]
    names: Sequence[NamedPlace] = ()
    shown: Sequence[int] = ()


def sagittal_drawing(plane: SagittalPlane) -> Drawing:
    """Draw the plane with the names at its left, and ticks at the slices of the overlay."""
    window = _window(plane)
    per_mm = min(HEIGHT / window.height, (WIDTHS[1] - NAMES) / window.width)
    width, height = window.width * per_mm, window.height * per_mm
    drawing = Drawing(NAMES + width, height)
    size = (drawing.pixels(width), drawing.pixels(height))
    drawing.paste(slice_image(plane.hu, plane.labels, plane.spacing_mm, window, size), (NAMES, 0))
    letters = (texts.ANTERIOR, texts.POSTERIOR)
    add_letters(drawing, (NAMES, 0), width, letters, at=max(height / 2, height - LETTERS))
    add_scale_bar(drawing, (drawing.width, height), per_mm, width)
    for row in plane.shown:
        y = (row * plane.spacing_mm[0] - window.top) * per_mm
        drawing.line([(drawing.width - 13, y), (drawing.width, y)], "black", 3)
        drawing.line([(drawing.width - 12, y), (drawing.width, y)], "white", 1.5)
    _add_names(drawing, plane, window, per_mm)
    return drawing


def _window(plane: SagittalPlane) -> Window:
    """Choose what is shown: the whole series, or around the marks where that is too long."""
    step_row, step_column = plane.spacing_mm
    top, height = -step_row / 2, plane.hu.shape[0] * step_row
    rows, columns = np.nonzero(plane.labels)
    if height > LONGEST_MM and rows.size:
        low, high = rows.min() * step_row - MARGIN_MM, rows.max() * step_row + MARGIN_MM
        end = min(top + height, max(high, low + SMALLEST_MM))
        top = max(top, low)
        height = end - top
    width = max(SMALLEST_MM, height * (WIDTHS[0] - NAMES) / HEIGHT)
    middle = columns.mean() if columns.size else (plane.hu.shape[1] - 1) / 2
    return Window(top, float(middle) * step_column - width / 2, height, width)


def _add_names(drawing: Drawing, plane: SagittalPlane, window: Window, per_mm: float) -> None:
    last = -NAME_GAP
    for one in sorted(plane.names, key=lambda place: place.row):
        y = (one.row * plane.spacing_mm[0] - window.top) * per_mm
        x = NAMES + (one.column * plane.spacing_mm[1] - window.left) * per_mm
        if not 0 <= y <= drawing.height:
            continue
        at = min(max(y, last + NAME_GAP, 8), drawing.height - 8)
        last = at
        drawing.write((NAMES - 8, at), one.name, Lettering(12.5, INK, "right", is_bold=True))
        drawing.line([(NAMES - 5, at), (NAMES, at)], MUTED)
        drawing.line([(NAMES, at), (max(x - 3, NAMES), y)], "black", 3)
        drawing.line([(NAMES, at), (max(x - 3, NAMES), y)], "white", 1)
