"""The chart of attenuation: each vertebra at its value, limits only where they hold."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageColor

from osteoscreen.findings import LeftOut, LevelFinding, ReferenceBand
from osteoscreen.report.attenuation import HEAD, LEFT, RIGHT, ROW, WIDTH, attenuation_drawing
from osteoscreen.report.drawing import SCALE
from osteoscreen.report.palette import BAND


def _level(name: str, hu: float | None, left_out: LeftOut | None = None) -> LevelFinding:
    return LevelFinding(
        level=name, confidence=0.9, slices=(1,), attenuation_hu=hu, attenuation_spread_hu=20.0,
        left_out=left_out, probabilities=None,
    )  # fmt: skip


LEVELS = (_level("L1", 130.0), _level("L2", 90.0, LeftOut.CUT), _level("L3", None))
FOUND = ReferenceBand(
    level="L1", attenuation_hu=130, above_hu=110, up_to_hu=160, limits_hu=(110, 160),
    meaning="between", suggests_osteoporosis=None, source="a paper", holds_for="L1",
)  # fmt: skip


def _x(hu: float) -> float:
    return LEFT + hu / 250 * (WIDTH - LEFT - RIGHT)


def test_each_measured_vertebra_is_at_its_value() -> None:
    drawing = attenuation_drawing(LEVELS, None)
    assert drawing is not None
    said = {one.words: one.box for one in drawing.said}
    left, _, right, _ = said["130"]
    assert (left + right) / 2 == pytest.approx(_x(130), abs=1)
    assert {"L1", "L2"} <= set(said)
    assert "L3" not in said
    assert "90" not in said  # it does not count; its dot is hollow
    image = np.asarray(Image.open(BytesIO(drawing.png())).convert("L"))
    dots = [
        image[round((HEAD + ROW * (at + 0.5)) * SCALE), round(_x(hu) * SCALE)]
        for at, hu in enumerate((130, 90))
    ]
    assert dots[0] < 60
    assert dots[1] > 250


def test_limits_are_drawn_only_where_they_hold_and_the_band_is_shaded() -> None:
    plain, limited = attenuation_drawing(LEVELS, None), attenuation_drawing(LEVELS, FOUND)
    assert plain is not None
    assert limited is not None
    assert {"110", "160", "L1 limits"} <= {one.words for one in limited.said}
    assert not {"110", "160", "L1 limits"} & {one.words for one in plain.said}
    image = np.asarray(Image.open(BytesIO(limited.png())).convert("RGB"))
    columns = np.flatnonzero((image == ImageColor.getrgb(BAND)).all(axis=-1).any(axis=0))
    assert columns.min() / SCALE == pytest.approx(_x(110), abs=2)
    assert columns.max() / SCALE == pytest.approx(_x(160), abs=2)


def test_the_axis_holds_extreme_values() -> None:
    drawing = attenuation_drawing((_level("L1", -80.0), _level("L2", 900.0)), None)
    assert drawing is not None
    assert all(one.box[0] >= 0 and one.box[2] <= WIDTH for one in drawing.said)


def test_without_a_measurement_there_is_no_chart() -> None:
    assert attenuation_drawing((_level("L1", None),), None) is None
    assert attenuation_drawing((), FOUND) is None
