"""The line through the vertebral bodies, which the soft tissue around the spine follows."""

from __future__ import annotations

from dataclasses import dataclass

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
        height = np.clip(z_mm, self.z_mm[0], self.z_mm[-1])
        return (
            float(PchipInterpolator(self.z_mm, self.x_mm)(height)),
            float(PchipInterpolator(self.z_mm, self.y_mm)(height)),
        )
