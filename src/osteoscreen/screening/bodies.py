"""Which vertebra each voxel of the marked bodies belongs to.

An axial slice through a curved spine cuts two bodies, so slices alone do not part them. Spans are
carried over along the planes across the spine; then the border of each pair of neighbours is laid
anew: across the line that joins their centres, where it passes the fewest marked voxels, which is
the disc. Centres and borders follow each other until no voxel moves, as in k-means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.box import places_of
from osteoscreen.screening.centreline import slices_across
from osteoscreen.screening.levels import ABOVE, BELOW, Span

ROUNDS = 4
"""As often at most; most spines stand still after one or two."""
BIN_MM = 1.0
BLUR_MM = 2.0
"""Width of the bell over which the voxels along the line are counted."""
MIDDLE = (0.2, 0.8)
"""The border lies in this part of the line from centre to centre."""
PULL = 1.0
"""How much it is drawn to the middle where all places pass as many voxels."""


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
    places = places_of(body)
    span_of = np.repeat(np.arange(len(spans)), [one.stop - one.start for one in spans])
    across = np.clip(slices_across(places, len(body), spacing_mm), 0, len(body) - 1)
    owner = span_of[across]
    seen = np.bincount(owner, minlength=len(spans)) > 0
    numbers = [
        number
        for number, span in enumerate(spans)
        if seen[number] and span.place not in (ABOVE, BELOW)
    ]
    parts = [places[owner == number].T.astype(np.float64) for number in numbers]
    for _ in range(ROUNDS):
        before = list(parts)
        for upper in range(1, len(parts)):
            lower = upper - 1
            parts[lower], parts[upper] = _part(parts[lower], parts[upper], spacing_mm)
        if all(part is same for part, same in zip(parts, before)):
            break
    for number, part in zip(numbers, parts):
        labels[tuple(part.astype(int))] = number + 1
    return labels


def _part(
    lower: NDArray[np.float64], upper: NDArray[np.float64], spacing_mm: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Part two neighbours anew; they themselves where no voxel moves.

    Each is given as the indices of its voxels, shape (3, voxels).
    """
    low, high = (part.mean(axis=1) * spacing_mm for part in (lower, upper))
    length = float(np.linalg.norm(high - low))
    if length < BIN_MM:
        return lower, upper
    along = (high - low) / length
    both = np.concatenate([lower, upper], axis=1)
    at = (along * spacing_mm) @ both - along @ low
    edges = np.arange(MIDDLE[0] * length, MIDDLE[1] * length + BIN_MM, BIN_MM)
    counts = np.histogram(at, edges)[0].astype(np.float64)
    smooth = ndimage.gaussian_filter1d(counts, BLUR_MM / BIN_MM, mode="nearest")
    middles = (edges[:-1] + edges[1:]) / 2
    price = smooth / max(smooth.max(), 1.0) + PULL * (middles / length - 0.5) ** 2
    is_upper = at > middles[price.argmin()]
    if not is_upper[: lower.shape[1]].any() and is_upper[lower.shape[1] :].all():
        return lower, upper
    return both.compress(~is_upper, axis=1), both.compress(is_upper, axis=1)
