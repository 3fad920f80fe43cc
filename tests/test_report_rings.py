"""A grid of rings has a ring a place."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Wedge
from numpy.testing import assert_allclose

from osteoscreen.findings import CONDITIONS, Certainty, Probabilities
from osteoscreen.report.rings import Ring, rings_figure


def _close(found: Any, wanted: Any) -> None:  # noqa: ANN401 - whatever numpy takes
    assert_allclose(np.asarray(found, np.float64), np.asarray(wanted, np.float64), atol=1e-12)


def _words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def _probabilities(*values: float) -> Probabilities:
    return Probabilities(**dict(zip(CONDITIONS, values)))


def test_a_grid_of_rings_has_a_ring_a_place_and_says_its_shares() -> None:
    clear = Ring(_probabilities(0.9, 0.08, 0.02), certainty=Certainty.CLEAR)
    doubtful = Ring(_probabilities(0.4, 0.35, 0.25), certainty=Certainty.DOUBTFUL)
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
