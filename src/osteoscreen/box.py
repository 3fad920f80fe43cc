"""The box around a mark: most of a slice, and of a series, holds none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def box_of(mark: NDArray[np.bool_] | NDArray[np.uint8]) -> tuple[slice, ...] | None:
    """Find the smallest box that holds a mark.

    Args:
        mark: Not 0 where something is marked; any number of axes.
    Returns: A slice an axis, to index arrays of the mark's shape; ``None`` where nothing is marked.
    """
    others = box_of(np.asarray(mark.any(axis=0))) if mark.ndim > 1 else ()
    if others is None:
        return None
    held = mark[:, *others].any(axis=tuple(range(1, mark.ndim)))
    at = np.flatnonzero(held)
    return (slice(int(at[0]), int(at[-1]) + 1), *others) if len(at) else None


def places_of(mark: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find the marked places, as ``numpy.argwhere`` does, but only in their box.

    Args:
        mark: Any number of axes.
    Returns: Indices, shape (places, axes), in their order.
    """
    box = box_of(mark)
    if box is None:
        return np.zeros((0, mark.ndim), np.int64)
    corner = np.array([one.start for one in box])
    return np.asarray(np.argwhere(mark[box]) + corner, np.int64)
