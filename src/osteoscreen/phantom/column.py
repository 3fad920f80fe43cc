"""The line through the vertebral bodies, which the soft tissue around the spine follows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import PchipInterpolator


@dataclass(frozen=True)
class Column:
    """Centres of the vertebral bodies from the sacrum up.

    Args:
        z_mm: Heights, rising.
        x_mm, y_mm: Left and back coordinate of the centre at each height.
    """

    z_mm: tuple[float, ...]
    x_mm: tuple[float, ...]
    y_mm: tuple[float, ...]

    def at(self, z_mm: float) -> tuple[float, float]:
        """Return the centre of the column (x, y) in mm; beyond the ends it stays as it is there.

        Args:
            z_mm: Height.
        """
        x, y = self._line(np.clip(z_mm, self.z_mm[0], self.z_mm[-1]))
        return float(x), float(y)

    @cached_property
    def _line(self) -> PchipInterpolator:
        return PchipInterpolator(self.z_mm, np.array([self.x_mm, self.y_mm]).T)
