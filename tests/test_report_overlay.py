"""The ring and the overlay: what is drawn equals what is said."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise, product

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, Wedge
from matplotlib.text import Text
from numpy.testing import assert_allclose

from osteoscreen.findings import CONDITIONS, Certainty, Probabilities
from osteoscreen.report import texts
from osteoscreen.report.figures import (
    MARGIN_MM,
    MAX_PANELS,
    OverlayPanel,
    draw_overlay,
    draw_ring,
    overlay_figure,
)
from osteoscreen.report.palette import CONDITION_COLOURS, LIGHTNESS_MARGIN, PAPER
from osteoscreen.report.ring import ring_figure, spread

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

PIXEL_TOLERANCE = 1.5
"""Pixels by which two drawn lengths may differ: the rounding of both ends."""


def probabilities(values: tuple[float, float, float]) -> Probabilities:
    return Probabilities(
        normal_bone_mass=values[0], low_bone_mass=values[1], osteoporosis=values[2]
    )


def panel(
    *,
    shape: tuple[int, int] = (120, 120),
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    marked: bool = True,
    values: tuple[float, float, float] | None = None,
) -> OverlayPanel:
    """A soft-tissue plane with an elliptic body 40 mm wide and 30 mm deep, and an arch behind."""
    row, column = np.indices(shape, dtype=np.float64)
    y = (row - shape[0] / 2) * spacing_mm[0]
    x = (column - shape[1] / 2) * spacing_mm[1]
    body = (x / 20) ** 2 + (y / 15) ** 2 < 1
    arch = (abs(x) < 6) & (y >= 15) & (y < 30)
    labels = np.where(body, 1, np.where(arch, 2, 0)).astype(np.uint8)
    hu = np.where(labels > 0, 180.0, 40.0).astype(np.float32)
    return OverlayPanel(
        hu=hu,
        labels=labels if marked else np.zeros_like(labels),
        spacing_mm=spacing_mm,
        title="slice 12",
        probabilities=None if values is None else probabilities(values),
    )


def words(figure: Figure) -> list[str]:
    return [found.get_text() for found in figure.findobj(Text) if isinstance(found, Text)]


def wedges(figure: Figure) -> list[Wedge]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Wedge)]


def slice_axes(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.images]


def lightness(colour: str) -> float:
    """CIE L* of an sRGB colour (IEC 61966-2-1; CIE 15)."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


@pytest.mark.parametrize("values", RINGS)
@pytest.mark.parametrize("certainty", Certainty)
def test_each_wedge_spans_its_probability(
    values: tuple[float, float, float], certainty: Certainty
) -> None:
    spans = [
        (w.theta2 - w.theta1) / 360 for w in wedges(ring_figure(probabilities(values), certainty))
    ]
    # Angles near 270 degrees carry about 6e-14 of rounding; 1e-12 of a turn is far below a pixel.
    assert_allclose(spans, [value for value in values if value > 0], atol=1e-12)


def test_wedges_follow_each_other_clockwise_from_the_top() -> None:
    drawn = wedges(ring_figure(probabilities((0.2, 0.3, 0.5)), Certainty.CLEAR))
    assert_allclose(drawn[0].theta2, 90)
    for first, second in pairwise(drawn):
        assert_allclose(first.theta1, second.theta2)


def test_the_ring_says_the_condition_and_each_percentage() -> None:
    said = words(ring_figure(probabilities(PAPER_CASE), Certainty.CLEAR))
    assert "Normal\nbone mass" in said
    for condition, value in zip(CONDITIONS, PAPER_CASE):
        assert condition.label in said
        assert texts.percent(value) in said
    assert texts.DOUBTFUL not in said


def test_a_doubtful_ring_is_hatched_and_asks() -> None:
    figure = ring_figure(probabilities((0.12, 0.47, 0.41)), Certainty.DOUBTFUL)
    assert "Low\nbone mass?" in words(figure)
    assert texts.DOUBTFUL in words(figure)
    assert all(wedge.get_hatch() for wedge in wedges(figure))
    sure = ring_figure(probabilities((0.12, 0.47, 0.41)), Certainty.CLEAR)
    assert not any(wedge.get_hatch() for wedge in wedges(sure))


@pytest.mark.parametrize("values", RINGS)
@pytest.mark.parametrize("certainty", Certainty)
def test_ring_labels_stay_inside_and_apart(
    values: tuple[float, float, float], certainty: Certainty
) -> None:
    figure = ring_figure(probabilities(values), certainty)
    figure.savefig(BytesIO())
    boxes = [found.get_window_extent() for found in figure.axes[0].texts]
    canvas = figure.bbox
    for box in boxes:
        assert canvas.x0 <= box.x0 <= box.x1 <= canvas.x1
        assert canvas.y0 <= box.y0 <= box.y1 <= canvas.y1
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("values", RINGS)
def test_leader_lines_stay_outside_the_ring(values: tuple[float, float, float]) -> None:
    for line in ring_figure(probabilities(values), Certainty.CLEAR).axes[0].lines:
        corners = np.asarray(line.get_xydata())
        for start, stop in pairwise(corners):
            share = np.linspace(0, 1, 101)[:, None]
            distances = np.linalg.norm(start + share * (stop - start), axis=1)
            assert distances.min() >= 1 - 1e-9  # the edge of the ring, rounded


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


def test_conditions_differ_in_lightness_and_darken_as_bone_mass_falls() -> None:
    lights = [lightness(PAPER), *(lightness(CONDITION_COLOURS[c]) for c in CONDITIONS)]
    assert np.diff(lights).max() <= -LIGHTNESS_MARGIN


def test_equal_rings_are_equal_files() -> None:
    files = []
    for _ in range(2):
        buffer = BytesIO()
        draw_ring(probabilities(PAPER_CASE), buffer, Certainty.CLEAR)
        files.append(buffer.getvalue())
    assert files[0] == files[1]
    assert files[0].startswith(b"\x89PNG")


@pytest.mark.parametrize("count", range(1, MAX_PANELS + 1))
def test_every_number_of_panels_is_drawn(count: int) -> None:
    figure = overlay_figure([panel(values=(0.2, 0.3, 0.5))] * count, caption="a caption")
    assert len(slice_axes(figure)) == count
    assert "a caption" in words(figure)
    boxes = [axes.get_position() for axes in figure.axes]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.x1 <= 1 + 1e-9
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize("count", [0, MAX_PANELS + 1])
def test_too_few_or_too_many_panels_are_an_error(count: int) -> None:
    with pytest.raises(ValueError, match=f"got {count}"):
        overlay_figure([panel()] * count, caption="")


def test_unequal_spacing_keeps_the_patients_proportions() -> None:
    spacing = (3.0, 0.75)
    figure = overlay_figure([panel(shape=(60, 240), spacing_mm=spacing)], caption="")
    axes = slice_axes(figure)[0]
    figure.savefig(BytesIO())
    origin, down, right = axes.transData.transform([(50, 50), (50, 80), (80, 50)])
    assert_allclose(
        np.linalg.norm(down - origin), np.linalg.norm(right - origin), atol=PIXEL_TOLERANCE
    )
    left, past_right, bottom, above_top = axes.images[0].get_extent()
    assert_allclose([past_right - left, bottom - above_top], [240 * 0.75, 60 * 3.0])


def test_rows_run_down_and_columns_to_the_right() -> None:
    figure = overlay_figure([panel()], caption="")
    axes = slice_axes(figure)[0]
    figure.savefig(BytesIO())
    origin, down, right = axes.transData.transform([(50, 50), (50, 80), (80, 50)])
    assert down[1] < origin[1]
    assert right[0] > origin[0]
    places = {t.get_text(): t.get_position()[0] for t in axes.texts}
    assert places["R"] < places["L"]


def test_a_large_field_is_cropped_to_the_marks_and_their_margin() -> None:
    wide = panel(shape=(500, 500))
    figure = overlay_figure([wide, panel(shape=(500, 500), marked=False)], caption="")
    rows, columns = np.nonzero(wide.labels)
    side = max(np.ptp(rows), np.ptp(columns)) + 2 * MARGIN_MM
    for axes in slice_axes(figure):
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        assert_allclose([right - left, bottom - top], [side, side])
        assert left < columns.min() < columns.max() < right
        assert top < rows.min() < rows.max() < bottom


def test_a_crop_at_the_edge_stays_in_the_image() -> None:
    labels = np.zeros((400, 400), dtype=np.uint8)
    labels[0:30, 370:400] = 1
    edge = OverlayPanel(np.zeros((400, 400), dtype=np.float32), labels, (1.0, 1.0), "edge")
    axes = slice_axes(overlay_figure([edge], caption=""))[0]
    assert_allclose(axes.get_ylim()[1], -0.5)
    assert_allclose(axes.get_xlim()[1], 399.5)


def test_an_image_narrower_than_the_crop_is_centred() -> None:
    axes = slice_axes(overlay_figure([panel(shape=(300, 100))], caption=""))[0]
    assert_allclose(np.mean(axes.get_xlim()), 49.5)


def test_without_marks_the_whole_field_is_shown_and_said() -> None:
    figure = overlay_figure([panel(shape=(200, 300), marked=False)] * 2, caption="")
    assert words(figure).count(texts.NO_MARK) == 2
    assert texts.BODY not in words(figure)
    left, right = slice_axes(figure)[0].get_xlim()
    assert_allclose(right - left, 300)


def test_marks_that_fill_the_image_are_drawn() -> None:
    full = OverlayPanel(
        np.zeros((8, 8), dtype=np.float32), np.ones((8, 8), dtype=np.uint8), (1.0, 1.0), "full"
    )
    assert "50 mm" not in words(overlay_figure([full], caption=""))


def test_scale_bar_is_fifty_millimetres_of_the_image() -> None:
    axes = slice_axes(overlay_figure([panel(shape=(500, 500))], caption=""))[0]
    ends = np.asarray(axes.lines[0].get_xdata(), dtype=np.float64)
    assert_allclose(np.ptp(ends), 50)


def test_each_slice_bar_has_the_slices_probabilities() -> None:
    values = (0.2, 0.3, 0.5)
    figure = overlay_figure([panel(values=values)], caption="")
    bars = [p for axes in figure.axes for p in axes.patches if isinstance(p, Rectangle)]
    assert_allclose([bar.get_width() for bar in bars], values)
    assert f"Osteoporosis {texts.percent(0.5)}" in words(figure)


def test_a_title_is_never_read_as_a_formula() -> None:
    strange = OverlayPanel(
        np.zeros((90, 90), dtype=np.float32),
        np.zeros((90, 90), dtype=np.uint8),
        (1.0, 1.0),
        r"$\frac{$ slice",
    )
    buffer = BytesIO()
    draw_overlay([strange], buffer, caption=r"$\oops$")
    assert buffer.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("shapes", "spacing_mm", "message"),
    [
        (((4, 4), (4, 5)), (1.0, 1.0), "same shape"),
        (((4, 4, 4), (4, 4, 4)), (1.0, 1.0), "one plane"),
        (((4, 4), (4, 4)), (1.0, 0.0), "must be positive"),
        (((4, 4), (4, 4)), (float("nan"), 1.0), "must be positive"),
    ],
)
def test_a_contradictory_panel_is_an_error(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], spacing_mm: tuple[float, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        OverlayPanel(
            np.zeros(shapes[0], dtype=np.float32),
            np.zeros(shapes[1], dtype=np.uint8),
            spacing_mm,
            "slice",
        )


def test_spread_never_crosses_labels_for_any_pair() -> None:
    for first, second in product(np.linspace(-1, 1, 9), repeat=2):
        placed = spread([float(first), float(second)], 0.5)
        assert abs(placed[0] - placed[1]) >= 0.5 - 1e-12
