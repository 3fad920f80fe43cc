"""What BCC-Net looked at: how its answer changes while a part of the vertebra is covered.

Occlusion as in Zeiler and Fergus, ECCV 2014, section 4.2, with the mean grey of the vertebra for a
cover, so that neither an edge nor a hole is added. It needs the bundle and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import Bundle
from osteoscreen.findings import BoneCondition, ScreeningResult, SliceFinding
from osteoscreen.screening.decision import softmax
from osteoscreen.screening.marking import Marks
from osteoscreen.screening.slices import cut_rois
from osteoscreen.volume import Volume

CELLS = 10
"""Covers along a side of the roi, each two cells wide, so that neighbours overlap by half."""
LEAST_SHARE = 0.15
"""A cover that hides less bone than this share of itself is not tried: little can change."""


@dataclass(frozen=True, eq=False)
class Occlusion:
    """How much each part of a roi speaks for the patient's leading class.

    Args:
        finding: The slice that was looked at.
        condition: The class whose probability is watched.
        roi: What BCC-Net saw, grey 0..255, shape (size, size).
        fall: Fall of the probability while a cover lies there, shape (CELLS, CELLS); negative
            where it rises, nan where no cover was tried.
    """

    finding: SliceFinding
    condition: BoneCondition
    roi: NDArray[np.float32]
    fall: NDArray[np.float64]


def typical_slice(result: ScreeningResult) -> int:
    """Return the place in ``result.slices`` of the slice nearest to the patient's probabilities.

    Slices of vertebrae that count come first; the result must be screened.
    """
    assert result.probabilities is not None
    counted = {one.level for one in result.levels if one.left_out is None}
    candidates = [at for at, one in enumerate(result.slices) if one.level in counted]
    wanted = np.array(result.probabilities.as_tuple())

    def distance(at: int) -> float:
        return float(np.abs(np.array(result.slices[at].probabilities.as_tuple()) - wanted).sum())

    return min(candidates or range(len(result.slices)), key=distance)


def occlude(
    volume: Volume, marks: Marks, chosen: tuple[int, ...], result: ScreeningResult, bundle: Bundle
) -> Occlusion:
    """Cover the vertebra of the most typical slice part by part.

    Args:
        volume: Standing CT in HU.
        marks: Its marks.
        chosen: Slices of the volume that were classified, as ``result.slices`` tells them.
        result: A screened result.
        bundle: The bundle that made it.
    """
    assert result.probabilities is not None
    at, condition = typical_slice(result), result.probabilities.condition
    (roi,) = cut_rois(volume, marks, (chosen[at],), bundle.settings.classifier)
    fall = probability_fall(roi, list(BoneCondition).index(condition), bundle)
    return Occlusion(result.slices[at], condition, roi, fall)


def probability_fall(roi: NDArray[np.float32], wanted: int, bundle: Bundle) -> NDArray[np.float64]:
    """Return by how much covers lower the probability of a class.

    Args:
        roi: Grey 0..255, 0 outside the mark, shape (size, size).
        wanted: Number of the class.
        bundle: Model bundle.
    Returns: Fall by row and column of the cover's middle, shape (CELLS, CELLS); nan where a cover
        would hide little of the mark.
    """
    is_marked = roi > 0
    edges = np.linspace(0, len(roi), CELLS + 1)
    low = np.clip(np.round(edges[:-1] - edges[1] / 2), 0, None).astype(int)
    high = np.clip(np.round(edges[1:] + edges[1] / 2), None, len(roi)).astype(int)
    fall = np.full((CELLS, CELLS), np.nan)
    if not is_marked.any():
        return fall
    cover = roi[is_marked].mean()
    places, covered = [], [roi]
    for row in range(CELLS):
        for column in range(CELLS):
            window = np.s_[low[row] : high[row], low[column] : high[column]]
            if is_marked[window].mean() >= LEAST_SHARE:
                image = roi.copy()
                image[window] = np.where(is_marked[window], cover, 0)
                places.append((row, column))
                covered.append(image)
    chances = softmax(bundle.logits(np.stack(covered)), bundle.settings.classifier.temperature)
    for place, chance in zip(places, chances[1:]):
        fall[place] = chances[0, wanted] - chance[wanted]
    return fall
