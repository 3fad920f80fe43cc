"""The vertebrae of a series: where each begins and ends, and which slices cut the middle of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.screening.levels import Levels

BODY_SHARE = 0.6
"""A slice shows a body, and no disc, where its mark reaches this share of the vertebra's usual
one (the area of a body varies by a tenth along it; through an endplate a third is lost)."""
USUAL_PERCENTILE = 75.0
MIDDLE_SHARE = 0.25
"""Slices within this share of the body's length from its middle are classified: the networks were
trained on a fifth."""


@dataclass(frozen=True)
class Vertebra:
    """One vertebra of a series; slices rise to the head.

    Args:
        level: Its name, such as ``"L3"``.
        start, stop: First slice of its span and the one behind the last, half of each disc
            included.
        body: Slices that show its body.
        middle: Slices through the middle of the body.
        is_cut: Whether the series begins or ends within its body.
    """

    level: str
    start: int
    stop: int
    body: tuple[int, ...]
    middle: tuple[int, ...]
    is_cut: bool

    @property
    def is_lumbar(self) -> bool:
        """Whether its name is that of a lumbar vertebra."""
        return self.level.startswith("L")


def find_vertebrae(levels: Levels, body_mm2: NDArray[np.float64]) -> tuple[Vertebra, ...]:
    """Turn named spans into vertebrae.

    Args:
        levels: Of the series.
        body_mm2: Area of the body's mark in each slice.
    Returns: Those with a name whose body is marked somewhere, rising.
    """
    found = []
    for span, name in zip(levels.spans, levels.names):
        areas = body_mm2[span.start : span.stop]
        if name in ("above", "below") or not areas.any():
            continue
        usual = float(np.percentile(areas[areas > 0], USUAL_PERCENTILE))
        body = _longest_run(span.start + np.flatnonzero(areas >= BODY_SHARE * usual))
        middle, half = (body[0] + body[-1]) / 2, MIDDLE_SHARE * len(body)
        found.append(
            Vertebra(
                level=name,
                start=span.start,
                stop=span.stop,
                body=body,
                middle=tuple(at for at in body if abs(at - middle) <= max(half, 0.5)),
                is_cut=body[0] == 0 or body[-1] == len(body_mm2) - 1,
            )
        )
    return tuple(found)


def _longest_run(slices: NDArray[np.int_]) -> tuple[int, ...]:
    """Return the longest row of neighbours: a disc or an artefact may part what shows a body."""
    runs = np.split(slices, np.flatnonzero(np.diff(slices) > 1) + 1)
    return tuple(int(at) for at in max(runs, key=len))
