"""Marks: MS-Net on every slice of a standing volume, brought back to the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.bundle import Bundle
from osteoscreen.screening.grid import AIR_HU, Grid, grey, restore, sample, smooth
from osteoscreen.volume import Volume

CHUNK = 8
"""Slices marked at a time, so that progress shows and memory stays flat."""


@dataclass(frozen=True, eq=False)
class Marks:
    """Vertebra marks of a volume, axes as its own.

    Args:
        vertebra: The whole vertebra, body included.
        body: The vertebral body; empty where the bundle does not mark it.
    """

    vertebra: NDArray[np.bool_]
    body: NDArray[np.bool_]

    def labels(self) -> NDArray[np.uint8]:
        """Labels as they are stored: 1 vertebral body, 2 rest of the vertebra."""
        return np.where(self.body, 1, np.where(self.vertebra, 2, 0)).astype(np.uint8)


def mark_volume(
    volume: Volume, bundle: Bundle, *, advance: Callable[[int], None] | None = None
) -> Marks:
    """Mark the vertebrae in every slice.

    Args:
        volume: Standing CT in HU.
        bundle: Model bundle.
        advance: Called with the number of slices just marked.
    Returns: Marks of the volume's shape; in each slice one body stays, with the pieces of its arch.
    """
    settings = bundle.settings.segmenter
    shape = volume.hu.shape
    spacing = volume.spacing_mm[1:]
    fitted = max(shape[1] * spacing[0], shape[2] * spacing[1]) / settings.size
    grid = Grid(settings.size, settings.spacing_mm or fitted)
    channels = {name: np.zeros(shape, bool) for name in ("vertebra", "body")}
    for start in range(0, shape[0], CHUNK):
        chunk = volume.hu[start : start + CHUNK]
        views = [_view(hu, spacing, grid) for hu in chunk]
        marks = bundle.marks(grey(np.stack(views), settings.window_hu))
        for offset, slice_marks in enumerate(marks):
            for name, mark in zip(settings.marks, slice_marks):
                image = restore(mark, grid, (shape[1], shape[2]), spacing)
                channels[name][start + offset] = image >= settings.threshold
        if advance:
            advance(len(chunk))
    for index in range(shape[0]):
        _keep_one_vertebra(channels["vertebra"][index], channels["body"][index], spacing)
    return Marks(channels["vertebra"], channels["body"])


def _view(hu: NDArray[np.float32], spacing: tuple[float, float], grid: Grid) -> NDArray[np.float32]:
    filtered = smooth(hu, spacing, grid.spacing_mm)
    return np.asarray(sample(filtered, spacing, grid, outside=AIR_HU), dtype=np.float32)


MIN_PIECE_SHARE = 0.02
"""Smaller islands are noise: a facet seen in cross-section is 3 % of a vertebra and more."""

REACH_MM = 30.0
"""Gap between a body and a piece of its arch: the canal is 14 to 18 mm deep, the tip of a spinous
process may lie apart."""


def _keep_one_vertebra(
    vertebra: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> None:
    """Keep, in place, the largest body of a slice and the pieces of the vertebra within its reach.

    A slice shows one vertebral body at most. Facets and the spinous process are often parted from
    it in the plane; they lie beside or behind it, never in front.
    """
    if body.any():
        pieces, _ = ndimage.label(body)
        others = body & (pieces != np.bincount(pieces.ravel())[1:].argmax() + 1)
        body &= ~others
        vertebra &= ~others
        vertebra |= body
    if not vertebra.any():
        return
    pieces, count = ndimage.label(vertebra, structure=np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    largest = int(pieces[body].max() if body.any() else sizes.argmax() + 1)
    boxes = ndimage.find_objects(pieces)
    for number in range(1, count + 1):
        is_near = _gap_mm(boxes[number - 1], boxes[largest - 1], spacing_mm) <= REACH_MM
        is_behind = boxes[number - 1][0].stop > boxes[largest - 1][0].start
        if not (is_near and is_behind and sizes[number - 1] >= MIN_PIECE_SHARE * sizes.max()):
            vertebra &= pieces != number


def _gap_mm(
    one: tuple[slice, slice], other: tuple[slice, slice], spacing_mm: tuple[float, float]
) -> float:
    """Distance between two boxes along the axis on which they are further apart, mm."""
    gaps = [max(a.start - b.stop, b.start - a.stop, 0) for a, b in zip(one, other)]
    return float(max(gap * spacing for gap, spacing in zip(gaps, spacing_mm)))
