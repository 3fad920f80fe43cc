"""Pictures of CT slices in rows and columns (the paper's Figures 4 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from osteoscreen.report.lettering import FONT
from osteoscreen.report.palette import BODY_MARK, INK, PAPER, REST_MARK

WINDOW_HU = (-200.0, 500.0)
MARGIN = 0.6
"""Surroundings of a vertebra that are shown, in units of its larger side."""
CELL_INCHES = 1.75


@dataclass(frozen=True, eq=False)
class Marked:
    """A slice with its reference and its mark.

    Args:
        hu: CT, shape (rows, columns).
        reference: What should be marked, same shape.
        mark: What was marked, same shape.
        title: Words above it.
    """

    hu: NDArray[np.float32]
    reference: NDArray[np.bool_]
    mark: NDArray[np.bool_]
    title: str


@dataclass(frozen=True, eq=False)
class Look:
    """A slice and its roi.

    Args:
        hu: CT, shape (rows, columns).
        mark: The vertebra, same shape.
        roi: What BCC-Net sees, grey 0 to 255.
        title: Words above it.
    """

    hu: NDArray[np.float32]
    mark: NDArray[np.bool_]
    roi: NDArray[np.float32]
    title: str


def marks_figure(columns: Sequence[Marked]) -> Figure:
    """Show CT, reference, mark and segmented image of some slices (Figure 4).

    Args:
        columns: The slices, one at least.
    """
    names = ("CT image", "Reference", "MS-Net", "CT × mark")
    figure, cells = _cells(names, len(columns))
    for column, one in enumerate(columns):
        window = _around(one.reference | one.mark)
        hu, reference, mark = one.hu[window], one.reference[window], one.mark[window]
        low, high = WINDOW_HU
        pictures = (hu, hu, hu, np.where(mark, hu, low))
        for row, picture in enumerate(pictures):
            axes = cells[row][column]
            axes.imshow(picture, cmap="gray", vmin=low, vmax=high)
            shown, colour = {1: (reference, REST_MARK), 2: (mark, BODY_MARK)}.get(row, (None, ""))
            if shown is not None and shown.any() and not shown.all():
                axes.contour(shown, levels=[0.5], colors=[colour], linewidths=1.2)
        cells[0][column].set_title(one.title, fontsize=8.5, color=INK, fontfamily=FONT)
    return figure


def looks_figure(columns: Sequence[Look]) -> Figure:
    """Show slices that look alike, and what BCC-Net sees of them (Figure 8).

    Args:
        columns: The slices, one at least.
    """
    figure, cells = _cells(("CT image", "ROI"), len(columns))
    for column, one in enumerate(columns):
        low, high = WINDOW_HU
        cells[0][column].imshow(one.hu[_around(one.mark)], cmap="gray", vmin=low, vmax=high)
        cells[1][column].imshow(one.roi, cmap="gray", vmin=0, vmax=160)
        cells[0][column].set_title(one.title, fontsize=8.5, color=INK, fontfamily=FONT)
    return figure


def _cells(names: Sequence[str], columns: int) -> tuple[Figure, list[list[Axes]]]:
    size = (CELL_INCHES * columns + 0.35, CELL_INCHES * len(names) + 0.35)
    figure = Figure(figsize=size, facecolor=PAPER, layout="constrained")
    grid = figure.subplots(len(names), columns, squeeze=False)
    for row, name in zip(grid, names):
        for axes in row:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(name, fontsize=8.5, color=INK, fontfamily=FONT)
    return figure, [list(row) for row in grid]


def _around(mark: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return a square around a mark with its surroundings, as far as the image goes."""
    if not mark.any():
        return slice(None), slice(None)
    ends = [np.flatnonzero(mark.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    half = (0.5 + MARGIN) * max(high - low + 1 for low, high in ends)
    windows = []
    for (low, high), length in zip(ends, mark.shape):
        middle = (low + high) / 2
        windows.append(slice(max(0, int(middle - half)), min(length, int(middle + half) + 1)))
    return windows[0], windows[1]
