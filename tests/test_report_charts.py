"""Charts: what is drawn equals what is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from osteoscreen.findings import BoneCondition
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
