"""The sagittal overview: names stand at their vertebrae, in order, inside the picture."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from osteoscreen.report.drawing import SCALE
from osteoscreen.report.sagittal import (
    HEIGHT,
    LONGEST_MM,
    NAMES,
    NamedPlace,
    SagittalPlane,
    sagittal_drawing,
)

LEVELS = ("T12", "L1", "L2", "L3", "L4", "L5")


def _plane(rows: int, step_mm: float, gap: int) -> SagittalPlane:
    hu = np.full((rows, 200), 40, np.float32)
    labels = np.zeros(hu.shape, np.uint8)
    names = []
    for at, name in enumerate(LEVELS):
        start = 2 + at * gap
        labels[start : start + gap // 2 + 1, 80:120] = 1
        names.append(NamedPlace(name, start + gap / 4, 80.0))
    return SagittalPlane(hu, labels, (step_mm, 1.0), names, shown=[5, 9])


def test_names_stand_at_their_vertebrae_from_the_head_down() -> None:
    plane = _plane(rows=70, step_mm=3.0, gap=11)
    drawing = sagittal_drawing(plane)
    boxes = [next(one.box for one in drawing.said if one.words == name) for name in LEVELS]
    middles = [(box[1] + box[3]) / 2 for box in boxes]
    per_mm = drawing.height / (70 * 3.0)
    for middle, one in zip(middles, plane.names):
        assert middle == pytest.approx((one.row + 0.5) * 3.0 * per_mm, abs=2)
    assert all(box[2] < NAMES for box in boxes)


def test_crowded_names_do_not_touch() -> None:
    drawing = sagittal_drawing(_plane(rows=30, step_mm=3.0, gap=2))
    boxes = [one.box for one in drawing.said if one.words in LEVELS]
    assert len(boxes) == len(LEVELS)
    assert all(one[3] <= other[1] + 1 for one, other in pairwise(boxes))


def test_millimetres_are_the_same_along_and_across() -> None:
    hu = np.full((100, 200), 40, np.float32)
    hu[40:60, 70:130] = 1000  # 60 mm by 60 mm
    plane = SagittalPlane(hu, np.zeros(hu.shape, np.uint8), (3.0, 1.0))
    image = np.asarray(Image.open(BytesIO(sagittal_drawing(plane).png())).convert("L"))
    inside = image[: 65 * len(image) // 100, round((NAMES + 20) * SCALE) : -20 * SCALE] > 200
    rows, columns = np.nonzero(inside)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=5)


def test_a_long_series_is_cut_to_the_marks() -> None:
    plane = _plane(rows=400, step_mm=3.0, gap=11)
    drawing = sagittal_drawing(plane)
    shown = {one.words for one in drawing.said}
    assert set(LEVELS) <= shown
    assert LONGEST_MM < 400 * 3.0
    assert drawing.height <= HEIGHT


def test_a_plane_without_marks_or_names_is_drawn() -> None:
    plane = SagittalPlane(np.zeros((40, 60), np.float32), np.zeros((40, 60), np.uint8), (5.0, 1.0))
    assert sagittal_drawing(plane).png().startswith(b"\x89PNG")
