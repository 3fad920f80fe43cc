"""Painting the iliac bones around the sacrum."""

from __future__ import annotations

import numpy as np

from osteoscreen.phantom.field import Array
from osteoscreen.phantom.plane import Plane
from osteoscreen.phantom.sacrum import Sacrum
from osteoscreen.phantom.surface import BoneSurface, paint_bone

SACROILIAC_GAP_MM = 2.4
"""Cartilage between sacrum and ilium."""
ILIUM_SHELL = 1.5
"""Cortex of the ilium against that of the patient's bones."""


def paint_ilia(sacrum: Sacrum, surface: BoneSurface, plane: Plane, hu: Array) -> None:
    """Paint both iliac bones over a plane, in place.

    Args:
        sacrum: What they hold: a joint keeps them apart.
        surface: Cortex and cancellous bone of the patient.
        plane: Where to paint.
        hu: Soft tissue, shape (rows, columns).
    """
    held = None
    for side in (-1, 1):
        depth = sacrum.ilium_depth(plane, side)
        if depth is None:
            continue
        near = np.nonzero(depth > -3)
        if not len(near[0]):
            continue
        window = (
            slice(int(near[0].min()), int(near[0].max()) + 1),
            slice(int(near[1].min()), int(near[1].max()) + 1),
        )
        held = sacrum.depth(plane) if held is None else held
        inside = depth[window] + np.float32(0.5) * plane.shell_noise[window]
        if held is not None:
            gap = np.float32(SACROILIAC_GAP_MM)
            inside = np.minimum(inside, (inside - held[window] - gap) / 2)
        shell = surface.shell_mm(plane.shell_noise[window], ILIUM_SHELL)
        hus = (surface.cortex_hu, surface.cancellous(plane.shell_noise[window]))
        paint_bone(hu[window], inside, shell, plane.pixel_mm, hus)
