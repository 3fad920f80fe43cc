"""The marked CT slices of a report side by side, all at one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen import texts
from osteoscreen.findings import CONDITIONS, Probabilities
from osteoscreen.report.drawing import Drawing, Lettering, Place
from osteoscreen.report.palette import BODY_MARK, CONDITION_COLOURS, INK, MUTED, REST_MARK
from osteoscreen.report.slice_image import Window, slice_image

MAX_PANELS = 6
WIDTH = 600.0
MARGIN_MM = 40.0
"""Surroundings shown beyond the marks: enough to recognise aorta, psoas and spinal canal."""
SCALE_BARS_MM = (50.0, 10.0)
LONGEST_BAR = 0.6
"""The first one that is shorter than this share of the picture's width is drawn."""
GAP = 12.0
TITLE = 22.0
BAR = 32.0
LEGEND = 22.0
SMALL = 11.5


@dataclass(frozen=True, eq=False)
class OverlayPanel:
    """One axial slice and its marks.

    Args:
        hu: CT in HU, axes (row, column); rows run to the back, columns to the patient's left.
        labels: Marks on the same grid: 1 vertebral body, 2 rest of the vertebra, 0 neither.
        spacing_mm: Distance between neighbouring rows and between neighbouring columns.
        title: Name of the slice, such as "slice 12".
        probabilities: What the slice says by itself; ``None`` if it was not classified.
    Raises:
        ValueError: If the two arrays differ in shape, are not planes, or a spacing is not positive.
    """

    hu: NDArray[np.float32]
    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float]
    title: str
    probabilities: Probabilities | None = None

    def __post_init__(self) -> None:
        if self.hu.ndim != 2 or self.hu.shape != self.labels.shape:
            raise ValueError(
                "a panel needs one plane of HU and marks of the same shape, "
                f"got {self.hu.shape} and {self.labels.shape}"
            )
        if not all(math.isfinite(step) and step > 0 for step in self.spacing_mm):
            raise ValueError(f"the spacing of a panel must be positive, got {self.spacing_mm}")


def overlay_drawing(panels: Sequence[OverlayPanel]) -> Drawing:
    """Draw the slices in a bone-friendly window with their marks, all at one scale.

    Marked slices are cropped to the marks and 40 mm around them. If no slice is marked, the
    whole field is shown.

    Args:
        panels: One to six slices; marks may be empty.
    Raises:
        ValueError: If there is no panel, or more than six.
    """
    if not 1 <= len(panels) <= MAX_PANELS:
        raise ValueError(f"an overlay shows 1 to {MAX_PANELS} panels, got {len(panels)}")
    columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    side = (WIDTH - 2 * GAP) / 3 if columns == 3 else (WIDTH - GAP) / 2
    cell = TITLE + side + BAR * any(one.probabilities for one in panels)
    is_marked = any(one.labels.any() for one in panels)
    width = columns * (side + GAP) - GAP
    drawing = Drawing(width, rows * cell + GAP * (rows - 1) + LEGEND * is_marked)
    for at, (one, window) in enumerate(zip(panels, crop_windows(panels))):
        corner = ((at % columns) * (side + GAP), (at // columns) * (cell + GAP))
        drawing.write(
            (corner[0], corner[1] + TITLE / 2 - 1), one.title, Lettering(SMALL, INK, "left")
        )
        _show_slice(drawing, one, window, (corner[0], corner[1] + TITLE), side)
        if one.probabilities is not None:
            _show_bar(drawing, one.probabilities, (corner[0], corner[1] + TITLE + side), side)
    if is_marked:
        _add_legend(drawing, drawing.height - LEGEND / 2)
    return drawing


def _centre_and_size_mm(panel: OverlayPanel) -> tuple[float, float, float] | None:
    """Row and column centre of the marks and their larger extent; ``None`` without marks."""
    rows, columns = np.nonzero(panel.labels)
    if not rows.size:
        return None
    step_row, step_column = panel.spacing_mm
    return (
        float(rows.min() + rows.max()) / 2 * step_row,
        float(columns.min() + columns.max()) / 2 * step_column,
        float(max(np.ptp(rows) * step_row, np.ptp(columns) * step_column)),
    )


def crop_windows(panels: Sequence[OverlayPanel]) -> list[Window]:
    """Choose for each panel the square that is shown, one side for all panels.

    A panel without marks is centred like the mean of the others.
    """
    fields = [
        ((p.hu.shape[0]) * p.spacing_mm[0], (p.hu.shape[1]) * p.spacing_mm[1]) for p in panels
    ]
    whole = max(max(field) for field in fields)
    marks = [_centre_and_size_mm(panel) for panel in panels]
    known = [mark for mark in marks if mark is not None]
    side = min(whole, max((mark[2] for mark in known), default=whole) + 2 * MARGIN_MM)
    windows = []
    for panel, field, mark in zip(panels, fields, marks):
        if mark is not None:
            centre = (mark[0], mark[1])
        elif known:
            row, column = np.mean([m[:2] for m in known], axis=0)
            centre = (float(row), float(column))
        else:
            centre = (field[0] / 2, field[1] / 2)
        top, left = (
            _slide(middle - side / 2, side, extent, step)
            for middle, extent, step in zip(centre, field, panel.spacing_mm)
        )
        windows.append(Window(top, left, side, side))
    return windows


def _slide(low: float, side: float, extent: float, step: float) -> float:
    """Move a window of length ``side`` into the image, or centre it on a shorter image."""
    edge = -step / 2
    if side >= extent:
        return edge + (extent - side) / 2
    return min(max(low, edge), edge + extent - side)


def _show_slice(
    drawing: Drawing, panel: OverlayPanel, window: Window, corner: Place, side: float
) -> None:
    pixels = drawing.pixels(side)
    image = slice_image(panel.hu, panel.labels, panel.spacing_mm, window, (pixels, pixels))
    drawing.paste(image, corner)
    add_letters(drawing, corner, side, (texts.RIGHT, texts.LEFT), at=corner[1] + side / 2)
    add_scale_bar(drawing, (corner[0] + side, corner[1] + side), side / window.width, side)
    if not panel.labels.any():
        place = (corner[0] + side / 2, corner[1] + 0.06 * side)
        drawing.write(place, texts.NO_MARK, Lettering(SMALL, "white", has_halo=True))


def add_letters(
    drawing: Drawing, corner: Place, width: float, letters: tuple[str, str], *, at: float
) -> None:
    """Letter the left and the right edge of a picture, such as the patient's right and left."""
    for x, letter in zip((corner[0] + 9, corner[0] + width - 9), letters):
        drawing.write((x, at), letter, Lettering(12, "white", is_bold=True, has_halo=True))


def add_scale_bar(drawing: Drawing, corner: Place, per_mm: float, width: float) -> None:
    """Draw a scale bar inside the lower right corner of a picture, if one fits.

    Args:
        drawing: The sheet.
        corner: Lower right corner of the picture.
        per_mm: Units of the drawing to a millimetre.
        width: Of the picture, in units.
    """
    length_mm = next((one for one in SCALE_BARS_MM if one * per_mm < LONGEST_BAR * width), None)
    if length_mm is None:
        return
    right, y = corner[0] - 10, corner[1] - 11
    left = right - length_mm * per_mm
    drawing.line([(left - 1, y), (right + 1, y)], "black", 4)
    drawing.line([(left, y), (right, y)], "white", 2)
    words = f"{length_mm:g} {texts.MM}"
    place = ((left + right) / 2, y - 9)
    drawing.write(place, words, Lettering(10.5, "white", has_halo=True))


def _show_bar(drawing: Drawing, probabilities: Probabilities, corner: Place, side: float) -> None:
    """Show one slice's probabilities as a thin bar, with the most probable condition in words."""
    left, top = corner
    for condition, value in zip(CONDITIONS, probabilities.as_tuple()):
        drawing.box((left, top + 4), (value * side, 7), CONDITION_COLOURS[condition])
        left += value * side
    words = (
        f"{texts.LABELS[probabilities.condition]} {texts.percent(max(probabilities.as_tuple()))}"
    )
    drawing.write((corner[0], top + 21), words, Lettering(SMALL, MUTED, "left"))


def _add_legend(drawing: Drawing, y: float) -> None:
    """Say below the panels what the marks are."""
    dark = "#3c4650"
    for x, words, is_body in ((0.0, texts.BODY, True), (130.0, texts.REST, False)):
        drawing.box((x, y - 6), (20, 12), dark)
        if is_body:
            drawing.box((x + 3, y - 4), (14, 8), BODY_MARK)
        else:
            drawing.dashes((x + 2, y), (x + 19, y), REST_MARK, width=2)
        drawing.write((x + 27, y), words, Lettering(SMALL, MUTED, "left"))
