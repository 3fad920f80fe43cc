"""Marks from elsewhere: vertebrae that another program or a person marked, and often named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from osteoscreen.screening.marking import Marks

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class GivenMarks:
    """What was marked, on the standing grid.

    Args:
        vertebra: The whole vertebrae, bodies included.
        body: The bodies; ``None`` where they are not told apart.
        levels: Mask of each vertebra that has a name, such as ``"L3"``.
    """

    vertebra: Mask
    body: Mask | None
    levels: Mapping[str, Mask] = field(default_factory=dict)

    def joined(self, own: Marks | None) -> Marks:
        """Return marks as screening uses them.

        Args:
            own: MS-Net's marks; its bodies serve where none are given, inside what is given.
        """
        if self.body is not None:
            return Marks(self.vertebra | self.body, self.body)
        assert own is not None
        return Marks(self.vertebra, own.body & self.vertebra)


def given_bodies(given: GivenMarks, marks: Marks) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Number the bodies of the named vertebrae.

    Args:
        given: With names.
        marks: Joined.
    Returns: k + 1 for the body of the vertebra ``names[k]``, and the names, rising; none where
        nothing is named.
    """
    bodies = marks.body_or_vertebra
    height = {
        name: float(np.nonzero(mask & bodies)[0].mean())
        for name, mask in given.levels.items()
        if (mask & bodies).any()
    }
    names = tuple(sorted(height, key=lambda name: height[name]))
    labels = np.zeros(bodies.shape, np.uint8)
    for number, name in enumerate(names, start=1):
        labels[given.levels[name] & bodies] = number
    return labels, names


def has_odd_count(names: Sequence[str]) -> bool:
    """Whether names that were given tell of four or six lumbar vertebrae."""
    return "L6" in names or ("S1" in names and "L4" in names and "L5" not in names)
