"""Which vertebra each marked voxel belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.box import box_of

OUTSIDE_COST = 255
"""Growth goes through marked voxels first: through the pedicles into the arch, not across a gap."""


def level_map(vertebra: NDArray[np.bool_], bodies: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give each marked voxel its vertebra.

    Arches and processes, which reach down behind the next body, are grown from the bodies through
    the marks; where two arches touch, the border lies half way.

    Args:
        vertebra: Mark of the whole vertebrae.
        bodies: Number of the vertebra that each voxel of a body belongs to, 0 for none; same shape.
    Returns: The numbers, grown over the whole mark; 0 outside it.
    """
    labels = np.zeros(vertebra.shape, np.uint8)
    box = box_of(vertebra)
    if box is None or not bodies[box].any():
        return labels
    inside = vertebra[box]
    cost = np.where(inside, 0, OUTSIDE_COST).astype(np.uint8)
    grown = ndimage.watershed_ift(cost, bodies[box].astype(np.int16))
    labels[box] = np.where(inside, grown, 0)
    return labels
