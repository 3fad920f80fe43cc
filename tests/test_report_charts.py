"""Charts, diagrams and galleries: what is drawn equals what is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, Wedge
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from osteoscreen.findings import CONDITIONS, BoneCondition, Probabilities
from osteoscreen.report.charts import (
    Curve,
    Interval,
    calibration_figure,
    histograms_figure,
    intervals_figure,
    lines_figure,
    new_figure,
    plain_axes,
    roc_figure,
    save_figure,
    shares_figure,
)
from osteoscreen.report.diagram import Block, Example, Layer, chain_figure, method_figure, u_figure
from osteoscreen.report.gallery import Look, Marked, looks_figure, marks_figure
from osteoscreen.report.ring import Ring, rings_figure


def _close(found: Any, wanted: Any) -> None:  # noqa: ANN401 - whatever numpy takes
    assert_allclose(np.asarray(found, np.float64), np.asarray(wanted, np.float64), atol=1e-12)


def _words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def _line(axes: Axes, label: str) -> NDArray[np.float64]:
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(found.get_xydata())


def test_a_figure_is_written_twice_and_the_same_every_time(tmp_path: Path) -> None:
    def drawn() -> Figure:
        return lines_figure([Curve("a", [0, 1], [0.2, 0.4])], x="x", y="y")

    png = save_figure(drawn(), tmp_path, "one")
    assert (tmp_path / "one.png").read_bytes() == png
    assert png.startswith(b"\x89PNG")
    svg = (tmp_path / "one.svg").read_bytes()
    (tmp_path / "again").mkdir()
    assert save_figure(drawn(), tmp_path / "again", "one") == png
    assert (tmp_path / "again" / "one.svg").read_bytes() == svg


def test_roc_curves_are_those_given_and_an_absent_class_has_none() -> None:
    curve = Curve("Low (AUC 0.75)", [0, 0.5, 1], [0, 1, 1])
    (axes,) = roc_figure({BoneCondition.LOW: curve}).axes
    _close(_line(axes, curve.label), [[0, 0], [0.5, 1], [1, 1]])
    assert len(axes.lines) == 2  # and the diagonal


def test_bars_of_a_class_are_shares_of_it_and_add_up() -> None:
    counts = np.array([[8, 2, 0], [1, 2, 1], [0, 0, 0]])
    (axes,) = shares_figure(counts).axes
    heights = np.array(
        [patch.get_height() for patch in axes.patches if isinstance(patch, Rectangle)]
    ).reshape(3, 3)
    _close(heights.T, [[0.8, 0.2, 0], [0.25, 0.5, 0.25], [0, 0, 0]])
    assert "8\n80%" in [text.get_text() for text in axes.texts]


def test_histograms_hold_every_image() -> None:
    values = {"DI": np.linspace(0.9, 1, 50), "IoU": np.linspace(0.82, 0.99, 50)}
    first, second = histograms_figure(values, x="Score", y="Images").axes
    for axes in (first, second):
        counts = [patch.get_height() for patch in axes.patches if isinstance(patch, Rectangle)]
        assert sum(counts) == 50
    assert first.get_title("left") == "DI: mean 0.9500"


def test_intervals_and_curves_are_where_their_figures_are() -> None:
    rows = [Interval("BCC-Net", 0.77, 0.75, 0.79), Interval("HU", 0.7, 0.68, 0.72)]
    one, other = intervals_figure({"Accuracy": rows, "AUC": rows}).axes
    assert [text.get_text() for text in one.get_yticklabels()] == ["BCC-Net", "HU"]
    _close(one.lines[0].get_xydata(), [[0.75, 0], [0.79, 0]])
    _close(other.lines[3].get_xydata(), [[0.7, 1]])
    (axes,) = calibration_figure(Curve("before", [0.5], [0.4]), Curve("after", [0.6], [0.6])).axes
    _close(_line(axes, "after"), [[0.6, 0.6]])


def test_axes_are_placed_as_asked() -> None:
    figure = new_figure()
    one, other = (plain_axes(figure, (1, 2, number)) for number in (1, 2))
    assert one.get_position().x1 < other.get_position().x0


def _probabilities(*values: float) -> Probabilities:
    return Probabilities(**dict(zip(CONDITIONS, values)))


def test_a_grid_of_rings_has_a_ring_a_place_and_says_its_shares() -> None:
    clear = Ring(_probabilities(0.9, 0.08, 0.02), is_doubtful=False)
    doubtful = Ring(_probabilities(0.4, 0.35, 0.25), is_doubtful=True)
    figure = rings_figure({"Normal": [clear, doubtful], "Low": [None, clear]})
    assert len(figure.axes) == 4
    wedges = [[p for p in axes.patches if isinstance(p, Wedge)] for axes in figure.axes]
    assert [len(one) for one in wedges] == [3, 3, 0, 3]
    spans = [wedge.theta2 - wedge.theta1 for wedge in wedges[1]]
    _close(spans, 360 * np.array([0.4, 0.35, 0.25]))
    words = _words(figure)
    assert "90.0% / 8.0% / 2.0%" in words
    assert words.count("doubtful") == 1
    assert words.count("Normal\nbone mass") == 2
    assert "Normal\nbone mass?" in words


def test_the_diagram_of_a_u_has_a_box_a_layer() -> None:
    encoder, decoder = [Layer(8, 32), Layer(16, 16)], [Layer(16, 32), Layer(8, 64)]
    (axes,) = u_figure(encoder, decoder, Layer(1, 64)).axes
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert len(boxes) == 5
    assert boxes[0].get_height() > boxes[1].get_height() > boxes[2].get_height()
    assert boxes[0].get_height() == pytest.approx(boxes[-1].get_height())


def test_the_chain_says_what_each_part_gives() -> None:
    blocks = [Block("ROI", "grey", Layer(1, 224), 0), Block("Softmax", "mean", Layer(3, 1), 3)]
    words = _words(chain_figure(blocks))
    assert {"ROI", "224×224×1", "Softmax", "3"} <= set(words)


def test_the_method_shows_the_slice_and_what_is_said_of_it() -> None:
    rng = np.random.default_rng(0)
    hu = rng.normal(50, 20, (64, 64)).astype(np.float32)
    mark = np.zeros((64, 64), bool)
    mark[20:40, 20:40] = True
    example = Example(hu, mark, hu * mark, hu, _probabilities(0.5, 0.3, 0.2))
    figure = method_figure(example)
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(pictures) == 4
    _close(np.asarray(pictures[1]), mark)
    shares = [
        patch.get_height() / 0.9 for patch in figure.axes[0].patches if isinstance(patch, Rectangle)
    ]
    _close(shares, (0.5, 0.3, 0.2))


def test_galleries_show_each_slice_around_its_mark() -> None:
    hu = np.zeros((100, 100), np.float32)
    mark = np.zeros((100, 100), bool)
    mark[45:55, 40:60] = True
    marks = marks_figure([Marked(hu, mark, ~mark, "one"), Marked(hu, mark, mark, "two")])
    assert len(marks.axes) == 8
    shown = np.asarray(marks.axes[1].images[0].get_array())
    # 20 wide, and 0.6 of that on either side.
    assert shown.shape == pytest.approx((44, 44), abs=2)
    looks = looks_figure([Look(hu, np.zeros_like(mark), hu[:32, :32], "no mark")])
    assert [np.asarray(axes.images[0].get_array()).shape for axes in looks.axes] == [
        (100, 100), (32, 32)
    ]  # fmt: skip
    assert looks.axes[0].get_title() == "no mark"
