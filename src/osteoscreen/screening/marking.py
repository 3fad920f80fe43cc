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

    @property
    def body_or_vertebra(self) -> NDArray[np.bool_]:
        """The bodies; the whole vertebrae where the bundle does not mark bodies."""
        return self.body if self.body.any() else self.vertebra

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
    Returns: Marks of the volume's shape; in each slice the bodies stay, with the pieces of their
        arches.
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
        _keep_vertebrae(channels["vertebra"][index], channels["body"][index], spacing)
    return Marks(channels["vertebra"], channels["body"])


def _view(hu: NDArray[np.float32], spacing: tuple[float, float], grid: Grid) -> NDArray[np.float32]:
    filtered = smooth(hu, spacing, grid.spacing_mm)
    return np.asarray(sample(filtered, spacing, grid, outside=AIR_HU), dtype=np.float32)


MIN_PIECE_SHARE = 0.02
"""Smaller islands are noise: a facet seen in cross-section is 3 % of a vertebra and more."""

BODY_SHARE = 0.1
"""Smaller pieces of body marks are noise. On the development CT 0.05 and 0.1 are alike and 0.3 is a
little worse (thousandths of Dice); one piece alone lost L5 before a steep sacrum."""

REACH_MM = 30.0
"""Gap between a body and a piece of its arch: the canal is 14 to 18 mm deep, the tip of a spinous
process may lie apart."""


def _keep_vertebrae(
    vertebra: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> None:
    """Keep, in place, the bodies of a slice and the pieces of the vertebra within their reach.

    A slice may show two bodies, where the spine is curved, or the front and the back of one, where
    its endplate is hollow: what is near the largest piece and not much smaller. Facets and the
    spinous process are often parted from it in the plane; they lie beside or behind it, never in
    front.
    """
    if body.any():
        pieces, _ = ndimage.label(body)
        sizes, boxes = np.bincount(pieces.ravel())[1:], ndimage.find_objects(pieces)
        largest = int(sizes.argmax())
        kept = [
            number
            for number, box in enumerate(boxes)
            if sizes[number] >= BODY_SHARE * sizes[largest]
            and _gap_mm(box, boxes[largest], spacing_mm) <= REACH_MM
        ]
        others = body & ~np.isin(pieces, np.array(kept) + 1)
        body &= ~others
        vertebra &= ~others
        vertebra |= body
    if not vertebra.any():
        return
    pieces, count = ndimage.label(vertebra, structure=np.ones((3, 3)))
    sizes, boxes = np.bincount(pieces.ravel())[1:], ndimage.find_objects(pieces)
    held = np.unique(pieces[body]) if body.any() else np.arange(1, count + 1)
    largest = int(held[sizes[held - 1].argmax()] - 1)
    for number, box in enumerate(boxes):
        is_body = body.any() and number + 1 in held
        is_near = _gap_mm(box, boxes[largest], spacing_mm) <= REACH_MM
        is_behind = box[0].stop > boxes[largest][0].start
        is_large = sizes[number] >= MIN_PIECE_SHARE * sizes.max()
        if not (is_body or (is_near and is_behind and is_large)):
            vertebra &= pieces != number + 1


def _gap_mm(
    one: tuple[slice, slice], other: tuple[slice, slice], spacing_mm: tuple[float, float]
) -> float:
    """Distance between two boxes along the axis on which they are further apart, mm."""
    gaps = [max(a.start - b.stop, b.start - a.stop, 0) for a, b in zip(one, other)]
    return float(max(gap * spacing for gap, spacing in zip(gaps, spacing_mm)))
