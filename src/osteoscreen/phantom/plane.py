"""One axial plane in the patient's own, warped coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from osteoscreen.phantom.field import Array

Window = tuple[slice, slice]
"""Rows and columns of a part of a plane."""


@dataclass(frozen=True, eq=False)
class Plane:
    """A rectangular window of one axial plane.

    Args:
        x: Left coordinate in mm, shape (rows, columns).
        y: Back coordinate in mm, shape (rows, columns).
        z_mm: Height.
        shell_noise: Unit field that varies the cortex, shape (rows, columns).
        pixel_mm: Distance between pixels.
        rigid: Coordinates x, shape (1, columns), and y, shape (rows, 1), that no warp moves and no
            roll turns: what is not alive, and gravity, follow these; ``None`` if they are the same.
    """

    x: Array
    y: Array
    z_mm: float
    shell_noise: Array
    pixel_mm: float
    rigid: tuple[Array, Array] | None = None

    @property
    def rigid_x(self) -> Array:
        """Left coordinate of the scanner in mm; it broadcasts to the plane."""
        return self.x if self.rigid is None else self.rigid[0]

    @property
    def rigid_y(self) -> Array:
        """Back coordinate of the scanner in mm; it broadcasts to the plane."""
        return self.y if self.rigid is None else self.rigid[1]

    def window(self, x_range: tuple[float, float], y_range: tuple[float, float]) -> Window | None:
        """Return the smallest index window that holds a box.

        Args:
            x_range: Lowest and highest x of the box in mm.
            y_range: Lowest and highest y of the box in mm.
        Returns: Slices of rows and columns; ``None`` if the box misses the plane or the plane is
            empty.
        """
        if self.x.size == 0:
            return None
        columns = _span(*self._x_limits, x_range)
        rows = _span(*self._y_limits, y_range)
        if columns is None or rows is None:
            return None
        return rows, columns

    def part(self, window: Window) -> Plane:
        """Return the part of the plane in a window."""
        rows, columns = window
        rigid = None if self.rigid is None else (self.rigid[0][:, columns], self.rigid[1][rows])
        return Plane(
            self.x[window],
            self.y[window],
            self.z_mm,
            self.shell_noise[window],
            self.pixel_mm,
            rigid,
        )

    def at(self, z_mm: float) -> Plane:
        """Return the same window at another height: the warp changes slowly along z."""
        return replace(self, z_mm=z_mm)

    @cached_property
    def _x_limits(self) -> tuple[Array, Array]:
        """Lowest and highest x of each column."""
        return self.x.min(axis=0), self.x.max(axis=0)

    @cached_property
    def _y_limits(self) -> tuple[Array, Array]:
        """Lowest and highest y of each row."""
        return self.y.min(axis=1), self.y.max(axis=1)


def _span(lowest: Array, highest: Array, wanted: tuple[float, float]) -> slice | None:
    hits = np.flatnonzero((highest > wanted[0]) & (lowest < wanted[1]))
    return slice(int(hits[0]), int(hits[-1]) + 1) if len(hits) else None
