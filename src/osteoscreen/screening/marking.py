"""Marks: MS-Net on every slice of a standing volume, brought back to the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.box import box_of
from osteoscreen.bundle import BATCH, Bundle
from osteoscreen.cores import on_all_cores
from osteoscreen.screening.grid import Grid, coarse, grey, restore
from osteoscreen.volume import Volume


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

    def labels(self, at: Any = ...) -> NDArray[np.uint8]:  # noqa: ANN401 - as numpy indexes
        """Labels as they are stored: 1 vertebral body, 2 rest of the vertebra.

        Args:
            at: Index of the part that is wanted, as numpy takes it; all by default.
        """
        return np.where(self.body[at], np.uint8(1), self.vertebra[at] * np.uint8(2))


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

    def mark(start: int) -> int:
        """Mark a few slices; no two calls write to the same ones."""
        chunk = volume.hu[start : start + BATCH]
        views = np.stack([coarse(hu, spacing, grid) for hu in chunk])
        marks = bundle.marks(grey(views, settings.window_hu))
        for index, slice_marks in enumerate(marks, start=start):
            for name, mark in zip(settings.marks, slice_marks):
                channels[name][index] = restore(
                    mark, grid, (shape[1], shape[2]), spacing, settings.threshold
                )
            _keep_vertebrae(channels["vertebra"][index], channels["body"][index], spacing)
        return len(chunk)

    for count in on_all_cores(mark, range(0, shape[0], BATCH)):
        if advance:
            advance(count)
    return Marks(channels["vertebra"], channels["body"])


MIN_PIECE_SHARE = 0.02
"""Smaller islands are noise: a facet seen in cross-section is 3 % of a vertebra and more."""

BODY_SHARE = 0.1
"""Smaller pieces of body marks are noise. On the development CT 0.05 and 0.1 are alike and 0.3 is a
little worse (thousandths of Dice); one piece alone lost L5 before a steep sacrum."""

REACH_MM = 30.0
"""Gap between a body and a piece of its arch: the canal is 14 to 18 mm deep, the tip of a spinous
process may lie apart."""

SIDES, SIDES_AND_CORNERS = (ndimage.generate_binary_structure(2, reach) for reach in (1, 2))
"""What makes two pixels one piece: to touch at a side, or at a corner as well."""


def _keep_vertebrae(
    vertebra: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> None:
    """Keep, in place, the bodies of a slice and the pieces of the vertebra within their reach.

    A slice may show two bodies, where the spine is curved, or the front and the back of one, where
    its endplate is hollow: what is near the largest piece and not much smaller. Facets and the
    spinous process are often parted from it in the plane; they lie beside or behind it, never in
    front.
    """
    box = box_of(vertebra | body)
    if box is None:
        return
    vertebra, body = vertebra[box], body[box]
    if body.any():
        pieces, sizes, boxes = _pieces(body, SIDES)
        largest = int(sizes.argmax())
        is_kept = [
            size >= BODY_SHARE * sizes[largest]
            and _gap_mm(box, boxes[largest], spacing_mm) <= REACH_MM
            for size, box in zip(sizes, boxes)
        ]
        kept = np.array([True, *is_kept])[pieces]
        body &= kept
        vertebra &= kept
        vertebra |= body
    if not vertebra.any():
        return
    pieces, sizes, boxes = _pieces(vertebra, SIDES_AND_CORNERS)
    is_held = np.bincount(pieces[body], minlength=len(sizes) + 1)[1:] > 0
    largest = int(np.where(is_held | ~is_held.any(), sizes, 0).argmax())
    is_kept = [
        is_body
        or (
            size >= MIN_PIECE_SHARE * sizes.max()
            and _gap_mm(box, boxes[largest], spacing_mm) <= REACH_MM
            and box[0].stop > boxes[largest][0].start
        )
        for is_body, size, box in zip(is_held, sizes, boxes)
    ]
    vertebra[:] = np.array([False, *is_kept])[pieces]


def _pieces(
    mark: NDArray[np.bool_], touching: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int64], list[tuple[slice, slice]]]:
    """Number the pieces of a mark, by what counts as touching; their sizes and boxes."""
    pieces, _ = ndimage.label(mark, touching)
    return pieces, np.bincount(pieces.ravel())[1:], ndimage.find_objects(pieces)


def _gap_mm(
    one: tuple[slice, slice], other: tuple[slice, slice], spacing_mm: tuple[float, float]
) -> float:
    """Distance between two boxes along the axis on which they are further apart, mm."""
    gaps = [max(a.start - b.stop, b.start - a.stop, 0) for a, b in zip(one, other)]
    return float(max(gap * spacing for gap, spacing in zip(gaps, spacing_mm)))
