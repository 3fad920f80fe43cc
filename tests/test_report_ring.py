"""The ring: what is drawn equals what is said."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise, product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image, ImageColor

from osteoscreen import texts
from osteoscreen.findings import CONDITIONS, Certainty, Probabilities
from osteoscreen.report.drawing import SCALE, Drawing
from osteoscreen.report.palette import CONDITION_COLOURS, LIGHTNESS_MARGIN, MUTED, PAPER
from osteoscreen.report.ring import (
    HEIGHT,
    RADIUS,
    RING_WIDTH,
    WIDTH,
    condition_colour,
    ring_drawing,
    spread,
    wedge_spans,
)

PAPER_CASE = (0.9933, 0.0065, 0.0002)
"""The first case of Figure 9 (section 3.5)."""

RINGS = [
    PAPER_CASE,
    (0.0002, 0.0065, 0.9933),
    (0.0065, 0.9933, 0.0002),
    (0.0, 0.0, 1.0),
    (0.34, 0.33, 0.33),
    (0.5, 0.002, 0.498),
    (0.97, 0.015, 0.015),
]


def _probabilities(values: tuple[float, float, float]) -> Probabilities:
    return Probabilities(**dict(zip(CONDITIONS, values)))


def _words(drawing: Drawing) -> list[str]:
    return [one.words for one in drawing.said]


def _colours_around(drawing: Drawing, count: int) -> list[tuple[int, int, int]]:
    """Colours along the middle of the ring, clockwise from the top."""
    image = Image.open(BytesIO(drawing.png())).convert("RGB")
    radius = RADIUS * (1 - RING_WIDTH / 2)
    found = []
    for turn in (np.arange(count) + 0.5) / count * 2 * np.pi:
        x, y = WIDTH / 2 + radius * np.sin(turn), HEIGHT / 2 - radius * np.cos(turn)
        found.append(image.getpixel((round(x * SCALE), round(y * SCALE))))
    return found  # type: ignore[return-value]  # the pixels of an RGB image


@pytest.mark.parametrize("values", RINGS)
def test_each_slice_takes_its_share_of_the_ring_clockwise_from_the_top(
    values: tuple[float, float, float],
) -> None:
    count = 720
    colours = _colours_around(ring_drawing(_probabilities(values), Certainty.CLEAR), count)
    for condition, value in zip(CONDITIONS, values):
        own = ImageColor.getrgb(CONDITION_COLOURS[condition])
        # The white seams between slices take up to four of the 720 places from each.
        assert sum(one == own for one in colours) == pytest.approx(value * count, abs=8)
    seen = [one for one in colours if one in map(ImageColor.getrgb, CONDITION_COLOURS.values())]
    order = [list(map(ImageColor.getrgb, CONDITION_COLOURS.values())).index(one) for one in seen]
    assert order == sorted(order)


@pytest.mark.parametrize("values", RINGS)
def test_spans_are_the_probabilities(values: tuple[float, float, float]) -> None:
    spans = wedge_spans(_probabilities(values))
    assert spans[0][1] == 90
    # Angles near 270 degrees carry about 6e-14 of rounding; 1e-12 of a turn is far below a pixel.
    assert_allclose([(end - start) / 360 for start, end in spans], values, atol=1e-12)
    assert all(one[0] == other[1] for one, other in pairwise(spans))


def test_the_ring_says_the_condition_and_each_percentage() -> None:
    said = _words(ring_drawing(_probabilities(PAPER_CASE), Certainty.CLEAR))
    assert "Normal\nbone mass" in said
    for condition, value in zip(CONDITIONS, PAPER_CASE):
        assert texts.LABELS[condition] in said
        assert texts.percent(value).replace("\N{NO-BREAK SPACE}", " ") in said
    assert texts.DOUBTFUL not in said


@pytest.mark.parametrize("certainty", [Certainty.DOUBTFUL, Certainty.ABSTAINED])
def test_a_ring_that_is_not_clear_is_pale_and_hatched(certainty: Certainty) -> None:
    values = _probabilities((0.12, 0.47, 0.41))
    drawing = ring_drawing(values, certainty)
    said = _words(drawing)
    if certainty is Certainty.DOUBTFUL:
        assert "Low\nbone mass?" in said
        assert texts.DOUBTFUL in said
    else:
        assert "No\nstatement" in said
    colours = set(_colours_around(drawing, 720))
    bright = {ImageColor.getrgb(one) for one in CONDITION_COLOURS.values()}
    pale = {ImageColor.getrgb(condition_colour(one, is_clear=False)) for one in CONDITIONS}
    assert not colours & bright
    assert pale <= colours
    assert ImageColor.getrgb(MUTED) in colours  # the hatch


@pytest.mark.parametrize("values", RINGS)
@pytest.mark.parametrize("certainty", Certainty)
def test_ring_labels_stay_inside_and_apart(
    values: tuple[float, float, float], certainty: Certainty
) -> None:
    boxes = [one.box for one in ring_drawing(_probabilities(values), certainty).said]
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= WIDTH
        assert 0 <= top < bottom <= HEIGHT
    for at, one in enumerate(boxes):
        for other in boxes[:at]:
            is_beside = one[2] <= other[0] or other[2] <= one[0]
            assert is_beside or one[3] <= other[1] or other[3] <= one[1]


def _lightness(colour: str) -> float:
    """CIE L* of an sRGB colour (IEC 61966-2-1; CIE 15)."""
    channels = np.array(ImageColor.getrgb(colour)) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def test_conditions_differ_in_lightness_and_darken_as_bone_mass_falls() -> None:
    lights = [_lightness(PAPER), *(_lightness(CONDITION_COLOURS[c]) for c in CONDITIONS)]
    assert np.diff(lights).max() <= -LIGHTNESS_MARGIN


def test_equal_rings_are_equal_files() -> None:
    files = {ring_drawing(_probabilities(PAPER_CASE), Certainty.CLEAR).png() for _ in range(2)}
    assert len(files) == 1


@pytest.mark.parametrize("side", ["top", "bottom"])
def test_crowded_labels_keep_order_mean_and_gap(side: str) -> None:
    wanted = [1.0, 0.98, 0.3] if side == "top" else [-1.0, -0.98, -0.3]
    placed = spread(wanted, 0.5)
    assert list(np.argsort(placed)) == list(np.argsort(wanted))
    assert np.diff(np.sort(placed)).min() >= 0.5 - 1e-12
    assert_allclose(np.mean(placed), np.mean(wanted))


def test_distant_labels_stay_where_they_are() -> None:
    assert_allclose(spread([0.9, -0.9], 0.5), [0.9, -0.9])
    assert spread([], 0.5) == []


def test_spread_never_crosses_labels_for_any_pair() -> None:
    for first, second in product(np.linspace(-1, 1, 9), repeat=2):
        placed = spread([float(first), float(second)], 0.5)
        assert abs(placed[0] - placed[1]) >= 0.5 - 1e-12
