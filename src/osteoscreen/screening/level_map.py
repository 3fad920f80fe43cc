"""Which vertebra each marked voxel belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteoscreen.screening.marking import Marks
from osteoscreen.screening.vertebrae import Vertebra

OUTSIDE_COST = 255
"""Growth goes through marked voxels first: through the pedicles into the arch, not across a gap."""


def level_map(marks: Marks, vertebrae: Sequence[Vertebra]) -> NDArray[np.uint8]:
    """Give each marked voxel its vertebra.

    A body belongs to the vertebra whose slices it lies in. Arches and processes, which reach down
    behind the next body, are grown from the bodies through the marks; where two arches touch, the
    border lies half way.

    Args:
        marks: Of the volume.
        vertebrae: Rising.
    Returns: 0 where nothing is marked or named, k + 1 for vertebra k; shape of the marks.
    """
    labels = np.zeros(marks.vertebra.shape, np.uint8)
    named = np.zeros(len(labels), np.uint8)
    for number, one in enumerate(vertebrae, start=1):
        named[one.start : one.stop] = number
    places = np.nonzero(marks.vertebra)
    if not named.any() or not len(places[0]):
        return labels
    box = tuple(slice(int(at.min()), int(at.max()) + 1) for at in places)
    inside = marks.vertebra[box]
    bodies = np.where(marks.body[box], named[box[0]][:, None, None], 0)
    if not bodies.any():
        labels[box] = np.where(inside, named[box[0]][:, None, None], 0)
        return labels
    cost = np.where(inside, 0, OUTSIDE_COST).astype(np.uint8)
    grown = ndimage.watershed_ift(cost, bodies.astype(np.int16))
    labels[box] = np.where(inside, grown, 0)
    return labels
