"""Diagrams say what the networks are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.testing import assert_allclose

from osteoscreen.findings import CONDITIONS, Probabilities
from osteoscreen.report.diagram import Block, Example, Layer, chain_figure, method_figure, u_figure


def _close(found: Any, wanted: Any) -> None:  # noqa: ANN401 - whatever numpy takes
    assert_allclose(np.asarray(found, np.float64), np.asarray(wanted, np.float64), atol=1e-12)


def _words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def _probabilities(*values: float) -> Probabilities:
    return Probabilities(**dict(zip(CONDITIONS, values)))


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
