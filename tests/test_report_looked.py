"""What the network looked at: colour where it matters, none where nothing does."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osteoscreen.report.drawing import SCALE
from osteoscreen.report.looked import GAP, SIDE, TITLE, Looked, looked_drawing


def _drawn(fall: NDArray[np.float64]) -> tuple[NDArray[np.int_], list[str]]:
    roi = np.full((64, 64), 90, np.float32)
    roi[:8] = 0
    drawing = looked_drawing(Looked(roi, fall, "L3"))
    image = np.asarray(Image.open(BytesIO(drawing.png())).convert("RGB"))
    top, side = round((TITLE + SIDE + GAP) * SCALE), round(SIDE * SCALE)
    return image[top : top + side].astype(int), [one.words for one in drawing.said]


def test_what_raises_is_warm_and_what_lowers_is_cold() -> None:
    fall = np.zeros((10, 10))
    fall[3:5, 1:3], fall[7:9, 6:8] = 0.2, -0.1
    image, said = _drawn(fall)
    warmth = image[..., 0] - image[..., 2]
    cell = len(image) / 10
    at = np.s_[round(3.5 * cell) : round(4.5 * cell), round(1.5 * cell) : round(2.5 * cell)]
    assert warmth[at].min() > 50
    at = np.s_[round(7.5 * cell) : round(8.5 * cell), round(6.5 * cell) : round(7.5 * cell)]
    assert warmth[at].min() < -20
    assert "raises it, up to 20 points" in said
    assert "lowers it, up to 10 points" in said


def test_nothing_is_coloured_outside_the_mark_or_where_nothing_matters() -> None:
    image, _ = _drawn(np.full((10, 10), 0.3))
    outside = image[: round(len(image) / 64 * 7)]
    assert np.ptp(outside, axis=-1).max() == 0
    for fall in (np.full((10, 10), 0.004), np.full((10, 10), np.nan)):
        plain, said = _drawn(fall)
        assert np.ptp(plain, axis=-1).max() == 0
        assert "raises it, up to 0 points" in said
