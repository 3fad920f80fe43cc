"""Names for the vertebrae of a volume: LevelNet on every slice, joined along the spine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteoscreen.bundle import BATCH, Bundle
from osteoscreen.cores import on_all_cores
from osteoscreen.screening.centreline import areas_across
from osteoscreen.screening.decision import softmax
from osteoscreen.screening.level_view import coarse_slice, level_view
from osteoscreen.screening.levels import Levels, label_levels
from osteoscreen.screening.marking import Marks
from osteoscreen.volume import Volume


def name_levels(volume: Volume, marks: Marks, bundle: Bundle) -> Levels | None:
    """Name the vertebrae of a volume.

    Args:
        volume: Standing CT in HU.
        marks: Its marks.
        bundle: Model bundle.
    Returns: The levels; ``None`` where the bundle names none.
    """
    if bundle.settings.levels is None:
        return None
    answers = np.log(place_probabilities(volume, marks, bundle))
    areas = areas_across(marks.body_or_vertebra, volume.spacing_mm)
    return label_levels(answers, areas, volume.spacing_mm[0])


def place_probabilities(volume: Volume, marks: Marks, bundle: Bundle) -> NDArray[np.float64]:
    """Run LevelNet on every slice.

    Args:
        volume: Standing CT in HU.
        marks: Its marks.
        bundle: Model bundle with LevelNet.
    Returns: Probability of each of ``PLACES``, shape (slices, places).
    """
    settings = bundle.settings.levels
    assert settings is not None
    spacing = volume.spacing_mm[1:]

    def answer(start: int) -> NDArray[np.float64]:
        views = [
            level_view(coarse_slice(hu, vertebra, body, spacing, settings), settings)
            for hu, vertebra, body in zip(
                volume.hu[start : start + BATCH],
                marks.vertebra[start : start + BATCH],
                marks.body[start : start + BATCH],
            )
        ]
        return softmax(bundle.level_logits(np.stack(views)))

    parts = list(on_all_cores(answer, range(0, len(volume.hu), BATCH)))
    return np.maximum(np.concatenate(parts), np.finfo(np.float64).tiny)
