"""The vertebrae of a series: where the body of each lies, and which slices cut its middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.box import box_of

BODY_SHARE = 0.6
"""A slice shows a body, and no disc, where its mark reaches this share of the vertebra's usual
one (the area of a body varies by a tenth along it; through an endplate a third is lost)."""
USUAL_PERCENTILE = 75.0
MIDDLE_SHARE = 0.25
"""Slices within this share of the body's length from its middle are classified: the networks were
trained on a fifth."""
SMALLEST_MM3 = 1000.0
"""Less of a body is a crumb: an intact lumbar one has 25,000 to 45,000 mm3."""


@dataclass(frozen=True)
class Vertebra:
    """One vertebra of a series; slices rise to the head.

    Args:
        level: Its name, such as ``"L3"``.
        number: Its number in the map of the bodies.
        start, stop: First slice that shows some of its body and the one behind the last.
        body: Slices that show it well.
        middle: Slices through the middle of the body.
        is_cut: Whether the series begins or ends within its body.
    """

    level: str
    number: int
    start: int
    stop: int
    body: tuple[int, ...]
    middle: tuple[int, ...]
    is_cut: bool

    @property
    def is_lumbar(self) -> bool:
        """Whether its name is that of a lumbar vertebra."""
        return self.level.startswith("L")


def find_vertebrae(
    bodies: NDArray[np.uint8], names: Sequence[str], spacing_mm: tuple[float, float, float]
) -> tuple[Vertebra, ...]:
    """Find the vertebrae of a series in the map of its bodies.

    Args:
        bodies: k + 1 for the body named ``names[k]``, 0 for none; slices rise to the head.
        names: Rising; ``"above"`` and ``"below"`` are no vertebrae.
        spacing_mm: Spacing (slice, row, column).
    Returns: Those with a name of which enough is there, rising.
    """
    box = box_of(bodies)
    inside = bodies if box is None else bodies[:, box[1], box[2]]
    counts = np.stack(
        [
            np.bincount(plane[plane > 0], minlength=len(names) + 1)[: len(names) + 1]
            for plane in inside
        ]
    )
    areas = counts * spacing_mm[1] * spacing_mm[2]
    found = []
    for number, name in enumerate(names, start=1):
        own = areas[:, number]
        if name in ("above", "below") or own.sum() * spacing_mm[0] < SMALLEST_MM3:
            continue
        shown = np.flatnonzero(own)
        usual = float(np.percentile(own[shown], USUAL_PERCENTILE))
        body = _longest_run(np.flatnonzero(own >= BODY_SHARE * usual))
        middle, half = (body[0] + body[-1]) / 2, MIDDLE_SHARE * len(body)
        found.append(
            Vertebra(
                level=name,
                number=number,
                start=int(shown[0]),
                stop=int(shown[-1]) + 1,
                body=body,
                middle=tuple(at for at in body if abs(at - middle) <= max(half, 0.5)),
                is_cut=body[0] == 0 or body[-1] == len(bodies) - 1,
            )
        )
    return tuple(found)


def _longest_run(slices: NDArray[np.int_]) -> tuple[int, ...]:
    """Return the longest row of neighbours: an artefact may part what shows a body."""
    runs = np.split(slices, np.flatnonzero(np.diff(slices) > 1) + 1)
    return tuple(int(at) for at in max(runs, key=len))
