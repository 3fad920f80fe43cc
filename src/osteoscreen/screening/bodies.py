"""Which vertebra each voxel of the marked bodies belongs to.

An axial slice through a curved spine cuts two bodies, so slices alone do not part them. Bodies are
compact and lie in a row: each voxel goes to the nearest centre, the centres move to the middle of
what they got, and again (Lloyd's algorithm, k-means), beginning in the middle of the named spans.
The border between two centres is a plane across the line that joins them, tilted as the disc is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from osteoscreen.screening.levels import ABOVE, BELOW, Span

ROUNDS = 12
ENOUGH_VOXELS = 40_000
"""Voxels that the centres are found with; the others only follow."""


def part_bodies(
    body: NDArray[np.bool_], spans: Sequence[Span], spacing_mm: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """Give each voxel of the bodies its span.

    Args:
        body: Mark of the bodies, shape (slices, rows, columns).
        spans: Rising, all slices among them; what is marked above and below the named ones is left
            out.
        spacing_mm: Spacing (slice, row, column).
    Returns: 0 outside the mark, k + 1 for span k; shape of the mark.
    """
    labels = np.zeros(body.shape, np.uint8)
    places = np.argwhere(body)
    span_of = np.repeat(np.arange(len(spans)), [one.stop - one.start for one in spans])
    is_named = np.array([one.place not in (ABOVE, BELOW) for one in spans])
    places = places[is_named[span_of[places[:, 0]]]]
    if not len(places):
        return labels
    points, owner = places * np.array(spacing_mm), span_of[places[:, 0]]
    sample = slice(None, None, max(1, len(points) // ENOUGH_VOXELS))
    seen, own = points[sample], owner[sample]
    for _ in range(ROUNDS):
        kept = np.unique(own)
        centres = np.stack([seen[own == number].mean(axis=0) for number in kept])
        own = kept[_nearest(seen, centres)]
    labels[tuple(places.T)] = kept[_nearest(points, centres)] + 1
    return labels


def _nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the nearest centre of each point."""
    apart = -2 * points @ centres.T + (centres**2).sum(axis=1)
    return np.asarray(apart.argmin(axis=1))
