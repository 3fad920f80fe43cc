"""The pictures of a report as PNG: the ring of probabilities and the marked CT slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from osteoscreen.findings import CONDITIONS, Certainty, Probabilities
from osteoscreen.report import texts
from osteoscreen.report.lettering import FONT, Lettering, write
from osteoscreen.report.palette import (
    BODY_MARK,
    CONDITION_COLOURS,
    INK,
    MUTED,
    PAPER,
    REST_MARK,
)
from osteoscreen.report.ring import ring_figure

DPI = 200

MAX_PANELS = 6
WINDOW_LEVEL_HU = 150.0
WINDOW_WIDTH_HU = 700.0
"""Level and width between soft tissue and bone: spongy bone (0 to 300 HU) takes the middle greys
and cortical bone stays white, so the marks can be judged against both."""
MARGIN_MM = 60.0
"""Surroundings shown beyond the marks: enough to recognise aorta, psoas and spinal canal."""
SCALE_BARS_MM = (50.0, 10.0)
"""The first one that is shorter than half of the panel is drawn."""
FILL_OPACITY = 0.25
BODY_LABEL = 1
REST_LABEL = 2
PANEL_INCHES = 2.55
GAP_INCHES = 0.14
TITLE_INCHES = 0.26
BAR_INCHES = 0.42
LINE_INCHES = 0.26


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


def draw_ring(probabilities: Probabilities, path: Path | BytesIO, certainty: Certainty) -> None:
    """Write the ring of the three probabilities as PNG.

    Args:
        probabilities: The result's probabilities.
        path: File or buffer to write to.
        certainty: The result's.
    """
    _save(ring_figure(probabilities, certainty), path)


def draw_overlay(panels: Sequence[OverlayPanel], path: Path | BytesIO, *, caption: str) -> None:
    """Write up to six marked slices as PNG.

    Args:
        panels: One to six slices; marks may be empty.
        path: File or buffer to write to.
        caption: One line under the panels; may be empty.
    Raises:
        ValueError: If there is no panel, or more than six.
    """
    _save(overlay_figure(panels, caption=caption), path)


def overlay_figure(panels: Sequence[OverlayPanel], *, caption: str) -> Figure:
    """Draw the slices in a bone-friendly window with their marks, all at one scale.

    Marked slices are cropped to the marks and 60 mm around them. If no slice is marked, the
    whole field is shown.

    Raises:
        ValueError: If there is no panel, or more than six.
    """
    if not 1 <= len(panels) <= MAX_PANELS:
        raise ValueError(f"an overlay shows 1 to {MAX_PANELS} panels, got {len(panels)}")
    columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    panel = PANEL_INCHES if columns == 3 else 3 * PANEL_INCHES / 2
    bar = BAR_INCHES if any(p.probabilities for p in panels) else 0.0
    cell = TITLE_INCHES + panel + bar + GAP_INCHES
    width = columns * (panel + GAP_INCHES) - GAP_INCHES
    is_marked = any(one.labels.any() for one in panels)
    height = rows * cell + LINE_INCHES * (is_marked + bool(caption))
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    for i, (one, window) in enumerate(zip(panels, _windows_mm(panels))):
        left = (i % columns) * (panel + GAP_INCHES)
        bottom = height - (i // columns) * cell - TITLE_INCHES - panel
        axes = figure.add_axes((left / width, bottom / height, panel / width, panel / height))
        _show_slice(axes, one, window)
        if one.probabilities is not None:
            below = ((bottom - bar + 0.06) / height, (bar - 0.12) / height)
            _show_bar(
                figure.add_axes((left / width, below[0], panel / width, below[1])),
                one.probabilities,
            )
    _add_foot(figure, caption, is_marked=is_marked)
    return figure


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


def _windows_mm(panels: Sequence[OverlayPanel]) -> list[tuple[float, float, float]]:
    """Choose for each panel (top, left, side) of a square in mm, one side for all panels.

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
        corner = [
            _slide(middle - side / 2, side, extent, step)
            for middle, extent, step in zip(centre, field, panel.spacing_mm)
        ]
        windows.append((corner[0], corner[1], side))
    return windows


def _slide(low: float, side: float, extent: float, step: float) -> float:
    """Move a window of length ``side`` into the image, or centre it on a shorter image."""
    edge = -step / 2
    if side >= extent:
        return edge + (extent - side) / 2
    return min(max(low, edge), edge + extent - side)


def _show_slice(axes: Axes, panel: OverlayPanel, window: tuple[float, float, float]) -> None:
    """Show one slice in millimetres, so that unequal spacing keeps the patient's proportions."""
    step_row, step_column = panel.spacing_mm
    rows, columns = panel.hu.shape
    extent = (
        -step_column / 2,
        (columns - 0.5) * step_column,
        (rows - 0.5) * step_row,
        -step_row / 2,
    )
    axes.imshow(
        panel.hu,
        cmap="gray",
        vmin=WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2,
        vmax=WINDOW_LEVEL_HU + WINDOW_WIDTH_HU / 2,
        extent=extent,
        interpolation="bilinear",
        aspect="equal",
    )
    body = panel.labels == BODY_LABEL
    fill = np.zeros((*body.shape, 4), dtype=np.float32)
    fill[body] = to_rgba(BODY_MARK, FILL_OPACITY)
    axes.imshow(fill, extent=extent, interpolation="nearest", aspect="equal")
    _outline(axes, panel.labels == REST_LABEL, panel.spacing_mm, REST_MARK, style="dashed")
    _outline(axes, body, panel.spacing_mm, BODY_MARK, style="solid")
    top, left, side = window
    axes.set(xlim=(left, left + side), ylim=(top + side, top), facecolor="black")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(
        panel.title, fontsize=9, color=INK, fontfamily=FONT, pad=5, loc="left", parse_math=False
    )
    _add_orientation_and_scale(axes, window)
    if not panel.labels.any():
        place = (left + side / 2, top + 0.06 * side)
        write(axes, place, texts.NO_MARK, Lettering(9, "white", has_halo=True))


def _outline(
    axes: Axes,
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
    colour: str,
    *,
    style: str,
) -> None:
    """Draw the contour of a mask; a mask at the edge of the image is closed along the edge."""
    if not mask.any():
        return
    padded = np.pad(mask.astype(np.float32), 1)
    ys = np.arange(-1, mask.shape[0] + 1) * spacing_mm[0]
    xs = np.arange(-1, mask.shape[1] + 1) * spacing_mm[1]
    lines = axes.contour(
        xs, ys, padded, levels=[0.5], colors=[colour], linewidths=1.1, linestyles=style
    )
    lines.set_path_effects([withStroke(linewidth=2.0, foreground="black")])


def _add_orientation_and_scale(axes: Axes, window: tuple[float, float, float]) -> None:
    """Letter the patient's right and left, and draw a scale bar."""
    top, left, side = window
    for x, letter in ((0.035, "R"), (0.965, "L")):
        place = (left + x * side, top + side / 2)
        write(axes, place, letter, Lettering(9, "white", is_bold=True, has_halo=True))
    bar = next((length for length in SCALE_BARS_MM if length < side / 2), None)
    if bar is None:
        return
    right, y = left + 0.95 * side, top + 0.945 * side
    axes.plot(
        [right - bar, right],
        [y, y],
        color="white",
        linewidth=1.8,
        solid_capstyle="butt",
        path_effects=[withStroke(linewidth=3.4, foreground="black")],
    )
    place = (right - bar / 2, y - 0.04 * side)
    write(axes, place, f"{bar:g} mm", Lettering(8, "white", has_halo=True))


def _show_bar(axes: Axes, probabilities: Probabilities) -> None:
    """Show one slice's probabilities as a thin bar, with the most probable condition in words."""
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    left = 0.0
    for condition, value in zip(CONDITIONS, probabilities.as_tuple()):
        axes.add_patch(
            Rectangle((left, 0.72), value, 0.28, color=CONDITION_COLOURS[condition], linewidth=0)
        )
        left += value
    words = f"{probabilities.condition.label} {texts.percent(max(probabilities.as_tuple()))}"
    write(axes, (0, 0.26), words, Lettering(8.5, MUTED, side="left"))


def _add_foot(figure: Figure, caption: str, *, is_marked: bool) -> None:
    """Add the legend of the marks and the caption below the panels."""
    inches = figure.get_figheight()
    if is_marked:
        keys = [
            Patch(facecolor=to_rgba(BODY_MARK, 0.6), edgecolor=INK, label=texts.BODY),
            Line2D([], [], color=INK, linestyle="dashed", linewidth=1.2, label=texts.REST),
        ]
        figure.legend(
            handles=keys,
            loc="center left",
            bbox_to_anchor=(0.005, LINE_INCHES * (0.5 + bool(caption)) / inches),
            ncols=2,
            frameon=False,
            prop={"family": FONT, "size": 8.5},
            labelcolor=INK,
            borderpad=0,
            borderaxespad=0,
        )
    figure.text(
        0,
        LINE_INCHES / 2 / inches,
        caption,
        fontsize=8.5,
        color=MUTED,
        fontfamily=FONT,
        va="center",
        parse_math=False,
    )


def _save(figure: Figure, path: Path | BytesIO) -> None:
    """Write PNG without the time or the library's version, so equal figures are equal files."""
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})
