"""The overlay: every slice at one scale, its marks where they are, its words beside it."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from PIL import Image, ImageColor

from osteoscreen import texts
from osteoscreen.findings import CONDITIONS, Probabilities
from osteoscreen.report.drawing import SCALE, Drawing
from osteoscreen.report.overlay import (
    MARGIN_MM,
    MAX_PANELS,
    OverlayPanel,
    crop_windows,
    overlay_drawing,
)
from osteoscreen.report.palette import BODY_MARK, CONDITION_COLOURS, REST_MARK
from osteoscreen.report.slice_image import Window, slice_image


def _panel(
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
        probabilities=None if values is None else Probabilities(**dict(zip(CONDITIONS, values))),
    )


def _words(drawing: Drawing) -> list[str]:
    return [one.words for one in drawing.said]


def _pixels(drawing: Drawing) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(drawing.png())).convert("RGB"))


def _is(image: NDArray[np.uint8], colour: str) -> NDArray[np.bool_]:
    return np.asarray((image == ImageColor.getrgb(colour)).all(axis=-1))


@pytest.mark.parametrize("count", range(1, MAX_PANELS + 1))
def test_every_number_of_panels_is_drawn(count: int) -> None:
    drawing = overlay_drawing([_panel(values=(0.2, 0.3, 0.5))] * count)
    assert _words(drawing).count("slice 12") == count
    boxes = [one.box for one in drawing.said]
    for at, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert right <= drawing.width
        assert bottom <= drawing.height
        for other in boxes[:at]:
            is_beside = right <= other[0] or other[2] <= left
            assert is_beside or bottom <= other[1] or other[3] <= top


@pytest.mark.parametrize("count", [0, MAX_PANELS + 1])
def test_too_few_or_too_many_panels_are_an_error(count: int) -> None:
    with pytest.raises(ValueError, match=f"got {count}"):
        overlay_drawing([_panel()] * count)


def test_a_picture_shows_each_pixel_where_its_millimetres_are() -> None:
    hu = np.full((40, 60), -500, np.float32)
    hu[10, 20] = 3000
    labels = np.zeros(hu.shape, np.uint8)
    # 2 mm rows and 1 mm columns, shown with four pixels to a millimetre.
    image = slice_image(hu, labels, (2.0, 1.0), Window(-1, -0.5, 80, 60), (240, 320))
    rows, columns = np.nonzero(np.asarray(image)[..., 0] > 128)
    assert_allclose(rows.mean(), 4 * (10 * 2 + 1) - 0.5, atol=0.51)
    assert_allclose(columns.mean(), 4 * (20 + 0.5) - 0.5, atol=0.51)


def test_the_fill_covers_the_body_and_the_outlines_follow_the_marks() -> None:
    one = _panel()
    window = Window(-0.5, -0.5, 120, 120)
    image = np.asarray(slice_image(one.hu, one.labels, (1.0, 1.0), window, (480, 480)))
    large = np.kron(one.labels, np.ones((4, 4), np.uint8))
    is_edge, is_rest = _is(image, BODY_MARK), _is(image, REST_MARK)
    assert is_edge.sum() > 300
    assert 100 < is_rest.sum() < is_edge.sum()
    assert (large[is_edge] == 1).mean() > 0.9
    assert (large[is_rest] == 2).mean() > 0.9
    plain = slice_image(one.hu, np.zeros_like(one.labels), (1.0, 1.0), window, (480, 480))
    tinted = (image != np.asarray(plain)).any(axis=-1)
    assert tinted[large == 1].mean() > 0.95
    assert not tinted[:100].any()


def test_marks_at_the_edge_of_the_image_are_closed_there() -> None:
    labels = np.ones((8, 8), np.uint8)
    image = slice_image(
        np.zeros((8, 8), np.float32), labels, (1.0, 1.0), Window(-4.5, -4.5, 16, 16), (160, 160)
    )
    is_edge = _is(np.asarray(image), BODY_MARK)
    assert is_edge.any(axis=1).sum() == is_edge.any(axis=0).sum() == pytest.approx(80, abs=2)


def test_a_large_field_is_cropped_to_the_marks_and_their_margin() -> None:
    wide = _panel(shape=(500, 500))
    rows, columns = np.nonzero(wide.labels)
    side = max(np.ptp(rows), np.ptp(columns)) + 2 * MARGIN_MM
    windows = crop_windows([wide, _panel(shape=(500, 500), marked=False)])
    for one in windows:
        assert_allclose([one.height, one.width], side)
        assert one.left < columns.min() < columns.max() < one.left + side
        assert one.top < rows.min() < rows.max() < one.top + side


def test_a_crop_at_the_edge_stays_in_the_image() -> None:
    labels = np.zeros((400, 400), dtype=np.uint8)
    labels[0:30, 370:400] = 1
    edge = OverlayPanel(np.zeros((400, 400), dtype=np.float32), labels, (1.0, 1.0), "edge")
    (window,) = crop_windows([edge])
    assert_allclose([window.top, window.left + window.width], [-0.5, 399.5])


def test_an_image_narrower_than_the_crop_is_centred() -> None:
    (window,) = crop_windows([_panel(shape=(300, 60))])
    assert_allclose(window.left + window.width / 2, 29.5)


def test_without_marks_the_whole_field_is_shown_and_said() -> None:
    panels = [_panel(shape=(200, 300), marked=False)] * 2
    drawing = overlay_drawing(panels)
    assert _words(drawing).count(texts.NO_MARK) == 2
    assert texts.BODY not in _words(drawing)
    assert_allclose([one.width for one in crop_windows(panels)], 300)


def test_right_is_on_the_left_and_the_scale_bar_is_as_long_as_it_says() -> None:
    drawing = overlay_drawing([_panel(shape=(500, 500), marked=False)])
    places = {one.words: one.box[0] for one in drawing.said}
    assert places["R"] < places["L"]
    said = next(one for one in drawing.said if one.words == "50 mm")
    image = _pixels(drawing)
    row = image[round((said.box[3] + said.box[1]) / 2 * SCALE + 9 * SCALE)]
    white = np.flatnonzero((row == 255).all(axis=-1))
    length = np.ptp(white[white > said.box[0] * SCALE - 200]) + 1
    assert length / SCALE == pytest.approx(50 * drawing.width / 500, abs=1.5)


def test_each_slice_bar_has_the_slices_probabilities() -> None:
    values = (0.2, 0.3, 0.5)
    drawing = overlay_drawing([_panel(values=values)])
    image = _pixels(drawing)
    for condition, value in zip(CONDITIONS, values):
        widths = _is(image, CONDITION_COLOURS[condition]).sum(axis=1)
        assert widths.max() / SCALE == pytest.approx(value * drawing.width, abs=1)
    assert "Osteoporosis 50.0 %" in _words(drawing)


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
