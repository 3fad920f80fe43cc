"""Solids that touch: who owns which point, unions and holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.solid import OUTSIDE_MM, Cut


@dataclass(frozen=True, eq=False)
class Standing:
    """Who owns each point where solids overlap.

    Args:
        owner: Number of the solid with the greatest depth, -1 for none.
        depth: That depth in mm, 0 where there is none.
        margin: Lead over the next one in mm: small along the border of two solids.
    """

    owner: NDArray[np.int16]
    depth: Array
    margin: Array


def compete(shape: tuple[int, int], cuts: list[tuple[int, Cut]]) -> Standing:
    """Let solids that touch share a plane: each point belongs to the one it lies deepest in.

    Args:
        shape: Rows and columns of the plane.
        cuts: A number of 0 and above, and the cut, of each solid.
    Returns: Who owns what.
    """
    owner = np.full(shape, -1, np.int16)
    best, second = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for number, (window, depth) in cuts:
        first = best[window]
        wins = depth > first
        # The lesser of the two is the runner-up, unless there was a better one before.
        np.maximum(second[window], np.minimum(depth, first), out=second[window])
        np.maximum(first, depth, out=first)
        owner[window][wins] = number
    return Standing(owner, best, best - second)


def without(body: Cut, hole: Cut) -> Cut:
    """Take a hole out of a solid, both cut by the same plane.

    Args:
        body: Cut of the solid.
        hole: Cut of the hole.
    Returns: The cut of what is left, in the window of the solid.
    """
    window, depth = body
    rows, columns = window
    other, sunk = hole
    top, left = max(rows.start, other[0].start), max(columns.start, other[1].start)
    bottom, right = min(rows.stop, other[0].stop), min(columns.stop, other[1].stop)
    if top >= bottom or left >= right:
        return body
    depth = depth.copy()
    own = (
        slice(top - rows.start, bottom - rows.start),
        slice(left - columns.start, right - columns.start),
    )
    its = (
        slice(top - other[0].start, bottom - other[0].start),
        slice(left - other[1].start, right - other[1].start),
    )
    depth[own] = np.minimum(depth[own], -sunk[its])
    return window, depth


def united(one: Cut | None, other: Cut | None) -> Cut | None:
    """Return the union of two solids cut by the same plane; ``None`` if it misses both.

    Args:
        one: Cut of the first.
        other: Cut of the second.
    """
    if one is None or other is None:
        return one if other is None else other
    rows = slice(min(one[0][0].start, other[0][0].start), max(one[0][0].stop, other[0][0].stop))
    columns = slice(min(one[0][1].start, other[0][1].start), max(one[0][1].stop, other[0][1].stop))
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    depth = np.full(shape, OUTSIDE_MM, np.float32)
    for (own_rows, own_columns), own in (one, other):
        view = depth[
            own_rows.start - rows.start : own_rows.stop - rows.start,
            own_columns.start - columns.start : own_columns.stop - columns.start,
        ]
        np.maximum(view, own, out=view)
    return (rows, columns), depth
